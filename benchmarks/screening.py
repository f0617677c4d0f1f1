"""Screening against a plain loop that gives the same answers, and what it costs in time and memory.

A SIMULATED cohort of four modalities is made, ingested, and given a model whose experts are networks. Their weights
are drawn, since speed does not hang on them. The loop is that of `plain_loop`, once with filters of the libraries and
once with ours, which are several times faster. It checks, keeps and reports nothing; `clinic-mm screen` does.
"""

import argparse
import csv
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import torch
from numpy import ndarray as Array

from benchmarks.plain_loop import loop
from benchmarks.section import machine, write_section
from clinic_mm.cohort.ingest import ingest
from clinic_mm.cohort.manifest import Cohort, open_cohort
from clinic_mm.cohort.public import public_key
from clinic_mm.cohort.task_cases import task_cases
from clinic_mm.encoders.base import make_encoder
from clinic_mm.encoders.run import Spoken
from clinic_mm.encoders.runtime.opened import Session
from clinic_mm.jobs.spec import read_spec
from clinic_mm.jobs.unit import Answered, Unit
from clinic_mm.jobs.worker import hire
from clinic_mm.predict.artifact import load_model, save_model
from clinic_mm.predict.deploy import load_deployed
from clinic_mm.predict.joint import concatenated
from clinic_mm.predict.model import Model, listen_inside
from clinic_mm.predict.prediction import Prediction
from clinic_mm.prep.batch import prepare_cases
from clinic_mm.report.run import open_run
from clinic_mm.simulate.cohort import write_cohort
from clinic_mm.task import read_task
from clinic_mm.training.heads import fit_ridge
from clinic_mm.training.train import train
from clinic_mm.types import CaseRecord

KINDS = ("ct", "xray", "eeg", "record")
CLOSE = 1e-3
"""Prepared images are kept in halves: what two readers say a last digit apart may be rounded either way."""
UNIT = 64
LEARNT_FROM = 64
CLINIC_MM = str(Path(sys.executable).with_name("clinic-mm"))
POLL_S = 0.2


def made(folder: Path, cases: int, size: str) -> tuple[Path, Path]:
    """A cohort and a model of it whose experts are networks."""
    files, key = folder / "files", public_key(folder / "key")
    write_cohort(files, cases=cases, seed=1, rate=0.2, modalities=KINDS, workers=os.cpu_count() or 1)
    text = (files / "task.toml").read_text(encoding="utf-8").replace('size = "tiny"', f'size = "{size}"')
    (files / "task.toml").write_text(f"{text}\nfolds = 2\n[train]\nepochs = 0\nthreads = 1\n", encoding="utf-8")
    cohort = ingest(files, folder / "cohort", key=key)
    model, _ = train(cohort, read_task(files / "task.toml"), folder / "plain", accept_leaks=True)
    torch.manual_seed(0)
    shapes = {name: prep.shape for name, prep in model.recipe.preps.items()}
    experts = tuple(
        replace(e, how="network", head=None, encoder=make_encoder(e.kind, shapes[e.name], 2, size))
        for e in model.experts
    )
    save_model(with_linear_head(replace(model, experts=experts), cohort), folder / "model")
    return folder / "cohort", folder / "model"


def with_linear_head(model: Model, cohort: Cohort) -> Model:
    """The same model with a linear joint head: a split of trees may lie between two roundings of one summary."""
    cases = prepare_cases(task_cases(cohort, model.task)[:LEARNT_FROM], cohort.roots, model.recipe)
    beside = concatenated(listen_inside(model, cases).heard)
    return replace(model, concat=fit_ridge(beside, cases.labels, 2, seed=0))


# --- clinic-mm screen


