"""The ledger: one commit or none, pages of the work list as a sort would have them, damage told or mended."""

import os
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from clinic_mm.errors import ArtifactError
from clinic_mm.jobs import ledger as ledgers
from clinic_mm.jobs import ledger_read, plan
from clinic_mm.jobs.ledger import Ledger
from clinic_mm.jobs.ledger_read import Listed
from clinic_mm.jobs.unit import Answered, CaseRow, Died, Shard, Why
from clinic_mm.report import ledger_file
from tests.jobs.light import unit_of

KEYS = [f"k{n:03d}" for n in range(40)]


def planned(ledger: Ledger, keys: list[str], size: int = 8, *, changed: tuple[str, ...] = ()) -> None:
    hashes = ["new" if key in changed else "old" for key in keys]
    with ledger.commit() as db:
        plan._put(db, pd.DataFrame({"case_key": keys, "input_hash": hashes, "wanted": True}))
        plan._reconcile(db)
        plan._number(db, size)


def answer(ledger: Ledger, number: int, urgency: float = 0.5) -> None:
    asked = "SELECT case_key FROM cases WHERE unit = ? AND state = 'pending' ORDER BY place"
    keys = [key for (key,) in ledger.db.execute(asked, (number,))]
    rows = tuple(CaseRow(key, "done", silent=False, urgency=urgency, pattern="ct", reason="why") for key in keys)
    shard = Shard(f"day=2026-03-02/part-{number:08d}.parquet", 1, "0", 0, len(rows))
    ledger.record([(Answered(number, rows, shard, 0.3), "m", "s")], [])


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with ledgers.opened(tmp_path) as opened:
        planned(opened, KEYS)
        yield opened


def test_neighbours_are_answered_together_and_each_once(ledger: Ledger) -> None:
    assert ledger.unit_sizes() == dict.fromkeys(range(5), 8)
    assert [ledger.unit_of(key) for key in KEYS[7:9]] == [(0, 0), (1, 0)]
    answer(ledger, 1)
    assert ledger.unit_sizes() == dict.fromkeys((0, 2, 3, 4), 8)
    assert ledger.unit_of(KEYS[8]) is None
    assert (ledger.counts().done, ledger.total(), ledger.pending()) == (8, 40, 32)


def test_only_what_changed_is_pending_again_in_a_later_unit_and_its_old_row_is_stale(ledger: Ledger) -> None:
    for number in range(5):
        answer(ledger, number)
    planned(ledger, ["k0025", *KEYS[:10], *KEYS[11:]], changed=(KEYS[3],))
    assert ledger.pending_keys() == {KEYS[3], "k0025"}
    assert {ledger.unit_of(key) for key in (KEYS[3], "k0025")} == {(5, 0)}
    answer(ledger, 5)
    stale = {number: keys for number, _, keys in ledger.stale()}
    assert stale == {0: frozenset(KEYS[:8]) - {KEYS[3]}, 1: frozenset(KEYS[8:16]) - {KEYS[10]}}


def test_pages_of_the_work_list_are_what_a_sort_would_give(ledger: Ledger) -> None:
    rng = np.random.default_rng(0)
    for number, urgency in enumerate(rng.choice([0.1, 0.5, 0.9], 5)):
        answer(ledger, number, float(urgency))
    pages: list[Listed] = []
    while page := ledger.worklist(7, (pages[-1].urgency, pages[-1].case_key) if pages else None):
        pages.extend(page)
    assert [one.case_key for one in pages] == [
        one.case_key for one in sorted(pages, key=lambda one: (-one.urgency, one.case_key))
    ]
    assert len(pages) == len(KEYS)


def test_a_case_that_dies_alone_for_the_third_time_is_left_alone_and_stands_where_nothing_is_known(
    ledger: Ledger,
) -> None:
    answer(ledger, 1)
    unit = unit_of(0, *KEYS[:8])
    assert not ledger.died(unit, Died(0, "it vanished"))
    assert not ledger.died(replace(unit, tries=1), Died(0, "it vanished"))
    numbers = ledger.split(unit)
    assert numbers == list(range(5, 13))
    assert ledger.died(replace(unit_of(5, KEYS[0]), tries=2), Died(5, "it vanished"))
    assert ledger.counts().quarantined == 1
    assert [one.urgency for one in ledger.worklist(99) if one.state == "quarantined"] == [0.3]
    assert list(ledger.skipped()) == [(KEYS[0], "failed", "", "", "it vanished, 3 times")]
    assert ledger.unit_of(KEYS[1]) == (6, 2)


