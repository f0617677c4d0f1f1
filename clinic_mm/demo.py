"""The demo: the whole path on a simulated cohort in real file formats, in a few minutes on two cores.

    demo/files       DICOM, EDF+, FHIR R4B, labels, limit.json        SIMULATED, not patients
    demo/cohort      the manifest
    demo/model       the artifact
    demo/evaluation  tables and figures
    demo/run         screened test cases: Parquet, FHIR reports, work list

An earlier demo in the same folder is replaced; any other folder is left alone.
"""

import hashlib
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from clinic_mm.cohort.describe import as_text, describe
from clinic_mm.cohort.ingest import ingest
from clinic_mm.console import progress, say, show, show_table
from clinic_mm.errors import UsageError
from clinic_mm.jobs.asked import ScreenOptions
from clinic_mm.jobs.evaluate import evaluate_model
from clinic_mm.jobs.screen import screen_cohort
from clinic_mm.jobs.shown import method_table, pattern_table
from clinic_mm.jobs.spec import Selection
from clinic_mm.prep.cache import PrepCache
from clinic_mm.simulate.cohort import write_cohort
from clinic_mm.task import read_task
from clinic_mm.training.train import Resources, train

MARK: Final = ".clinic_mm_demo"
TEST_SHARE: Final = 0.4


def run_demo(out: Path, *, cases: int, seed: int, workers: int) -> None:
    """Run everything and print the table.

    Args:
        out: Folder of the demo.
        cases: Simulated cases.
        seed: Of simulation and training.
        workers: Processes that read and prepare.

    Raises:
        UsageError: If the folder holds something that no demo wrote.
    """
    _make_room(out)
    files, cohort, model, evaluation, run = (out / n for n in ("files", "cohort", "model", "evaluation", "run"))
    cache = PrepCache(out / "cache")
    started = time.monotonic()

    with progress("1/6 simulate DICOM, EDF+ and FHIR") as advance:
        limit = write_cohort(files, cases=cases, seed=seed, workers=workers, progress=advance)
    with progress("2/6 ingest") as advance:
        made = ingest(files, cohort, key=_key(out / "key", seed), progress=lambda _, d, n: advance(d, n))
    show(as_text(describe(made, target="label")))
    with progress("3/6 prepare the training cases") as advance:
        use = Resources(workers, cache, advance, _timed(started))
        trained, _ = train(made, read_task(files / "task.toml"), model, test_share=TEST_SHARE, use=use)
    with progress("4/6 evaluate on patients not trained on") as advance:
        scores = evaluate_model(
            model,
            cohort,
            evaluation,
            limit=files / "limit.json",
            workers=workers,
            cache=cache,
            progress=advance,
        )
    with progress("5/6 screen, and write a FHIR report each") as advance:
        options = ScreenOptions(workers, cache, advance, selection=Selection(unseen=True))
        info = screen_cohort(model, cohort, run, options=options)

    show_table("All SIMULATED test cases, 95 % intervals by patient", method_table(scores.by_pattern))
    show_table("6/6 AUROC per availability pattern beside the known limit, SIMULATED", pattern_table(scores.by_subset))
    show(f"Best possible AUROC of this cohort: {limit.auc_limit:.3f}. {_verdict(trained.facts)}")
    show(f"{info.counts.words}; the work list gives the reasons.")
    show(f"Done in {time.monotonic() - started:.0f} s. Figures: {evaluation}. Open the dashboard with:")
    show(f"  {_command()} dashboard {run}")


def _make_room(out: Path) -> None:
    """Replace an earlier demo, and nothing else."""
    if out.exists() and any(out.iterdir()):
        if not (out / MARK).is_file():
            raise UsageError("The folder holds something that no demo wrote", str(out), "Name a new folder with --out")
        shutil.rmtree(out)
    out.mkdir(parents=True, exist_ok=True)
    (out / MARK).touch()


def _key(folder: Path, seed: int) -> Path:
    """A key that anybody can make: it protects no patient, and the same seed splits the same patients."""
    folder.mkdir()
    path = folder / "pseudonym.key"
    path.touch(mode=0o600)
    path.write_bytes(hashlib.sha256(f"clinic_mm demo {seed}".encode()).digest())
    return path


def _timed(started: float) -> Callable[[str], None]:
    return lambda text: say(f"  {time.monotonic() - started:4.0f} s  {text}")


def _verdict(facts: object) -> str:
    assert isinstance(facts, dict)
    return f"Out of fold, on the cases trained on: {facts['verdict']['words']}"


def _command() -> str:
    """How the command is reached from where the demo was started: inside the checkout it lies in .venv."""
    local = Path(".venv/bin/clinic-mm")
    return str(local) if local.is_file() and shutil.which("clinic-mm") is None else "clinic-mm"
