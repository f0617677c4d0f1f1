"""Write a simulated cohort: files as hospitals have them, labels, the truth, and the best possible AUC.

In:  an empty folder, how many cases, the seed, the missing mechanism. Out on disk:

    dicom/ eeg/ fhir/     the evidence, SIMULATED in every header
    eye/ audio/           gaze tables and WAV files, whose patient and time stand in recordings.csv, where asked for
    omics/                matrices of counts, and samples.csv: whose each sample is, and when; where asked for
    labels.csv            patient, decision time, label, sex, age, site
    truth.csv             latents, places, best possible score; for tests and figures, never ingested
    cohort.toml task.toml what `clinic-mm ingest` and `clinic-mm train` take
    limit.json            the best possible AUC of every pattern; written last, so its presence means complete

The same seed gives the same bytes, for any number of workers; case k is the same in a cohort of any size.
"""

import csv
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

import orjson

from clinic_mm.errors import UsageError
from clinic_mm.simulate.case import SHARD_CASES, Case, make_case
from clinic_mm.simulate.latent import DEFAULT, Missing, World
from clinic_mm.simulate.limit import Limit, limit_of
from clinic_mm.worker_process import begin

if TYPE_CHECKING:
    from clinic_mm.simulate.chart import Chart

BATCH_CASES: Final = 10
LABEL_COLUMNS: Final = ("patient_id", "decision_time", "label", "sex", "age", "site")

COHORT_TOML: Final = """\
# SIMULATED, not patients.
schema_version = "1.0"
name = "simulated"
simulated = true
site_timezone = "UTC"
undated = "refuse"
{sources}
[labels]
path = "labels.csv"
patient = "patient_id"
decision_time = "decision_time"
"""

TASK_TOML: Final = """\
# For a SIMULATED cohort. limit.json tells the best possible AUC.
schema_version = "1.0"
target = "label"
kind = "binary"
classes = ["negative", "positive"]
modalities = [{modalities}]
size = "tiny"
seed = {seed}
"""

FOLDERS: Final = {
    "dicom": {"ct", "xray", "ecg"},
    "eeg": {"eeg"},
    "fhir": {"record", "note"},
    "eye": {"eye"},
    "omics": {"omics"},
    "audio": {"audio"},
}
LISTED: Final = frozenset({"eye", "audio"})
"""Folders whose files name neither patient nor time: `LIST_NAME` in each does."""
LIST_NAME: Final = "recordings.csv"
LIST_COLUMNS: Final = ("file", "patient_id", "acquired_at")
LISTED_SOURCE: Final = """\
kind = "{name}"
patient = "table"
mapping = {{ layout = "files", patient = "patient_id", path = "{{file}}", modality = "{name}", time = "acquired_at" }}
"""
OMICS_SOURCE: Final = """\
kind = "omics"
options = { layout = "samples_in_rows", scale = "counts", samples = { path = "samples.csv", time = "collected_at" } }
"""
MORE_TASK: Final = {"audio": '\n[modality.audio]\nkind = "audio"\nsound = "heart"\n'}
"""What task.toml says of single modalities."""
Row: TypeAlias = dict[str, object]
Batch: TypeAlias = list[tuple[int, Row, Row, "Chart"]]
"""Per case: number, row of the labels, row of the truth, and what else is told of it."""


def write_cohort(
    out: Path,
    *,
    cases: int,
    seed: int,
    missing: str = "MCAR",
    rate: float = 0.3,
    synergy: bool = False,
    modalities: tuple[str, ...] = DEFAULT,
    progress: Callable[[int, int], None] | None = None,
    workers: int = 1,
) -> Limit:
    """Simulate a cohort in real file formats whose best possible AUC is known.

    Args:
        out: A folder that is empty or does not exist yet.
        cases: How many patients, one case each.
        seed: Of all random numbers.
        missing: MCAR, MAR or MNAR.
        rate: Probability that a modality is absent, 0 to 0.95.
        synergy: Add an XOR part between the first two modalities.
        modalities: Which to simulate.
        progress: Called with (cases done, cases in all).
        workers: Processes that render; the files do not depend on it.

    Raises:
        UsageError: If the request does not fit together, or the folder is not empty.

    Source: METHODS §4.
    """
    world = World(modalities, cast("Missing", missing), rate, synergy)
    check_empty(out, cases, seed, workers)
    used = [name for name, kinds in FOLDERS.items() if kinds & set(modalities)]
    for name in used:
        (out / name).mkdir(parents=True)
    _write_tables(out, world, _batches(out, world, cases, seed, workers), progress, cases)
    (out / "cohort.toml").write_text(
        COHORT_TOML.format(sources="".join(_source(name) for name in used)), encoding="utf-8"
    )
    named = ", ".join(f'"{m}"' for m in modalities)
    more = "".join(MORE_TASK.get(m, "") for m in modalities)
    (out / "task.toml").write_text(TASK_TOML.format(modalities=named, seed=seed) + more, encoding="utf-8")
    limit = limit_of(world, seed=seed, cases=cases)
    (out / "limit.json").write_text(limit.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return limit


def _source(name: str) -> str:
    """What cohort.toml says of one folder."""
    listed = LISTED_SOURCE.format(name=name) if name in LISTED else OMICS_SOURCE if name == "omics" else ""
    return f'\n[[source]]\nname = "{name}"\npath = "{name}"\n{listed}'


def check_empty(out: Path, cases: int, seed: int, workers: int = 1) -> None:
    """A cohort is written to a new or empty folder, and has a case.

    Raises:
        UsageError: If not.
    """
    if cases < 1 or workers < 1 or seed < 0:
        raise UsageError("Cases and workers start at 1, the seed at 0", "simulate", "Give larger numbers")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError("The folder for the cohort is not empty", str(out), "Name a new folder, or empty this one")


def _batches(out: Path, world: World, cases: int, seed: int, workers: int) -> Iterator[Batch]:
    """Rendered batches in order, from this process or from a pool of fresh ones."""
    spans = [range(first, min(first + BATCH_CASES, cases)) for first in range(0, cases, BATCH_CASES)]
    work = partial(_write_batch, out, world, seed)
    if workers == 1:
        yield from map(work, spans)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=begin) as pool:
        yield from pool.map(work, spans)


