"""Decide what a run has still to do: exactly what is new, or has changed, or was never finished.

In:  the ledger of the run, its job, the cohort as it is now. Out: the same ledger, in which every case that is to be
answered is pending and has its unit. One commit: a kill in the middle leaves the plan as it was.

What decides: another model or other settings, everything; another input hash, that case; a shard that is gone or
damaged, the cases of its unit; a case that failed, that case, up to its last try. A case that left the cohort leaves
the run. While the cohort's index is the one that was planned with, no case is looked at. Nothing here answers anything.
"""

import hashlib
import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, NamedTuple

import pandas as pd

from clinic_mm.cohort.manifest import Cohort
from clinic_mm.cohort.stream import ALL, Wanted, case_index, index_hash
from clinic_mm.errors import InputError
from clinic_mm.jobs.ledger import Ledger
from clinic_mm.jobs.spec import Head, JobSpec, Selection
from clinic_mm.predict.seen import check_unseen, trained_on

RESET: Final = (
    "state = 'pending', unit = NULL, tries = 0, silent = 0, urgency = NULL, pattern = '', reason = '', refused = ''"
)
LEAST_UNIT: Final = 8
PARTS: Final = 16
"""A run is cut into so many units at least, but into none of fewer cases than `LEAST_UNIT`."""
NO_CASE: Final = "See clinic-mm describe: a labels row needs the decision time that the task names"


class Plan(NamedTuple):
    """What was decided: why finished cases are to be done again, in words for the operator; "" where none are."""

    again: tuple[str, ...]


def plan(
    ledger: Ledger,
    run: Path,
    spec: JobSpec,
    head: Head,
    cohort: Cohort,
    *,
    retry: bool,
    say: Callable[[str], None],
    agree: Callable[[], None] = lambda: None,
) -> Plan:
    """Bring the ledger up to what is to be done.

    Args:
        ledger: Of the run.
        run: Its folder.
        spec: The job as it is asked for now.
        head: Its model.
        cohort: As it is now.
        retry: Whether what failed, was quarantined, or was refused when read, is tried anew.
        say: Told of patients that the model was trained on, and of finished cases that are not selected.
        agree: Called once nothing of the job can be refused any more, before anything of the run is changed.

    Raises:
        InputError: If the cohort has no case.
        TaskError: If the cohort does not fit the task or the selection.
        LeakError: If only unseen patients are asked for, and there is none.
    """
    lost, moved = lost_shards(ledger, run)
    index = _key(spec, head, cohort)
    unselected, now = 0, None if ledger.meta("index") == index else _now(spec.selection, head, cohort, say)
    before = ledger.counts().total
    agree()
    with ledger.commit() as db:
        db.execute("DELETE FROM units WHERE state = 'claimed'")
        db.executemany("UPDATE units SET mtime_ns = ? WHERE number = ?", moved)
        again = [*_other_maker(ledger, spec), *_again(db, lost, retry=retry)]
        if now is not None:
            _put(db, now)
            unselected = _reconcile(db)
            ledger.note("index", index)
            ledger.note("cohort_cases", str(len(now)))
        _number(db, spec.settings.unit)
        if now is not None or again or ledger.pending():
            ledger.note("unfinished", "1")
    after = ledger.counts().total
    if unselected:
        say(
            f"{unselected} finished cases are not selected: they stay in the run. A new --out has none but the selected"
        )
    if before > after:
        again.append(f"{before - after} finished cases are new or changed in the cohort, or to be done again")
    return Plan(tuple(again))


def _key(spec: JobSpec, head: Head, cohort: Cohort) -> str:
    """Of everything that `_now` rests on; the model says by its training patients who is unseen."""
    told = f"{index_hash(cohort, head.task)} {head.hash} {spec.selection.model_dump_json()} {spec.settings.unit}"
    return hashlib.sha256(told.encode()).hexdigest()


def _now(selection: Selection, head: Head, cohort: Cohort, say: Callable[[str], None]) -> pd.DataFrame:
    """Every case of the cohort, and whether it is wanted."""
    every = case_index(cohort, head.task)
    if every.empty:
        raise InputError("The cohort has no case", str(cohort.path), NO_CASE)
    seen = every["patient_key"].isin(trained_on(every["patient_key"].unique(), head.facts))
    keys = None
    if selection.unseen:
        check_unseen(int((~seen).sum()))
        keys = frozenset(every.loc[~seen, "case_key"])
    chosen = Wanted(selection.since, selection.pattern, selection.limit, keys)
    if chosen == ALL:
        wanted = pd.Series(data=True, index=every.index)
    else:
        wanted = every["case_key"].isin(case_index(cohort, head.task, chosen)["case_key"])
    if known := int((seen & wanted).sum()):
        told = f"{known} of these {int(wanted.sum())} cases are of patients that the model was trained on"
        say(f"{told}: their answers are no measure of it. Leave them out with --unseen")
    return every.assign(wanted=wanted)


