"""Nothing can be flipped, removed, moved, added or cut from the audit, or what it speaks of, without being found."""

# ruff: noqa: S608 - the attacker's statements are ours

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import StaticPool, create_engine

from clinic_mm.errors import ArtifactError, InputError
from clinic_mm.jobs.audit import newest_link, verify_audit
from clinic_mm.store import Store, open_store
from clinic_mm.store.chain import hash_of, newest
from clinic_mm.store.database import Database
from clinic_mm.store.database import opened as database
from clinic_mm.store.heads import Heads
from clinic_mm.store.models import AuditRow
from clinic_mm.store.verify import verify
from tests.cli.terminal import run as command
from tests.store.conftest import Clock, user_id

COLUMNS = ("number", "at", "actor", "act", "case_key", "details", "before", "hash", "mac")
SPOKEN_OF = {
    "acts": (
        *("number", "kind", "case_key", "user_id", "at", "version", "answer_hash"),
        *("act", "verdict", "words", "sure", "before", "refers"),
    ),
    "glass": ("number", "user_id", "case_key", "reason", "at", "until"),
    "cases": ("state", "version"),
    "users": ("roles", "disabled", "password"),
    "answers": ("case_key", "sha256", "mac", "body"),
}
FLIPPED = {"case_key": ("c06", "c05"), "kind": ("comment", "decision"), "state": ("ready", "signed")} | dict.fromkeys(
    ("before", "disabled"), (0, 1)
)


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory, imported: Path) -> Path:
    """A store in which things were done: opinions, decisions, a signature, an amendment, a comment, broken glass."""
    folder = tmp_path_factory.mktemp("worked") / "room"
    shutil.copytree(imported, folder)
    with opened(folder) as store:
        ann, bo = user_id(store, "ann"), user_id(store, "bo")
        for key in ("c01", "c02"):
            seen = store.begin(key, ann)
            seen = store.opinion(key, ann, version=seen.version, verdict="positive", sure=0.7)
            act, verdict = ("accept", "positive") if key == "c01" else ("override", "positive")
            seen = store.decide(key, ann, version=seen.version, act=act, verdict=verdict, reason="seen on the CT")
            seen = store.sign(key, ann, version=seen.version)
        seen = store.amend("c01", ann, version=store.case("c01").version, verdict="negative", reason="biopsy")
        store.comment("c01", bo, version=seen.version, text="noted")
        store.break_glass(bo, "c04", "on call")
        store.users.set_password(ann, "a long pass phrase", by=ann)
        store.users.disable(bo, by=ann)
    compact(folder)
    return folder


def opened(folder: Path) -> Store:
    return open_store(str(folder / "store.sqlite"), heads=folder / "heads", clock=Clock())


def compact(folder: Path) -> None:
    """Everything into one file, to be copied."""
    db = sqlite3.connect(folder / "store.sqlite")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.execute("PRAGMA journal_mode = DELETE")
    db.close()


def attack(db: sqlite3.Connection, statements: tuple[str, ...], values: tuple[Any, ...] = ()) -> None:
    """By somebody who may do all to the database."""
    db.execute("PRAGMA ignore_check_constraints = ON")
    for (trigger,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        db.execute(f"DROP TRIGGER {trigger}")
    for statement in statements:
        db.execute(statement, values if "?" in statement else ())
    db.commit()


def attacked(worked: Path, *statements: str, values: tuple[Any, ...] = ()) -> list[str]:
    """Codes of what is found in a copy, in memory, after an attack."""
    db = sqlite3.connect(":memory:", check_same_thread=False)
    db.deserialize((worked / "store.sqlite").read_bytes())
    attack(db, statements, values)
    engine = create_engine("sqlite://", creator=lambda: db, poolclass=StaticPool)
    try:
        found = verify(Database(engine, Heads(worked / "heads", make=False), Clock()))
    finally:
        engine.dispose()
        db.close()
    return [one.code for one in found.findings]


def rows(worked: Path, asked: str) -> list[tuple[Any, ...]]:
    db = sqlite3.connect(worked / "store.sqlite")
    try:
        return db.execute(asked).fetchall()
    finally:
        db.close()


def links(worked: Path) -> int:
    return int(rows(worked, "SELECT count(*) FROM audit")[0][0])


def other(value: object) -> object:
    """Another value of the same kind."""
    if isinstance(value, bytes):
        return bytes([value[0] ^ 1]) + value[1:]
    if isinstance(value, int):
        return value + 1_000
    if isinstance(value, float):
        return value / 2 + 0.01
    if not value:
        return "x"
    text = str(value)
    return text[:-1] + ("1" if text[-1] == "0" else "0")


def test_what_was_done_is_whole(worked: Path) -> None:
    assert attacked(worked) == []
    assert links(worked) > 15


@pytest.mark.parametrize("column", COLUMNS)
def test_a_flip_of_any_column_of_any_link_is_found(worked: Path, column: str) -> None:
    for number, value in rows(worked, f"SELECT number, {column} FROM audit"):
        changed = f"UPDATE audit SET {column} = ? WHERE number = {number}"
        assert attacked(worked, changed, values=(other(value),)), number


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_flip_of_any_bit_of_any_text_is_found(worked: Path, data: st.DataObject) -> None:
    number = data.draw(st.integers(1, links(worked)))
    column = data.draw(st.sampled_from(COLUMNS[1:]))
    ((value,),) = rows(worked, f"SELECT {column} FROM audit WHERE number = {number}")
    raw = bytearray(str(value).encode() or b"@")
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 6))
    changed = f"UPDATE audit SET {column} = ? WHERE number = {number}"
    assert attacked(worked, changed, values=(raw.decode("latin-1"),))


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_links_that_are_removed_moved_or_cut_are_found(worked: Path, data: st.DataObject) -> None:
    n = links(worked)
    how = data.draw(st.sampled_from(["remove", "swap", "cut", "renumber"]))
    some = data.draw(st.lists(st.integers(1, n), min_size=2, max_size=4, unique=True))
    first, second = some[:2]
    done = {
        "remove": [f"DELETE FROM audit WHERE number IN ({', '.join(map(str, some[:-1]))})"],
        "swap": [
            f"UPDATE audit SET number = -1 WHERE number = {first}",
            f"UPDATE audit SET number = {first} WHERE number = {second}",
            f"UPDATE audit SET number = {second} WHERE number = -1",
        ],
        "cut": [f"DELETE FROM audit WHERE number >= {first}"],
        "renumber": [
            f"DELETE FROM audit WHERE number = {first}",
            f"UPDATE audit SET number = -number WHERE number > {first}",
            "UPDATE audit SET number = -number - 1 WHERE number < 0",
        ],
    }[how]
    assert attacked(worked, *done)


