"""What a run becomes in the store: once, however often it is imported, also while it goes on; never over a decision."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from clinic_mm.errors import ArtifactError, InputError
from clinic_mm.jobs.lock import only_driver
from clinic_mm.report.ledger_file import FILE, SCHEMA
from clinic_mm.report.run import open_run, write_skipped
from clinic_mm.store import Store, WorklistQuery, open_store
from tests.store.conftest import SCORES, Clock, write_made_run


@pytest.fixture
def empty(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    with open_store(str(tmp_path / "store.sqlite"), heads=tmp_path / "heads", clock=clock) as store:
        yield store


def ledger(run: Path, rows: list[tuple[str, str, float | None, str]]) -> None:
    """A ledger with these cases; `claimed` ones have a unit that is being worked on."""
    (run / FILE).unlink(missing_ok=True)
    db = sqlite3.connect(run / FILE)
    db.executescript(SCHEMA)
    for place, (key, state, urgency, reason) in enumerate(rows):
        stored = "pending" if state == "claimed" else state
        columns = "case_key, place, input_hash, unit, state, urgency, reason"
        values = (key, place, "h", place, stored, urgency, reason)
        db.execute(f"INSERT INTO cases ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)", values)  # noqa: S608
        if state == "claimed":
            db.execute("INSERT INTO units (number, state, at) VALUES (?, 'claimed', '')", (place,))
    db.commit()
    db.close()


def test_every_case_is_there_once_with_its_own_answer(empty: Store, run: Path) -> None:
    first, again = empty.import_run(run), empty.import_run(run)
    assert (first.shards, first.ready, again.shards, again.known, again.ready) == (1, 6, 0, 1, 0)
    reader = empty.users.add("Ann", ["reader"]).id
    for prediction in open_run(run).predictions():
        assert empty.prediction(prediction.case_key, reader, read_first=False) == prediction
    assert empty.counts()["ready"] == len(SCORES)


def test_a_shard_that_was_touched_is_known_and_one_that_changed_is_read_again(empty: Store, tmp_path: Path) -> None:
    folder = write_made_run(tmp_path / "run", {"c01": 1.0, "c02": 1.0})
    empty.import_run(folder)
    (shard,) = open_run(folder).shards
    shard.touch()
    assert empty.import_run(folder).known == 1
    write_made_run(folder, {"c01": 1.0, "c02": -2.0})
    assert (empty.import_run(folder).changed, empty.case("c02").version, empty.case("c01").version) == (1, 1, 0)
    assert "negative" not in empty.case("c01").reason
    rows = {row.case_key: row.decision for row in empty.worklist().rows}
    assert rows == {"c01": "positive", "c02": "negative"}


def test_the_same_answer_from_another_run_changes_nothing(empty: Store, tmp_path: Path) -> None:
    empty.import_run(write_made_run(tmp_path / "one", {"c01": 1.0}))
    assert empty.import_run(write_made_run(tmp_path / "two", {"c01": 1.0}, run_id="r2")).changed == 0


def test_who_reads_is_told_of_another_answer_and_a_decision_is_never_touched(empty: Store, tmp_path: Path) -> None:
    ann = empty.users.add("Ann", ["reader", "signer"]).id
    empty.import_run(write_made_run(tmp_path / "one", {"c01": 1.0, "c02": 1.0}))
    open_one = empty.begin("c01", ann)
    seen = empty.begin("c02", ann)
    decided = empty.decide("c02", ann, version=seen.version, act="accept", verdict="positive")
    assert empty.import_run(write_made_run(tmp_path / "two", {"c01": -1.0, "c02": -1.0}, run_id="r2")).changed == 2
    with pytest.raises(InputError, match="has changed"):
        empty.decide("c01", ann, version=open_one.version, act="accept", verdict="positive")
    now = empty.case("c01")
    empty.decide("c01", ann, version=now.version, act="accept", verdict="negative")
    stands = empty.case("c02")
    assert (stands.newer, stands.answer_hash, stands.version) == (True, decided.answer_hash, decided.version)
    before = empty.prediction("c02", ann, read_first=False)
    assert before is not None
    assert before.decision == "positive"
    assert empty.audit.verify().whole


def test_a_new_answer_is_hidden_from_its_first_moment_on(empty: Store, tmp_path: Path) -> None:
    folder = write_made_run(tmp_path / "run", {"c01": 1.0})
    ledger(folder, [("c01", "pending", None, "")])
    empty.import_run(folder, hides=lambda pattern: "drift of the CT" if "ct" in pattern else "")
    (row,) = empty.worklist(WorklistQuery(states=())).rows
    assert (row.state, row.answered, row.decision) == ("ready", False, "")
    assert "drift of the CT" in row.reason
    assert empty.audit.verify().whole


def test_a_run_that_goes_on_shows_what_waits_and_what_is_worked_on(empty: Store, tmp_path: Path) -> None:
    folder = write_made_run(tmp_path / "run", {"c01": 1.0})
    ledger(folder, [("c01", "done", 0.8, ""), ("c02", "claimed", None, ""), ("c03", "pending", None, "")])
    with only_driver(folder):
        assert empty.import_run(folder).model_dump(include={"ready", "running", "waiting"}) == {
            "ready": 1, "running": 1, "waiting": 1,
        }  # fmt: skip
    assert empty.counts() | {"signed": 0} == {
        "new": 1, "running": 1, "ready": 1, "in_review": 0, "signed": 0, "amended": 0,
    }  # fmt: skip
    with pytest.raises(InputError, match="no answer yet"):
        empty.begin("c02", empty.users.add("Ann", ["reader"]).id)
    killed = empty.import_run(folder)
    assert (killed.running, killed.waiting, empty.counts()["new"]) == (0, 2, 2)
    write_made_run(folder, {"c02": 1.0}, shard=1)
    told = "No usable evidence"
    ledger(folder, [("c01", "done", 0.8, ""), ("c02", "done", 0.8, ""), ("c03", "skipped", 0.3, told)])
    assert empty.import_run(folder).ready == 2
    states = {row.case_key: (row.state, row.answered) for row in empty.worklist(WorklistQuery(states=())).rows}
    assert states == {"c01": ("ready", True), "c02": ("ready", True), "c03": ("ready", False)}
    assert told in empty.case("c03").reason
    assert empty.audit.verify().whole


def test_a_case_that_nothing_could_be_answered_from_is_read_by_a_person(empty: Store, tmp_path: Path) -> None:
    folder = write_made_run(tmp_path / "run", {"c01": 1.0})
    row = {"case_key": "c09", "status": "rejected", "modality": "ct", "code": "ct.missing_slices", "why": "4 of 48"}
    write_skipped([row], folder)
    empty.import_run(folder)
    empty.import_run(folder)
    ann = empty.users.add("Ann", ["reader", "signer"]).id
    seen = empty.begin("c09", ann)
    assert (seen.answered, seen.reason) == (False, "No answer: ct rejected: 4 of 48")
    assert empty.prediction("c09", ann, read_first=False) is None
    with pytest.raises(InputError, match="no answer here"):
        empty.decide("c09", ann, version=seen.version, act="accept", verdict="positive")
    seen = empty.decide("c09", ann, version=seen.version, act="own", verdict="negative")
    assert empty.sign("c09", ann, version=seen.version).state == "signed"


def test_a_damaged_answer_is_refused(empty: Store, tmp_path: Path, run: Path) -> None:
    with pytest.raises(ArtifactError):
        empty.import_run(tmp_path)
    empty.import_run(run)
    with empty.db.engine.begin() as db:
        db.exec_driver_sql("UPDATE answers SET body = x'00'")
    with pytest.raises(ArtifactError, match="damaged"):
        empty.prediction("c01", empty.users.add("Ann", ["reader"]).id, read_first=False)


def test_what_monitoring_hides_is_told_nowhere_and_comes_back(empty: Store, run: Path) -> None:
    empty.import_run(run)
    ann = empty.users.add("Ann", ["reader"]).id
    shown = [(row.case_key, row.reason, row.urgency) for row in empty.worklist().rows]
    seen = empty.begin("c02", ann)
    empty.decide("c02", ann, version=seen.version, act="accept", verdict="negative")
    assert empty.withhold(lambda pattern: "drift of the CT" if "ct" in pattern else "") == len(SCORES) - 1
    for row in empty.worklist().rows:
        if row.case_key != "c02":
            assert (row.answered, row.decision) == (False, "")
            assert row.reason == "Hidden by monitoring: drift of the CT; missing: EEG, Clinical note, Chest X-ray"
    assert len({row.urgency for row in empty.worklist().rows if row.case_key != "c02"}) == 1
    found = empty.prediction("c01", ann, read_first=False)
    assert found is not None
    assert found.withheld == "drift of the CT"
    seen = empty.begin("c01", ann)
    empty.decide("c01", ann, version=seen.version, act="own", verdict="negative")
    empty.release("c01", ann)
    empty.release("c02", ann)
    assert empty.withhold(lambda pattern: "drift of the CT" if "ct" in pattern else "") == 0
    assert empty.withhold(lambda pattern: "") == len(SCORES) - 2
    again = [(row.case_key, row.reason, row.urgency) for row in empty.worklist().rows]
    assert [row for row in again if row[0] != "c01"] == [row for row in shown if row[0] != "c01"]
    assert empty.audit.verify().whole
