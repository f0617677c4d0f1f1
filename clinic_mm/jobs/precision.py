"""Let a screening answer in bfloat16 only where that moves no decision of its own cohort.

    RUN/bfloat16.json    what became of the reference cases (`predict.narrow.Narrowing`)

In:  a model, reference cases of the cohort. Out: that file, and an error where a decision moved.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from clinic_mm.encoders.runtime.setting import Runtime
from clinic_mm.errors import UsageError
from clinic_mm.predict.deploy import load_deployed, runtime_told
from clinic_mm.predict.narrow import Narrowing, narrowing
from clinic_mm.prep.batch import PreparedCases
from clinic_mm.report.atomic import written_whole

FILE: Final = "bfloat16.json"
MOST: Final = 256
"""Reference cases, spread evenly over the cohort."""


def check_narrow(
    model: Path, runtime: Runtime, prepare: Callable[[], PreparedCases], run: Path | None, say: Callable[[str], None]
) -> None:
    """Compare once, write down what came of it, and refuse where a decision moved.

    Args:
        model: Artifact folder.
        runtime: As asked for; float32 needs no check.
        prepare: Makes the reference cases; not called where a check of this model stands in the run already.
        run: Run folder; None to write nothing.
        say: Told what came of it.

    Raises:
        UsageError: If a decision moved, or nothing speaks for any reference case.
    """
    if runtime.precision == "float32":
        return
    wide, model_hash = load_deployed(model, Runtime(runtime.device, runtime.engine, threads=runtime.threads))
    found = read_narrowing(run) if run else None
    if found is None or found.model_hash != model_hash:
        narrow, _ = load_deployed(model, runtime)
        found = narrowing(wide, narrow, model_hash, prepare())
        found = found.model_copy(update={"float32": runtime_told(wide), "bfloat16": runtime_told(narrow)})
        if run:
            written_whole(run / FILE, (found.model_dump_json(indent=2) + "\n").encode())
    if not found.allowed:
        raise UsageError(found.told, "--precision bfloat16", "Use --precision float32")
    say(found.told)


def read_narrowing(run: Path) -> Narrowing | None:
    """What stands in a run; None where nothing does, or nothing that can be read."""
    try:
        return Narrowing.model_validate_json((run / FILE).read_bytes())
    except (OSError, ValidationError):
        return None