def test_every_truncated_tail_is_found_and_named(worked: Path) -> None:
    for left in range(links(worked)):
        codes = attacked(worked, f"DELETE FROM audit WHERE number > {left}")
        assert "audit.cut" in codes


def test_an_old_copy_of_the_database_in_the_place_of_the_new_one_is_found(worked: Path, tmp_path: Path) -> None:
    shutil.copytree(worked, tmp_path / "a")
    with opened(tmp_path / "a") as store:
        store.comment("c03", user_id(store, "ann"), version=0, text="a finding that somebody regrets")
    shutil.copyfile(worked / "store.sqlite", tmp_path / "a" / "store.sqlite")
    for left in ("-wal", "-shm"):
        (tmp_path / "a" / f"store.sqlite{left}").unlink(missing_ok=True)
    assert [one.code for one in verify_audit(str(tmp_path / "a" / "store.sqlite")).findings] == ["audit.cut"]
    with opened(tmp_path / "a") as store:  # and going on from there does not hide it
        store.comment("c03", user_id(store, "ann"), version=0, text="another")
        assert "audit.other" in [one.code for one in store.audit.verify().findings]


def test_a_link_that_is_made_without_the_key_is_found(worked: Path, tmp_path: Path) -> None:
    """Even one whose hash is right, behind the newest."""
    shutil.copytree(worked, tmp_path / "a")
    db = database(str(tmp_path / "a" / "store.sqlite"), tmp_path / "a" / "heads", Clock())
    with db.writing() as work:
        head = newest(work.session)
        row = AuditRow(number=head.number + 1, at=Clock().now, actor="", act="x", case_key="", details="{}")
        row.before, row.mac = head.hash, "0" * 64
        row.hash = hash_of(row)
        work.session.add(row)
    db.close()
    assert [one.code for one in verify_audit(str(tmp_path / "a" / "store.sqlite")).findings] == ["audit.forged"]


@pytest.mark.parametrize(("table", "column"), [(t, c) for t, columns in SPOKEN_OF.items() for c in columns])
def test_a_flip_of_what_the_audit_speaks_of_is_found(worked: Path, table: str, column: str) -> None:
    for row, value in rows(worked, f"SELECT rowid, {column} FROM {table}"):
        choices = FLIPPED.get(column, (other(value),))
        new = next(one for one in choices if one != value)
        done = f"UPDATE {table} SET {column} = ? WHERE rowid = {row}"
        assert attacked(worked, done, values=(new,)), value


@pytest.mark.parametrize("table", ["acts", "glass", "users", "cases"])
def test_a_row_that_the_audit_speaks_of_cannot_go(worked: Path, table: str) -> None:
    first = f"(SELECT min(rowid) FROM {table}{' WHERE version > 0' if table == 'cases' else ''})"
    assert attacked(worked, f"DELETE FROM {table} WHERE rowid = {first}")


