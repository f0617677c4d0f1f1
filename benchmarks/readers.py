"""What a reading room bears: many readers at once, over websocket and HTTP, on several servers behind nginx.

    python -m benchmarks.readers --readers 50 --minutes 3 --servers 4 --page docs/performance.md

A SIMULATED cohort with made-up answers, and beside it larger CT series in which everybody turns slices. Servers as
`clinic-mm dashboard --processes` starts them, nginx as docs/operations/nginx-dashboard.conf has it (no https). Every
reader signs in with his password and reads cases of his own from the list to the signature (`benchmarks.reader_day`),
one action each 10 s on average, all from one process of this machine: what it costs is told beside.

Memory is the proportional share (PSS) of all processes of the servers: before anybody came, after a first wave, in
the second one at most, and after that one has left. What the second wave leaves behind beside the first would grow
from day to day. Streamlit keeps the session of somebody who left for two minutes, in case he comes again.
"""

import argparse
import logging
import os
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np
import pydicom
from pydicom.uid import generate_uid

from benchmarks.ct_series import simulated
from benchmarks.reader_day import BY_ITSELF, COMES_IN, Told, Visit
from benchmarks.section import machine, write_section
from clinic_mm.cohort.ingest import ingest
from clinic_mm.report.run import Counts, ModelOf, Prediction, RunInfo, write_run, write_shard, write_skipped
from clinic_mm.simulate.cohort import write_cohort
from clinic_mm.store.store import open_store
from clinic_mm.types import CaseRecord
from clinic_mm.viewing.study import study_id
from tests.nginx import fronted
from tests.report.predictions import made_up
from tests.serving import PASSWORD, Address, serving

TITLE: Final = "Many readers at once"
P95_S: Final = 2.0
RETURNS_WITHIN: Final = 0.10
FORGOTTEN_S: Final = 130
"""After this long Streamlit has let go of whoever left."""
ACTIONS_A_CASE: Final = 9
MODALITIES: Final = {name: name for name in ("ct", "xray", "eeg", "record", "note")}
LARGE, WIDE = 2, 512


@dataclass
class Wave:
    """What came of some readers at once.

    Attributes:
        told: Of each reader.
        most_mb: Memory of the servers, at most.
        left_mb: Afterwards.
        busy: Processor seconds of the servers and of the readers, by second of the wave.
    """

    told: list[Told]
    most_mb: float
    left_mb: float = 0.0
    busy: dict[str, float] = field(default_factory=dict)


