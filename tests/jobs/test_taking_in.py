"""While the room is open, what a screening finishes comes in, hidden where it must be; what fails ends no room."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from clinic_mm.errors import InputError
from clinic_mm.evaluate.monitor.state import FILE as MONITOR
from clinic_mm.evaluate.monitor.state import write_state
from clinic_mm.jobs.taking_in import TakingIn, last_look
from clinic_mm.store import Store, WorklistQuery, open_store
from tests.dashboards.test_monitor import state_of, stop
from tests.store.conftest import write_made_run


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(str(tmp_path / "room" / "store.sqlite"), heads=tmp_path / "room" / "heads") as opened:
        yield opened


def answers(store: Store) -> dict[str, bool]:
    return {row.case_key: row.answered for row in store.worklist(WorklistQuery(states=())).rows}


def test_a_run_that_begins_again_and_a_stop_rule_that_comes_later_reach_the_list(store: Store, tmp_path: Path) -> None:
    run, said = write_made_run(tmp_path / "run", {"c01": 1.0}), []
    taking = TakingIn(run, tmp_path / "room", store, say=said.append)
    taking.look()
    assert answers(store) == {"c01": True}
    write_made_run(run, {"c02": 1.0}, shard=1)  # finished when the room was opened, and grows all the same
    taking.look()
    assert answers(store) == {"c01": True, "c02": True}
    write_state(state_of(stop("modality", "ct")), run)
    write_made_run(run, {"c03": 1.0}, shard=2)
    taking.look()
    assert answers(store) == {"c01": False, "c02": False, "c03": False}
    (run / MONITOR).unlink()
    taking.look()
    assert all(answers(store).values())
    assert not said


def test_what_cannot_be_read_is_told_once_and_taken_in_when_it_can(store: Store, tmp_path: Path) -> None:
    run, said = write_made_run(tmp_path / "run", {"c01": 1.0}), []
    taking = TakingIn(run, tmp_path / "room", store, say=said.append)
    (run / MONITOR).write_text("{")
    taking.look()
    taking.look()
    assert answers(store) == {}, "nobody knows what is to be hidden"
    assert len(said) == 1
    looked = last_look(tmp_path / "room")
    assert looked is not None
    assert (looked.what, looked.mend) == (
        "The monitoring state is damaged, or of another version",
        "Run clinic-mm monitor again",
    )
    (run / MONITOR).unlink()
    taking.look()
    assert answers(store) == {"c01": True}
    looked = last_look(tmp_path / "room")
    assert looked is not None
    assert not looked.what


def test_a_run_of_another_question_opens_no_room(store: Store, tmp_path: Path) -> None:
    TakingIn(write_made_run(tmp_path / "run", {"c01": 1.0}), tmp_path / "room", store).take()
    other = write_made_run(tmp_path / "other", {"c01": 1.0}, run_id="r2", target="another")
    with pytest.raises(InputError, match="another question"):
        TakingIn(other, tmp_path / "room", store).take()
