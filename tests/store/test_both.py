"""The same in SQLite and in PostgreSQL: every act, the order of the list, races, migrations, tampering."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError

from clinic_mm.errors import ArtifactError
from clinic_mm.jobs.audit import verify_audit
from clinic_mm.store import ConflictError, Store, WorklistQuery, open_store
from clinic_mm.store.models import Base
from tests.store.conftest import Clock, write_made_run
from tests.store.server import BINARIES, MISSING, postgresql

PHRASE = "a long pass phrase"
ROUNDS = 12
"""Races in the everyday run; `test_a_thousand_races` has the rest."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    if not BINARIES:
        pytest.skip(MISSING)
    with postgresql() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Address of an empty store, and the folder of its heads."""
    if request.param == "sqlite":
        yield str(tmp_path / "store.sqlite"), tmp_path / "heads"
        return
    url = request.getfixturevalue("server")
    yield url, tmp_path / "heads"
    with open_store(url, heads=tmp_path / "heads") as store, store.db.engine.begin() as db:
        db.execute(text("DROP SCHEMA public CASCADE"))
        db.execute(text("CREATE SCHEMA public"))


@pytest.fixture
def both(place: tuple[str, Path], run: Path) -> Iterator[Store]:
    url, heads = place
    with open_store(url, heads=heads, clock=Clock()) as store:
        store.import_run(run)
        store.users.add("Ann", ["reader", "signer"], password=PHRASE)
        store.users.add("Bo", ["reader"])
        yield store


def ids(store: Store) -> list[str]:
    return [user.id for user in store.users.all()]


def test_a_day_in_the_reading_room(both: Store, place: tuple[str, Path], run: Path) -> None:
    ann, bo = ids(both)
    assert both.import_run(run).known == 1
    page = both.worklist(WorklistQuery(limit=4))
    rest = both.worklist(WorklistQuery(limit=4, after=page.next))
    order = [row.case_key for row in (*page.rows, *rest.rows)]
    assert order == ["c01", "c05", "c03", "c06", "c02", "c04"]
    token = both.sessions.open(ann)
    assert both.sessions.user_of(token) == both.users.check("ANN", PHRASE)
    seen = both.begin("c01", ann)
    seen = both.opinion("c01", ann, version=seen.version, verdict="positive", sure=0.9)
    assert both.prediction("c01", ann) is not None
    seen = both.decide("c01", ann, version=seen.version, act="override", verdict="negative", reason="an old scar")
    seen = both.sign("c01", ann, version=seen.version)
    seen = both.amend("c01", ann, version=seen.version, verdict="positive", reason="not a scar")
    both.break_glass(bo, "c02", "on call")
    both.save_filter(bo, "mine", WorklistQuery(assigned=bo))
    assert both.filters(bo)[0].query.assigned == bo
    assert both.counts()["amended"] == 1
    assert verify_audit(place[0], place[1]).whole
    with open_store(place[0], heads=place[1]) as again:
        assert again.case("c01") == seen


def test_the_tables_are_those_of_the_models(both: Store) -> None:
    with both.db.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_a_store_of_a_newer_version_is_refused(both: Store, place: tuple[str, Path]) -> None:
    with both.db.engine.begin() as db:
        stands = db.scalar(text("SELECT version_num FROM alembic_version"))
        db.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    try:
        with pytest.raises(ArtifactError, match="not known here"):
            open_store(place[0], heads=place[1])
    finally:
        with both.db.engine.begin() as db:
            db.execute(text("UPDATE alembic_version SET version_num = :stands"), {"stands": stands})


def test_a_store_of_the_first_version_is_brought_to_this_one(both: Store, place: tuple[str, Path]) -> None:
    asked = WorklistQuery(text="C0", limit=2)
    before = both.worklist(asked)
    with both.db.engine.begin() as db:
        db.execute(text("DROP INDEX ix_cases_state"))
        db.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    with open_store(place[0], heads=place[1], clock=Clock()) as store:
        assert "ix_cases_state" in {index["name"] for index in inspect(store.db.engine).get_indexes("cases")}
        assert store.worklist(asked) == before
        assert (before.total, len(before.rows)) == (6, 2)


def test_the_database_itself_refuses_to_change_what_was_done(both: Store) -> None:
    both.comment("c01", ids(both)[0], version=0, text="noted")
    for statement in (
        "UPDATE audit SET act = 'x'",
        "DELETE FROM audit",
        "UPDATE acts SET words = ''",
        "DELETE FROM acts",
    ):
        with pytest.raises(DBAPIError, match="append-only"), both.db.engine.begin() as db:
            db.execute(text(statement))


def test_tampering_is_found(both: Store) -> None:
    with both.db.engine.begin() as db:
        if both.db.engine.dialect.name == "postgresql":
            db.execute(text("ALTER TABLE audit DISABLE TRIGGER ALL"))
        else:
            db.execute(text("DROP TRIGGER audit_no_delete"))
        db.execute(text("DELETE FROM audit WHERE number = (SELECT max(number) FROM audit)"))
    assert "audit.cut" in [one.code for one in both.audit.verify().findings]


def test_of_two_on_one_case_one_wins_and_the_other_is_told_by_whom(both: Store) -> None:
    _races(both, ROUNDS)


@pytest.mark.long
@pytest.mark.timeout(3000)
def test_a_thousand_races(both: Store) -> None:
    _races(both, 1000)


@pytest.mark.long
@pytest.mark.timeout(3000)
def test_a_thousand_races_between_two_processes(both: Store, place: tuple[str, Path]) -> None:
    """As two servers of one room would: each with connections and a copy of the heads' key of its own."""
    spawn, users, rounds = get_context("spawn"), ids(both), 1000
    start, said = spawn.Barrier(2), spawn.Queue()
    racers = [spawn.Process(target=_racer, args=(*place, user, rounds, start, said)) for user in users]
    for racer in racers:
        racer.start()
    told = dict(said.get(timeout=2400) for _ in racers)
    for racer in racers:
        racer.join(60)
    for pair in zip(*(told[user] for user in users), strict=True):
        (winner,) = [user for user, quicker in zip(users, pair, strict=True) if quicker == ""]
        assert [quicker for quicker in pair if quicker] == [winner]
    assert len(both.case("c02").comments) == rounds
    assert verify_audit(*place).whole


