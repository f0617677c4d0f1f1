"""Every method on the three real sets and on simulated cohorts, and the page docs/methods.md.

    python pipelines/compare_methods.py [--data DIR] [--only icu_mortality,simulated] [--simulated DIR]

Each comparison is kept in runs/NAME/compare and goes on where it stopped. `--simulated DIR` holds cohorts s1, s2, s3
made by `clinic-mm simulate DIR/s1 --cases 4000 --seed 1` and so on: 2,000 cases to learn from, 2,000 to test each.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import chest_icu
import icu_mortality
import orjson
import psychiatric_eeg
import typer

from clinic_mm.bundle import policy
from clinic_mm.cohort.ingest import ingest
from clinic_mm.cohort.manifest import Cohort, open_cohort
from clinic_mm.cohort.public import public_key
from clinic_mm.compare import compare, compare_prepared, plan_of, source_of
from clinic_mm.evaluate.methods_page import methods_page
from clinic_mm.known import known_of
from clinic_mm.prep.cache import PrepCache
from clinic_mm.task import Task, read_task
from clinic_mm.training.compared_split import Plan
from clinic_mm.training.train import Resources

HERE = Path(__file__).parent
DATA = HERE.parents[1] / "shared" / "data"
RUNS = HERE.parent / "runs"
COMMAND = "python pipelines/compare_methods.py"
SETS: Final[dict[str, tuple[str, Callable[[Path, Path], Cohort], dict[str, Any]]]] = {
    "icu_mortality": ("PhysioNet 2012: death in hospital", icu_mortality.cohort_of, {}),
    "psychiatric_eeg": ("Psychiatric EEG: schizophrenia", psychiatric_eeg.cohort_of, {"target": "schizophrenia"}),
    "chest_icu": ("Chest X-ray and laboratory, Hannover (a demonstration, n = 44)", chest_icu.cohort_of, {}),
}
SEEDS: Final = (1, 2, 3)


def main(
    data: Annotated[Path, typer.Option(envvar="CLINIC_MM_DATA")] = DATA,
    out: Path = HERE.parent / "docs",
    only: Annotated[str, typer.Option(help="Names with commas between; all where empty.")] = "",
    simulated: Annotated[Path | None, typer.Option(help="Folder of the simulated cohorts s1, s2, s3.")] = None,
    methods: str = "all",
    repeats: int = 5,
) -> None:
    """Compare what is asked for, and write the page of all that was compared so far."""
    wanted = only.split(",") if only else [*SETS, *(["simulated"] if simulated else [])]
    for name in wanted:
        if name in SETS:
            _, cohort_of, change = SETS[name]
            task = read_task(HERE / f"{name}.task.toml").model_copy(update=change)
            plan = plan_of(methods, repeats=repeats, test_share=0.2, draws=1000)
            _compared(cohort_of(data, RUNS / name), task, name, plan)
        elif simulated is not None:
            _simulated([simulated / f"s{seed}" for seed in SEEDS], methods)
    results = {title: RUNS / name / "compare" / "compare.json" for name, (title, *_) in SETS.items()}
    results["Three simulated cohorts, seeds 1 to 3"] = RUNS / "simulated" / "compare" / "compare.json"
    told = {title: orjson.loads(path.read_bytes()) for title, path in results.items() if path.is_file()}
    (out / "methods.md").write_text(methods_page(policy("methods")["method"], told, COMMAND), encoding="utf-8")


def _use(name: str) -> Resources:
    return Resources(2, PrepCache(RUNS / name / "cache"), say=lambda told: typer.echo(told, err=True))


def _compared(cohort: Cohort, task: Task, name: str, plan: Plan) -> None:
    compare(cohort, task, RUNS / name / "compare", plan, use=_use(name))


def _simulated(folders: Sequence[Path], methods: str) -> None:
    """Half of each cohort to learn from, half to test; no networks below (`epochs = 0`), as on the real sets."""
    key, use = public_key(RUNS / "simulated"), _use("simulated")
    task = read_task(folders[0] / "task.toml")
    task = task.model_copy(update={"train": task.train.model_copy(update={"epochs": 0})})
    plan = plan_of(methods, repeats=1, test_share=0.5, draws=1000)
    sources = [source_of(_cohort(folder, key), task, use) for folder in folders]
    known = known_of([folder / "limit.json" for folder in folders], key)
    compare_prepared(sources, task, RUNS / "simulated" / "compare", plan, known=known, use=use)


def _cohort(files: Path, key: Path) -> Cohort:
    kept = RUNS / "simulated" / files.name
    return open_cohort(kept) if kept.is_dir() else ingest(files, kept, key=key)


if __name__ == "__main__":
    typer.run(main)