def screened(folder: Path, model: Path, cohort: Path, workers: int, *more: str) -> tuple[float, float]:
    """Seconds and the largest memory of all processes together (GiB; shared pages count in each)."""
    command = [CLINIC_MM, "screen", str(model), str(cohort), "--out", str(folder), "--workers", str(workers), *more]
    start, peak = time.perf_counter(), 0.0
    ran = subprocess.Popen([*command, "--json"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)  # noqa: S603 - our own
    while ran.poll() is None:
        peak = max(peak, resident(ran.pid))
        time.sleep(POLL_S)
    took = time.perf_counter() - start
    if ran.returncode:
        raise SystemExit((ran.stderr.read() if ran.stderr else b"").decode())
    return took, peak


def resident(root: int) -> float:
    """GiB of a process and all below it."""
    parents, pages = {}, {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            told = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        pid = int(path.parent.name)
        parents[pid], pages[pid] = int(told[1]), int(told[21])
    below = {root}
    while more := {pid for pid, parent in parents.items() if parent in below} - below:
        below |= more
    return sum(pages.get(pid, 0) for pid in below) * os.sysconf("SC_PAGE_SIZE") / 2**30


@dataclass
class Timed:
    """A session that counts its seconds, and keeps what it was asked."""

    session: Session
    seconds: float = 0.0
    asked: list[Array] = field(default_factory=list)

    @property
    def told(self) -> str:
        """As the session."""
        return self.session.told

    def __call__(self, x: Array) -> Spoken:
        """As the session."""
        start = time.perf_counter()
        said = self.session(x)
        self.seconds += time.perf_counter() - start
        self.asked.append(x)
        return said


def shares(run: Path, model: Path, cases: Sequence[CaseRecord], out: Path) -> tuple[float, float]:
    """Of one worker: share of its time in the networks; and what these reach of the same networks alone."""
    spec = read_spec(run)
    assert spec is not None
    worker = hire(spec, out)
    opened, _ = load_deployed(model)
    timed = [Timed(expert.session) for expert in worker.model.experts if expert.session is not None]
    sessions = iter(timed)
    experts = tuple(replace(e, session=next(sessions)) if e.session else e for e in worker.model.experts)
    worker = replace(worker, model=replace(worker.model, experts=experts))
    start = time.perf_counter()
    for number, unit in enumerate(units(cases)):
        assert isinstance(worker(Unit(number, unit, datetime.now(UTC))), Answered)
    took = time.perf_counter() - start
    inside = sum(one.seconds for one in timed)
    start = time.perf_counter()
    for one in timed:
        every = np.concatenate(one.asked)
        one.session(every)
    alone = time.perf_counter() - start
    del opened
    return inside / took, alone / inside


def told_of(prediction: Prediction, case_key: str, folder: Path) -> str:
    """What to look at, kept with the files it is about: a case that is answered apart is rare."""
    kept = Path(tempfile.mkdtemp(prefix="clinic_mm_apart_"))
    shutil.copytree(folder, kept, dirs_exist_ok=True)
    missing = ", ".join(f"{one.modality} {one.code}" for one in prediction.missing)
    return f"{case_key}, {'+'.join(prediction.pattern)}, without {missing or 'nothing'}, kept in {kept}"


def units(cases: Sequence[CaseRecord]) -> Iterator[tuple[CaseRecord, ...]]:
    """As a screening hands them out."""
    left = iter(cases)
    while unit := tuple(itertools.islice(left, UNIT)):
        yield unit


def repeated(folder: Path, cases: int) -> Path:
    """A cohort of so many cases from the same files: every patient again and again, a second later."""
    files = folder / "files"
    with (files / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    times = [datetime.fromisoformat(row["decision_time"]) for row in rows]
    with (files / "labels.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        for k in range(cases):
            row, when = rows[k % len(rows)], times[k % len(rows)] + timedelta(seconds=k // len(rows))
            writer.writerow({**row, "decision_time": when.isoformat().replace("+00:00", "Z")})
    ingest(files, folder / "many", key=public_key(folder / "key"))
    return folder / "many"


def main() -> None:
    """Measure, print, and put the figures into a page."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--cases", type=int, default=200)
    asked.add_argument("--many", type=int, default=20000, help="cases of the memory run; 0 leaves it out")
    asked.add_argument("--size", default="small", choices=["tiny", "small", "base"])
    asked.add_argument("--workers", type=int, default=2)
    asked.add_argument("--repeats", type=int, default=3)
    asked.add_argument("--page", type=Path)
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as name:
        body = measured(Path(name), given)
    print(body)
    if given.page:
        write_section(given.page, f"Screening, networks of size {given.size}", body)


def measured(folder: Path, given: argparse.Namespace) -> str:
    """The section."""
    cohort_folder, model_folder = made(folder, given.cases, given.size)
    cohort, (model, _) = open_cohort(cohort_folder), load_model(model_folder)
    cases = task_cases(cohort, model.task)
    screened(folder / "warm", model_folder, cohort_folder, given.workers, "--limit", "8")
    start_s, _ = screened(folder / "start", model_folder, cohort_folder, given.workers, "--limit", "1")
    plain, quick, ours, peaks = [], [], [], []
    for turn in range(given.repeats):
        seconds, answers = loop(model, cases, cohort)
        plain.append(seconds)
        quick.append(loop(model, cases, cohort, ours=True)[0])
        took, peak = screened(folder / f"run{turn}", model_folder, cohort_folder, given.workers)
        ours.append(took)
        peaks.append(peak)
    run = open_run(folder / "run0")
    keys = [key for key in run.worklist()["case_key"] if key in answers]
    differ = {key: float(np.abs(np.array(run.prediction(key).probabilities) - answers[key]).max()) for key in keys}
    most = max(differ, key=differ.__getitem__)
    apart = differ[most]
    assert apart < CLOSE, f"the two ways differ by {apart} in {told_of(run.prediction(most), most, folder)}"
    inside, reached = shares(folder / "run0", model_folder, cases, folder / "timed")
    slow, quicker, fast = (float(np.median(each)) for each in (plain, quick, ours))
    started = fast - start_s
    memory = f"| peak memory, {len(cases)} cases | {max(peaks):.2f} GiB | <= 3 GiB |"
    last, of, first = folder / "run0", cohort_folder, fast
    if given.many:
        last, of = folder / "long", repeated(folder, given.many)
        first, peak = screened(last, model_folder, of, given.workers)
        memory += f"\n| peak memory, {given.many} cases | {peak:.2f} GiB, {peak / max(peaks):.2f} x | within 10 % |"
    again, _ = screened(last, model_folder, of, given.workers, "--resume")
    second = f"{again:.2f} s, {first / again:.0f} x faster"
    page = f"python -m benchmarks.screening --cases {given.cases} --many {given.many} --size {given.size}"
    return f"""{len(cases)} SIMULATED cases of CT, X-ray, EEG and record, one in five pieces missing, size
`{given.size}`, networks as experts (drawn weights), {machine()}. The plain loop: MONAI LoadImage, MNE,
the same preparation by filters, quantiles and holes of SciPy and NumPy, eager PyTorch on all {os.cpu_count()} cores,
one case at a time; it checks and writes nothing.
`clinic-mm screen`: {given.workers} workers; reports, shards and ledger are written. Medians of {given.repeats} turns.

| what | seen | reach |
|---|---|---|
| plain loop | {len(cases) / slow:.2f} cases/s | |
| the same with our own filters and quantiles | {len(cases) / quicker:.2f} cases/s | |
| `clinic-mm screen`, start of {start_s:.1f} s included | {len(cases) / fast:.2f} cases/s, {slow / fast:.2f} x | |
| the same once started | {len(cases) / started:.2f} cases/s, {slow / started:.2f} x | >= 4 x |
| the same, against the loop with our own filters | {quicker / started:.2f} x | |
| of a worker's time in the networks | {inside:.0%} | >= 60 % |
| of the speed of the same networks alone | {reached:.0%} | >= 70 % |
| second run on unchanged inputs, {given.many or len(cases)} cases | {second} | >= 100 x |
{memory}

Probabilities of the two ways differ by at most {apart:.1g} over {len(keys)} cases. The joint head is linear
here: of trees, a split may lie between two roundings of one summary (one of 200 cases was answered 0.06 apart).
Command: `{page} --workers {given.workers} --repeats {given.repeats} --page docs/performance.md`"""


if __name__ == "__main__":
    main()