def _racer(url: str, heads: Path, user: str, rounds: int, start: Any, said: Any) -> None:  # noqa: ANN401 - of no type
    found = []
    with open_store(url, heads=heads, clock=Clock()) as store:
        for _ in range(rounds):
            start.wait(600)
            version = store.case("c02").version
            start.wait(600)
            found.append(won(lambda version=version: store.comment("c02", user, version=version, text="mine")))
    said.put((user, found))


def won(act: Callable[[], object]) -> str:
    """ "" for who won; else who was quicker."""
    try:
        act()
    except ConflictError as told:
        return told.by
    return ""


def _races(store: Store, rounds: int) -> None:
    """Two remark on, amend, begin one version of a case at once. Never two winners, never none."""
    ann, bo = ids(store)
    seen = store.begin("c05", ann)
    seen = store.opinion("c05", ann, version=seen.version, verdict="positive", sure=0.9)
    seen = store.decide("c05", ann, version=seen.version, act="accept", verdict="positive")
    store.sign("c05", ann, version=seen.version)
    with ThreadPoolExecutor(2) as pool:
        for number in range(rounds):
            version, signed = store.case("c02").version, store.case("c05").version
            verdict = "positive" if number % 2 else "negative"

            def remark(user: str, version: int = version) -> str:
                return won(lambda: store.comment("c02", user, version=version, text="mine"))

            def amend(user: str, version: int = signed, verdict: str = verdict) -> str:
                return won(lambda: store.amend("c05", user, version=version, verdict=verdict, reason="seen anew"))

            def begin(user: str) -> str:
                return won(lambda: store.begin("c03", user))

            users = (ann, bo) if number % 2 else (bo, ann)
            for act in (remark, amend, begin):
                said = dict(zip(users, pool.map(act, users), strict=True))
                (winner,) = [user for user, told in said.items() if told == ""]
                assert [told for told in said.values() if told] == [winner]
            for user in users:
                store.release("c03", user)
    assert (len(store.case("c02").comments), len(store.case("c05").amendments)) == (rounds, rounds)
    assert store.audit.verify().whole


def test_two_processes_may_make_one_store_at_once(place: tuple[str, Path]) -> None:
    def opened(_: int) -> int:
        with open_store(place[0], heads=place[1]) as store:
            return store.audit.note("opened", "")

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(opened, range(4))) == [1, 2, 3, 4]
    assert verify_audit(place[0], place[1]).whole


def test_one_store_holds_one_question(both: Store, tmp_path: Path) -> None:
    from clinic_mm.errors import InputError

    other = write_made_run(tmp_path / "other", {"c01": 0.1}, run_id="r9", target="another")
    with pytest.raises(InputError, match="another question"):
        both.import_run(other)