def test_a_user_or_an_act_that_nobody_added_is_found(worked: Path) -> None:
    user = "INSERT INTO users SELECT 'f', 'fay', NULL, password, roles, 0, made_at, 0, NULL FROM users LIMIT 1"
    assert attacked(worked, user) == ["user.added"]
    act = "INSERT INTO acts SELECT 1, kind, case_key, user_id, at, version, answer_hash, act, verdict, words, sure, "
    copied = act + "before, refers FROM acts WHERE kind = 'comment'"
    assert attacked(worked, copied) == ["act.added"]


def test_a_crash_between_a_commit_and_its_head_is_mended_by_the_next_start(
    worked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(worked, tmp_path / "a")
    with opened(tmp_path / "a") as store, monkeypatch.context() as patch:
        patch.setattr(Heads, "append", lambda self, head: pytest.fail("killed here"))
        with pytest.raises(pytest.fail.Exception):
            store.audit.note("looked", "")
    heads = tmp_path / "a" / "heads" / "heads.jsonl"
    before = heads.read_text()
    assert verify_audit(str(tmp_path / "a" / "store.sqlite")).whole
    with opened(tmp_path / "a") as store:
        assert store.audit.verify().whole
    assert heads.read_text().removeprefix(before).count("\n") == 1
    db = sqlite3.connect(tmp_path / "a" / "store.sqlite")
    attack(db, ("DELETE FROM audit WHERE act = 'looked'",))
    db.close()
    assert [one.code for one in verify_audit(str(tmp_path / "a" / "store.sqlite")).findings] == ["audit.cut"]


def test_heads_that_were_tampered_with_are_found(worked: Path, tmp_path: Path) -> None:
    def after(change: str) -> set[str]:
        shutil.rmtree(tmp_path / "a", ignore_errors=True)
        shutil.copytree(worked, tmp_path / "a")
        path = tmp_path / "a" / "heads" / "heads.jsonl"
        lines = path.read_text().splitlines(keepends=True)
        if change == "flip":
            lines[2] = lines[2].replace('"number": ', '"number": 1')
        path.write_text("".join([] if change == "empty" else lines))
        if change == "gone":
            path.unlink()
        return {one.code for one in verify_audit(str(tmp_path / "a" / "store.sqlite")).findings}

    assert after("nothing") == set()
    assert after("flip") == {"audit.head"}
    assert after("empty") == after("gone") == {"audit.no_head"}


def test_heads_and_database_both_put_back_are_found_by_a_head_kept_elsewhere(worked: Path, tmp_path: Path) -> None:
    shutil.copytree(worked, tmp_path / "a")
    with opened(tmp_path / "a") as store:
        store.comment("c03", user_id(store, "ann"), version=0, text="a finding that somebody regrets")
    kept = newest_link(str(tmp_path / "a" / "store.sqlite"))
    told = f"{kept.number}:{kept.hash}"
    assert verify_audit(str(tmp_path / "a" / "store.sqlite"), expect=told).whole
    assert [one.code for one in verify_audit(str(worked / "store.sqlite"), expect=told).findings] == ["audit.cut"]


def test_rows_of_audit_acts_and_glass_cannot_be_changed_or_removed(worked: Path, tmp_path: Path) -> None:
    shutil.copytree(worked, tmp_path / "a")
    db = sqlite3.connect(tmp_path / "a" / "store.sqlite")
    for table in ("audit", "acts", "glass"):
        for statement in (f"UPDATE {table} SET case_key = 'x'", f"DELETE FROM {table}"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                db.execute(statement)
    db.close()


def test_verifying_writes_nothing_and_needs_the_key(worked: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError):
        verify_audit(str(worked / "store.sqlite"), tmp_path / "none")
    assert not (tmp_path / "none").exists()
    with pytest.raises(InputError):
        verify_audit(str(tmp_path / "none.sqlite"), worked / "heads")
    assert not (tmp_path / "none.sqlite").exists()
    (tmp_path / "empty.sqlite").touch()
    with pytest.raises(ArtifactError):
        verify_audit(str(tmp_path / "empty.sqlite"), worked / "heads")


def test_the_command_says_so_and_ends_with_its_code(
    worked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = command(capsys, "audit", "verify", worked / "store.sqlite")
    assert (whole.code, whole.out.split(":")[0]) == (0, "The audit is whole")
    named = command(capsys, "audit", "heads", worked / "store.sqlite").out.strip()
    assert named in whole.out
    shutil.copytree(worked, tmp_path / "a")
    db = sqlite3.connect(tmp_path / "a" / "store.sqlite")
    attack(db, ("UPDATE audit SET act = 'x' WHERE number = 3",))
    db.close()
    broken = command(capsys, "audit", "verify", tmp_path / "a" / "store.sqlite", "--expect", named, "--json")
    assert broken.code == 6
    assert isinstance(broken.json, dict)
    assert [one["code"] for one in broken.json["findings"]] == ["audit.changed"]


def test_who_names_the_folder_is_told_the_file(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        verify_audit(str(tmp_path))
    assert "store.sqlite in reading_room/" in caught.value.mend
