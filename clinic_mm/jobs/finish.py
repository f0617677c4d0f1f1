"""Finish a run: one row for every case, the lists for people, and `run.json` last.

In:  a ledger in which nothing is pending. Out: shards without rows that a later one replaced, skipped.csv,
worklist.csv, the model card, run.json. Every step may be repeated: a kill in the middle costs nothing else.
"""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from clinic_mm.cohort.manifest import Cohort
from clinic_mm.errors import ClinicError, InputError
from clinic_mm.jobs.card import write_card
from clinic_mm.jobs.ledger import Ledger
from clinic_mm.jobs.plan import lost_shards
from clinic_mm.jobs.spec import Head, JobSpec
from clinic_mm.report.atomic import TEMP, written_whole
from clinic_mm.report.run import (
    SKIPPED_COLUMNS,
    WORKLIST_COLUMNS,
    ModelOf,
    RunInfo,
    kept_rows,
    write_run,
    write_skipped,
    write_worklist,
)

PAGE: Final = 10_000
"""Lines of the work list in memory at a time."""
SHORT: Final = 50_000
"""Cases whose lists are written in about half a second."""


def finish(ledger: Ledger, run: Path, spec: JobSpec, head: Head, cohort: Cohort) -> RunInfo:
    """Everything that a finished run has.

    Raises:
        ClinicError: If the rows on disk do not come out even with the ledger, which is our fault.
        InputError: If the run cannot be written, or a shard was damaged since it was written.
    """
    if ledger.pending():
        raise ClinicError(f"{ledger.pending()} cases have no end", str(run), "Go on with --resume, and report this")
    _check_whole(ledger, run)
    _compact(ledger, run)
    sweep(ledger, run)
    _check_even(ledger, run)
    _write_lists(ledger, run)
    write_card(Path(spec.model), run)
    info = info_of(ledger, spec, head, cohort, finished_at=datetime.now(UTC))
    write_run(info, run)
    with ledger.commit():
        ledger.note("unfinished", "")
    ledger.keep_copy()
    return info


def leave(ledger: Ledger, run: Path, spec: JobSpec, head: Head, cohort: Cohort, *, at_once: bool = False) -> None:
    """What a run has that is not finished, for who reads it meanwhile: the lists as far as they go, and `run.json`.

    Where somebody waits for it to stop `at_once`, long lists stay as they are.
    """
    if not at_once or ledger.total() <= SHORT:
        _write_lists(ledger, run)
    write_run(info_of(ledger, spec, head, cohort, finished_at=None), run)


def _write_lists(ledger: Ledger, run: Path) -> None:
    write_skipped((dict(zip(SKIPPED_COLUMNS, row, strict=True)) for row in ledger.skipped()), run)
    write_worklist(_lines(ledger), run)


def info_of(ledger: Ledger, spec: JobSpec, head: Head, cohort: Cohort, *, finished_at: datetime | None) -> RunInfo:
    """What run.json says; without `finished_at`, of a run that is not finished."""
    task = head.task
    return RunInfo(
        run_id=spec.run_id,
        model=ModelOf(path=spec.model, hash=head.hash, name=task.target, version=str(head.facts["clinic_mm"])),
        cohort=spec.cohort,
        target=task.target,
        kind=task.kind,
        classes=task.classes,
        modalities={name: task.kind_of(name) for name in task.modalities},
        decision_time=task.decision_time,
        counts=ledger.counts(),
        simulated=cohort.info.simulated,
        finished_at=finished_at,
    )


def sweep(ledger: Ledger, run: Path) -> None:
    """Remove what killed processes left, and shards and reports of what is no longer in the run."""
    shards = run / "shards"
    for temp in [*run.glob(TEMP), *(run / "reports").glob(TEMP), *shards.glob(f"**/{TEMP}")]:
        temp.unlink(missing_ok=True)
    known = ledger.shards()
    for path in shards.glob("**/part-*.parquet"):
        if path.relative_to(shards).as_posix() not in known:
            path.unlink()
    if ledger.meta("sweep"):
        for path in (run / "reports").glob("*.json"):
            if not ledger.has_done(path.stem):
                path.unlink()
        with ledger.commit():
            ledger.note("sweep", "")


def _compact(ledger: Ledger, run: Path) -> None:
    """Drop rows of cases that were answered again, or have left: each shard is rewritten in one step."""
    for number, name, keys in ledger.stale():
        path = run / "shards" / name
        if not keys:
            ledger.compacted(number, None)
            continue
        content = kept_rows(path, keys)
        sha256 = hashlib.sha256(content).hexdigest()
        ledger.compacting(number, sha256)  # a kill between the two is no damage: either content is right
        written_whole(path, content)
        ledger.compacted(number, (len(content), sha256, path.stat().st_mtime_ns, len(keys)))


def _check_whole(ledger: Ledger, run: Path) -> None:
    """What a disk did to shards while the run went on is told now, and not by whoever reads them."""
    if lost := len(lost_shards(ledger, run)[0]):
        what = f"{lost} shards are gone or damaged since they were written"
        raise InputError(what, str(run), "See to the disk, and go on with --resume: their cases are answered again")


def _check_even(ledger: Ledger, run: Path) -> None:
    """Every case once: in one shard that is there, or with a reason."""
    counts, rows, total = ledger.counts(), ledger.rows(), ledger.total()
    there = sum(1 for name in ledger.shards() if (run / "shards" / name).is_file())
    if counts.total != total or rows != counts.done or there != len(ledger.shards()):
        what = f"{total} cases: {counts.words}; {rows} rows in {there} of {len(ledger.shards())} shards"
        raise ClinicError(f"The run does not come out even: {what}", str(run), "Go on with --resume, and report this")


def _lines(ledger: Ledger) -> Iterator[dict[str, object]]:
    """The work list, as worklist.csv has it; one page in memory at a time."""
    rank, after = 0, None
    while page := ledger.worklist(PAGE, after):
        for line in page:
            rank += 1
            answered = line.state == "done" and not line.silent
            values = (
                f"{line.urgency:.4f}",
                line.state,
                "answered" if answered else "no answer",
                line.pattern,
                line.reason,
            )
            yield dict(zip(WORKLIST_COLUMNS, (rank, line.case_key, *values), strict=True))
        after = (page[-1].urgency, page[-1].case_key)
