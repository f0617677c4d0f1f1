"""Let a screening answer in bfloat16 only where that moves no decision of its own cohort.

    RUN/bfloat16.json    what became of the reference cases (`predict.narrow.Narrowing`)

In:  a model, reference cases of the cohort. Out: that file, and an error where a decision moved. What was found holds
for the same model, cohort, settings and runtime: for anything else it is looked at again.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from clinic_mm.encoders.runtime.setting import Runtime
from clinic_mm.errors import UsageError
from clinic_mm.predict.deploy import load_deployed, runtime_told
from clinic_mm.predict.model import Model
from clinic_mm.predict.narrow import Narrowing, narrowing
from clinic_mm.prep.batch import PreparedCases
from clinic_mm.report.atomic import written_whole

FILE: Final = "bfloat16.json"
MOST: Final = 256
"""Reference cases, spread evenly over the cohort."""


def as_it_is(model: Model) -> Model:
    """A model that answers as it was trained."""
    return model


def check_narrow(
    model: Path,
    runtime: Runtime,
    prepare: Callable[[], PreparedCases],
    run: Path | None,
    say: Callable[[str], None],
    *,
    ready: Callable[[Model], Model] = as_it_is,
    rests_on: str = "",
) -> None:
    """Compare once, write down what came of it, and refuse where a decision moved.

    Args:
        model: Artifact folder.
        runtime: As asked for; float32 needs no check.
        prepare: Makes the reference cases; not called where a check of just this stands in the run already.
        run: Run folder; None to write nothing.
        say: Told what came of it.
        ready: Makes the model answer as workers will: at their level, with their weights.
        rests_on: What decisions hang on beside the model and the runtime: the cohort, the settings.

    Raises:
        UsageError: If a decision moved, or nothing speaks for any reference case.
    """
    if runtime.precision == "float32":
        return
    wide, model_hash = load_deployed(model, Runtime(runtime.device, runtime.engine, threads=runtime.threads))
    key = hashlib.sha256("\n".join((model_hash, rests_on, runtime.told, runtime_told(wide))).encode()).hexdigest()
    found = read_narrowing(run) if run else None
    if found is None or found.rests_on != key:
        narrow, _ = load_deployed(model, runtime)
        found = narrowing(ready(wide), ready(narrow), model_hash, prepare())
        told = {"float32": runtime_told(wide), "bfloat16": runtime_told(narrow), "rests_on": key}
        found = found.model_copy(update=told)
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