def main() -> None:
    """Serve, send the readers, and tell."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--readers", type=int, default=50)
    asked.add_argument("--minutes", type=float, default=3.0)
    asked.add_argument("--servers", type=int, default=4)
    asked.add_argument("--every", type=float, default=10.0, help="seconds from action to action")
    asked.add_argument("--slices", type=int, default=200, help="of each larger CT series, 512 x 512")
    asked.add_argument("--settle", type=float, default=FORGOTTEN_S, help="seconds after a wave")
    asked.add_argument("--page", type=Path)
    given = asked.parse_args()
    logging.getLogger("websockets").setLevel(logging.CRITICAL)
    a_visit = 1 + int(60 * given.minutes / given.every / ACTIONS_A_CASE)
    with tempfile.TemporaryDirectory() as folder:
        run, keys, large = a_run(Path(folder), given.readers * (a_visit + 1), given.slices)
        with served(run, Path(folder), given.servers) as (front, processes):
            names = people(front.home, given.readers)
            empty, browsers = memory_mb(processes), [set[str]() for _ in names]
            at_first, then = keys[: given.readers], keys[given.readers :]
            first = wave(front, processes, names, browsers, at_first, large, min(1.0, given.minutes), given.every)
            first.left_mb = settled(processes, given.settle)
            second = wave(front, processes, names, browsers, then, large, given.minutes, given.every)
            second.left_mb = settled(processes, given.settle)
    body = in_words(given, empty, first, second)
    print(body)
    if given.page:
        write_section(given.page, TITLE, body)


def a_run(base: Path, cases: int, slices: int) -> tuple[Path, list[str], list[str]]:
    """A run of made-up answers, the keys of its plain cases, and where the larger series are served."""
    write_cohort(base / "files", cases=cases, seed=7, rate=0.1)
    for at in range(LARGE):
        _large(base / "files", at, slices)
    found = ingest(base / "files", base / "cohort", key=base / "key").cases()
    run = base / "run"
    scores = np.random.default_rng(7).normal(0, 1.5, (len(found), len(MODALITIES)))
    answers = [_answered(case, row.tolist()) for case, row in zip(found, scores, strict=True)]
    write_shard(answers, run / "shards" / "part-00000.parquet")
    write_skipped([], run)
    info = RunInfo(
        run_id="r1",
        model=ModelOf(path="model", hash="a" * 64, name="none", version="0.1.0"),
        cohort=str(base / "cohort"),
        target="disease",
        classes=("negative", "positive"),
        modalities=MODALITIES,
        counts=Counts(done=len(found)),
        simulated=True,
        finished_at=datetime.now(UTC),
    )
    write_run(info, run)
    large = {case.case_key: case.usable("ct")[0] for case in found if set(case.pattern) == {"ct"} and _wide(case)}
    assert len(large) == LARGE, "the larger series are cases of their own"
    return (
        run,
        [case.case_key for case in found if case.case_key not in large],
        [f"/v1/case/{key}/ct/{study_id(one)}" for key, one in large.items()],
    )


def _large(files: Path, at: int, slices: int) -> None:
    """A series of 512 x 512 of a patient of its own."""
    folder = files / "dicom" / f"large{at}"
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as one:
        original = pydicom.dcmread(simulated(Path(one))[0])
    stored, series, study = np.frombuffer(original.PixelData, "<u2"), generate_uid(), generate_uid()
    original.StudyDate = original.SeriesDate = original.AcquisitionDate = original.ContentDate = "20260301"
    original.StudyTime = original.SeriesTime = original.AcquisitionTime = original.ContentTime = "080000"
    for z in range(slices):
        original.PatientID, original.SeriesInstanceUID, original.StudyInstanceUID = f"SIM-LARGE-{at}", series, study
        original.SOPInstanceUID = original.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        original.InstanceNumber, original.ImagePositionPatient = z + 1, [-250.0, -250.0, 1.25 * z]
        original.SliceThickness = 1.25
        original.PixelData = np.roll(stored, 37 * z + 1009 * at).tobytes()
        original.save_as(folder / f"{z:04d}.dcm", enforce_file_format=True)
    with (files / "labels.csv").open("a", encoding="utf-8") as labels:
        labels.write(f"SIM-LARGE-{at},2026-03-02T08:00:00Z,0,male,60,site-a\n")


def _wide(case: CaseRecord) -> bool:
    shape = case.usable("ct")[0].meta.get("shape")
    return isinstance(shape, list) and shape[0] == WIDE


def _answered(case: CaseRecord, scores: list[float]) -> Prediction:
    """Made up, of what there is."""
    shares = {name: score for name, score in zip(MODALITIES, scores, strict=True) if name in case.pattern}
    found = made_up(case.case_key, shares)
    return found.model_copy(update={"decision_time": case.decision_time, "patient_key": case.patient_key})


@contextmanager
def served(run: Path, base: Path, servers: int) -> Iterator[tuple[Address, list[int]]]:
    """Where nginx answers, and the process ids of the servers behind it; all end with the block."""
    home = base / "room"
    with ExitStack() as stack:
        rooms = [stack.enter_context(serving(run, home, base / "log")) for _ in range(servers)]
        front = Address(stack.enter_context(fronted(base, rooms)))
        front.home, front.cookie_name, front.token = rooms[0].home, rooms[0].cookie_name, rooms[0].token
        yield front, [room.process for room in rooms]


def people(home: Path, readers: int) -> list[str]:
    """Names of readers with passwords."""
    names = [f"Reader {at}" for at in range(readers)]
    with open_store(f"sqlite:///{home / 'store.sqlite'}", heads=home / "heads") as store:
        for name in names:
            store.users.add(name, ["reader", "signer"], password=PASSWORD)
    return names


def wave(
    front: Address,
    processes: Sequence[int],
    names: Sequence[str],
    browsers: Sequence[set[str]],
    keys: Sequence[str],
    large: Sequence[str],
    minutes: float,
    every_s: float,
) -> Wave:
    """Readers at once, for so long, each with cases of his own, and a browser that may have files already."""
    over = threading.Event()
    visits = [
        Visit(front, name, keys[at :: len(names)], large, every_s=every_s, seed=at, kept=browser)
        for at, (name, browser) in enumerate(zip(names, browsers, strict=True))
    ]
    threads = [threading.Thread(target=visit.day, args=(over,)) for visit in visits]
    began, used, own = time.monotonic(), cpu_s(processes), time.process_time()
    for thread in threads:
        thread.start()
    most = memory_mb(processes)
    while time.monotonic() < began + 60 * minutes:
        time.sleep(min(2.0, 60 * minutes))
        most = max(most, memory_mb(processes))
    lasted = time.monotonic() - began
    busy = {"servers": (cpu_s(processes) - used) / lasted, "readers": (time.process_time() - own) / lasted}
    over.set()
    for thread in threads:
        thread.join()
    return Wave([visit.told for visit in visits], max(most, memory_mb(processes)), busy=busy)


def settled(processes: Sequence[int], after_s: float) -> float:
    """Memory when nobody is there any more."""
    time.sleep(after_s)
    return memory_mb(processes)


def memory_mb(processes: Sequence[int]) -> float:
    """Proportional share of memory (PSS) of processes and all that they started, MB of 10^6 bytes."""
    kb = 0
    for process in _family(processes):
        try:
            rolled = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii")
        except OSError:  # ended meanwhile
            continue
        kb += next(int(line.split()[1]) for line in rolled.splitlines() if line.startswith("Pss:"))
    return kb * 1024 / 1e6


def cpu_s(processes: Sequence[int]) -> float:
    """Processor seconds that they have used; of what they started, as long as it runs or once it was waited for."""
    total = 0
    for process in _family(processes):
        try:
            fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        except OSError:
            continue
        total += sum(map(int, fields[11:15]))
    return total / os.sysconf("SC_CLK_TCK")


def _family(processes: Sequence[int]) -> list[int]:
    found, ahead = [], list(processes)
    while ahead:
        one = ahead.pop()
        found.append(one)
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            try:
                ahead += map(int, task.read_text(encoding="ascii").split())
            except OSError:
                continue
    return found


def in_words(given: argparse.Namespace, empty: float, first: Wave, second: Wave) -> str:
    """The section of the page."""
    took = [one for told in second.told for one in told.took]
    unknown = [s for told in first.told for kind, _, s in told.took if kind == COMES_IN]
    acts = [seconds for kind, _, seconds in took if kind != BY_ITSELF]
    failed = Counter(f"{kind}: {how}" for one in (first, second) for told in one.told for kind, how in told.failed)
    rows = "\n".join(_row(kind, [s for name, _, s in took if name == kind]) for kind in _kinds(took))
    p95 = _p95(acts)
    left = second.left_mb / first.left_mb - 1
    returned = left <= RETURNS_WITHIN and second.left_mb < second.most_mb
    verdicts = [
        f"errors: **{sum(failed.values())}** (asked: 0)",
        f"p95 of an action: **{p95:.2f} s** (asked: under {P95_S:g} s)",
        f"memory after they left: **{second.left_mb:,.0f} MB**, {left:+.0%} beside the time before they came",
    ]
    short = [f"- falls short: {how}, {count} times" for how, count in failed.most_common(10)]
    short += [f"- falls short: p95 {p95:.2f} s"] if p95 >= P95_S else []
    short += [] if returned else ["- falls short: memory does not return"]
    command = f"`python -m benchmarks.readers --readers {given.readers} --minutes {given.minutes:g}"
    return f"""{command} --servers {given.servers} --page docs/performance.md`, {machine()}.

SIMULATED cohort, made-up answers. {given.readers} readers, one action each {given.every:g} s, {given.minutes:g} min,
{given.servers} server processes behind nginx, SQLite; {len(acts):,} actions, after a first wave of the same readers,
whose browsers then have what the server calls immutable. All sign in within {given.every:g} s, and open page and
list at once.
CT of 64 x 64 x 48 in their own cases, {LARGE} series of 512 x 512 x {given.slices} in which everybody turns slices.

{"; ".join(verdicts)}.

| action | n | median | p95 | slowest |
|---|---:|---:|---:|---:|
{rows}
{_row("**all actions**", acts)}
{_row("first wave, not counted: comes in with an empty browser", unknown)}

| memory of all servers (PSS) | MB |
|---|---:|
| started, nobody came yet | {empty:,.0f} |
| first wave, at most | {first.most_mb:,.0f} |
| {given.settle:g} s after it left | {first.left_mb:,.0f} |
| second wave, at most | {second.most_mb:,.0f} |
| {given.settle:g} s after it left | {second.left_mb:,.0f} |

Processors in use, of {os.cpu_count()}: servers {second.busy["servers"]:.2f}, the readers themselves \
{second.busy["readers"]:.2f}. The list by itself is what an open list asks for every 15 s; nobody waits for it.
{chr(10).join(["", *short]) if short else ""}"""


def _kinds(took: Sequence[tuple[str, float, float]]) -> list[str]:
    """In the order of a reading, what runs by itself last."""
    found = dict.fromkeys(kind for kind, _, _ in sorted(took, key=lambda one: one[1]))
    return [*(kind for kind in found if kind != BY_ITSELF), *([BY_ITSELF] if BY_ITSELF in found else [])]


def _row(kind: str, seconds: Sequence[float]) -> str:
    if not seconds:
        return f"| {kind} | 0 | | | |"
    return f"| {kind} | {len(seconds):,} | {median(seconds):.2f} s | {_p95(seconds):.2f} s | {max(seconds):.2f} s |"


def _p95(seconds: Sequence[float]) -> float:
    return float(np.percentile(seconds, 95)) if seconds else float("nan")


if __name__ == "__main__":
    main()