def lost_shards(ledger: Ledger, run: Path) -> tuple[list[int], list[tuple[int, int]]]:
    """Units whose shard is gone, or is not what was written; and of shards that were only copied, their new times."""
    asked = "SELECT number, shard, size, sha256, next_sha256, mtime_ns FROM units WHERE shard IS NOT NULL"
    lost, moved = [], []
    for number, name, size, sha256, next_sha256, mtime_ns in ledger.db.execute(asked):
        path = run / "shards" / name
        try:
            found = path.stat()
            if (found.st_size, found.st_mtime_ns) == (size, mtime_ns):
                continue
            with path.open("rb") as file:
                whole = hashlib.file_digest(file, "sha256").hexdigest() in (sha256, next_sha256)
        except OSError:
            whole = False
        if not whole:
            lost.append(number)
        elif found.st_size == size:
            moved.append((found.st_mtime_ns, number))
    return lost, moved


def _other_maker(ledger: Ledger, spec: JobSpec) -> list[str]:
    """Everything is done again by another model, or with other settings; their shards are never mixed."""
    before = ledger.meta("maker")
    ledger.note("maker", spec.maker)
    if before in ("", spec.maker):
        return []
    ledger.db.execute(f"UPDATE cases SET {RESET}")  # noqa: S608 - a constant
    ledger.db.execute("DELETE FROM units")
    ledger.db.execute("DELETE FROM whys")
    ledger.note("sweep", "reports")
    return ["the model is another" if before.split()[0] != spec.model_hash else "the settings are others"]


def _again(db: sqlite3.Connection, lost: list[int], *, retry: bool) -> list[str]:
    told = []
    if lost:
        units = [(number,) for number in lost]
        keep = RESET.replace("unit = NULL, ", "")  # the same cases together: the same bits
        db.executemany(f"UPDATE cases SET {keep} WHERE unit = ? AND state <> 'quarantined'", units)  # noqa: S608
        db.executemany("DELETE FROM units WHERE number = ?", units)
        told.append(f"{len(lost)} shards are gone or damaged")
    if retry:
        db.execute(
            f"UPDATE cases SET {RESET} WHERE state IN ('failed', 'quarantined') OR refused <> ''"  # noqa: S608
        )
    else:
        keep = RESET.replace("tries = 0, ", "")
        db.execute(f"UPDATE cases SET {keep} WHERE state = 'failed'")  # noqa: S608
    return told


def _put(db: sqlite3.Connection, now: pd.DataFrame) -> None:
    """The cohort as it is now, beside the ledger's cases."""
    db.execute("DROP TABLE IF EXISTS temp.now")
    db.execute(
        "CREATE TEMP TABLE now (place INTEGER PRIMARY KEY, case_key TEXT UNIQUE, input_hash TEXT, wanted INTEGER)"
    )
    rows: Iterable[tuple[int, str, str, int]] = zip(
        range(len(now)), now["case_key"], now["input_hash"], now["wanted"].astype(int), strict=True
    )
    db.executemany("INSERT INTO now VALUES (?, ?, ?, ?)", rows)


def _reconcile(db: sqlite3.Connection) -> int:
    """Cases that are gone, not wanted and not done, changed, moved, and new.

    Returns:
        How many are done and not wanted: they stay.
    """
    gone = db.execute("DELETE FROM cases WHERE case_key NOT IN (SELECT case_key FROM now)").rowcount
    unwanted = "SELECT case_key FROM cases JOIN now USING (case_key) WHERE NOT wanted"
    other = "(state = 'pending' OR cases.input_hash <> now.input_hash)"
    gone += db.execute(f"DELETE FROM cases WHERE case_key IN ({unwanted} AND {other})").rowcount  # noqa: S608
    if gone:
        db.execute("INSERT OR REPLACE INTO meta VALUES ('sweep', 'reports')")
    db.execute(
        f"UPDATE cases SET {RESET}, input_hash = now.input_hash FROM now"  # noqa: S608 - a constant
        " WHERE now.case_key = cases.case_key AND now.input_hash <> cases.input_hash"
    )
    db.execute(
        "UPDATE cases SET place = now.place FROM now WHERE now.case_key = cases.case_key AND now.place <> cases.place"
    )
    db.execute(
        "INSERT INTO cases (case_key, place, input_hash) SELECT case_key, place, input_hash FROM now"
        " WHERE wanted AND case_key NOT IN (SELECT case_key FROM cases) ORDER BY place"
    )
    db.execute("DELETE FROM whys WHERE case_id NOT IN (SELECT id FROM cases)")
    stay: int = db.execute(f"SELECT count(*) FROM ({unwanted})").fetchone()[0]  # noqa: S608 - a constant
    db.execute("DROP TABLE temp.now")
    return stay


def _number(db: sqlite3.Connection, most: int) -> None:
    """Units for what is pending and has none: neighbours in the cohort are answered together.

    A short list is cut finer, so that workers end together. Not by their number: other units are other last bits.
    """
    db.execute("DELETE FROM whys WHERE case_id IN (SELECT id FROM cases WHERE state = 'pending')")
    count: int = db.execute("SELECT count(*) FROM cases WHERE state = 'pending' AND unit IS NULL").fetchone()[0]
    size = min(most, max(LEAST_UNIT, -(-count // PARTS)))
    db.execute(
        "UPDATE cases SET unit = first + (n - 1) / ? FROM"
        " (SELECT 1 + max((SELECT coalesce(max(unit), -1) FROM cases), (SELECT coalesce(max(number), -1) FROM units))"
        "  AS first),"
        " (SELECT id AS mine, row_number() OVER (ORDER BY place) AS n FROM cases"
        "  WHERE state = 'pending' AND unit IS NULL)"
        " WHERE id = mine",
        (size,),
    )