def test_reasons_of_a_case_are_those_of_its_last_answer(ledger: Ledger) -> None:
    for why in ("first", "second"):
        row = CaseRow(
            KEYS[0],
            "skipped",
            silent=False,
            urgency=0.3,
            pattern="",
            reason="",
            refused=("file.gone",),
            whys=(Why("rejected", "ct", "file.gone", why),),
        )
        ledger.record([(Answered(0, (row,), None, 0.3), "m", "s")], [])
    assert list(ledger.skipped()) == [(KEYS[0], "rejected", "ct", "file.gone", "second")]
    assert ledger.refused() == [("file.gone", 1)]


def test_what_fails_inside_a_commit_leaves_nothing(ledger: Ledger) -> None:
    with pytest.raises(RuntimeError), ledger.commit() as db:  # noqa: PT012 - both are the point
        db.execute("DELETE FROM cases")
        raise RuntimeError
    assert ledger.total() == 40


@pytest.mark.parametrize("hurt", ["page", "header", "gone", "emptied"])
def test_a_damaged_ledger_is_replaced_by_its_copy_and_without_one_refused(hurt: str, tmp_path: Path) -> None:
    said: list[str] = []
    with ledgers.opened(tmp_path) as opened:
        planned(opened, KEYS)
        answer(opened, 0)
        opened.keep_copy()
        answer(opened, 1)
    path = tmp_path / ledgers.FILE
    if hurt == "gone":
        path.unlink()
    elif hurt == "emptied":
        path.write_bytes(b"")
    else:
        at = 4096 if hurt == "page" else 0
        content = path.read_bytes()
        path.write_bytes(content[:at] + b"\xff" * 4096 + content[at + 4096 :])
    with ledgers.opened(tmp_path, said.append) as mended:
        assert mended.counts().done == 8
        answer(mended, 1)
    assert "copy takes its place" in said[0]
    (tmp_path / ledgers.COPY).unlink()
    path.write_bytes(b"no ledger" * 1000)
    with pytest.raises(ArtifactError, match="The ledger is damaged"):
        ledgers.opened(tmp_path)


def test_the_copy_is_on_the_disk_before_it_has_the_ledgers_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ledgers.opened(tmp_path) as opened:
        planned(opened, KEYS)
        opened.keep_copy()
    (tmp_path / ledgers.FILE).unlink()
    synced = list[int]()
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(os.fstat(handle).st_ino) or fsync(handle))
    ledger_file.put_copy_in_place(tmp_path)
    assert synced == [(tmp_path / ledgers.FILE).stat().st_ino, tmp_path.stat().st_ino]


def test_a_ledger_of_another_version_is_refused_and_one_that_is_driven_can_be_read(
    ledger: Ledger, tmp_path: Path
) -> None:
    with ledger_read.read_only(tmp_path) as reader:
        answer(ledger, 0)
        assert reader.counts().done == 8
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            reader.db.execute("DELETE FROM cases")
    with ledger.commit():
        ledger.note("schema_version", "9")
    with pytest.raises(ArtifactError, match="version 9"):
        ledger_read.read_only(tmp_path)
    with pytest.raises(ArtifactError, match="no ledger"):
        ledger_read.read_only(tmp_path / "nowhere")


@pytest.mark.parametrize(("cases", "most", "size"), [(5000, 64, 64), (200, 64, 13), (200, 4, 4), (20, 64, 8)])
def test_a_short_run_is_cut_finer_by_its_cases_alone(tmp_path: Path, cases: int, most: int, size: int) -> None:
    with ledgers.opened(tmp_path) as opened:
        with opened.commit() as db:
            rows = [(f"{n:06}", n, "") for n in range(cases)]
            db.executemany("INSERT INTO cases (case_key, place, input_hash) VALUES (?, ?, ?)", rows)
            plan._number(db, most)
        sizes = opened.unit_sizes()
    assert max(sizes.values()) == size
    assert sum(sizes.values()) == cases
    assert sum(n < size for n in sizes.values()) <= 1