def _write_batch(out: Path, world: World, seed: int, span: range) -> Batch:
    from clinic_mm.simulate.chart import write_case  # brings pydicom, edfio and SciPy: only where files are written

    batch: Batch = []
    for number in span:
        case = make_case(world, seed=seed, number=number)
        chart = write_case(case, out)
        batch.append((number, _label_row(case), _truth_row(case) | chart.truth, chart))
    return batch


def _write_tables(
    out: Path, world: World, batches: Iterator[Batch], progress: Callable[[int, int], None] | None, cases: int
) -> None:
    from clinic_mm.simulate.chart import places

    latents = [f"{kind}_{m}" for kind in ("e", "v", "present") for m in world.modalities]
    columns = ["patient_id", "case", "label", "log_odds", *latents, *places(world.modalities), "late_modality"]
    with (
        (out / "labels.csv").open("w", newline="", encoding="utf-8") as labels,
        (out / "truth.csv").open("w", newline="", encoding="utf-8") as truth,
    ):
        to_labels, to_truth = csv.DictWriter(labels, LABEL_COLUMNS), csv.DictWriter(truth, columns)
        to_labels.writeheader()
        to_truth.writeheader()
        for batch in batches:
            for number, label_row, truth_row, chart in batch:
                to_labels.writerow(label_row)
                to_truth.writerow(truth_row)
                _append_fhir(out / "fhir", number, chart.fhir)
                _append_lists(out, chart.listed)
                _append_lines(out, chart.shared)
            if progress:
                progress(batch[-1][0] + 1, cases)


def _append_fhir(folder: Path, number: int, fhir: dict[str, list[dict[str, Any]]]) -> None:
    """Append to the shard of this case: NDJSON, one resource type per file, as in FHIR bulk exports."""
    for kind, resources in fhir.items():
        if resources:
            with (folder / f"{kind}.{number // SHARD_CASES:03d}.ndjson").open("ab") as file:
                file.writelines(orjson.dumps(r, option=orjson.OPT_APPEND_NEWLINE) for r in resources)


def _append_lists(out: Path, listed: dict[str, list[Row]]) -> None:
    """Append to the list of each folder whose files name no patient."""
    for folder, rows in listed.items():
        path = out / folder / LIST_NAME
        new = not path.exists()
        with path.open("a", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, LIST_COLUMNS)
            if new:
                table.writeheader()
            table.writerows(rows)


def _append_lines(out: Path, shared: dict[str, tuple[str, list[str]]]) -> None:
    """Append to tables that all cases write to."""
    for name, (header, lines) in shared.items():
        path = out / name
        new = not path.exists()
        with path.open("a", newline="", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in ([header] if new else []) + lines)


def _label_row(case: Case) -> Row:
    return {
        "patient_id": case.patient_id,
        "decision_time": case.decision_time.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "label": case.label,
        "sex": case.sex,
        "age": case.age,
        "site": case.site,
    }


def _truth_row(case: Case) -> Row:
    """Latents of all modalities, absent ones too, and the best possible score given what is present."""
    row: Row = {"patient_id": case.patient_id, "case": case.number, "label": case.label, "late_modality": case.late}
    row["log_odds"] = case.log_odds
    for m in case.e:
        row |= {f"e_{m}": case.e[m], f"v_{m}": case.v[m], f"present_{m}": int(m in case.present)}
    return row
