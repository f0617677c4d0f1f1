"""Pseudonyms: keyed, never shared, and the key outside the cohort."""

import stat
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clinic_mm.cohort.link import case_key, check_distinct, key_path, patient_key, patient_keys, read_key
from clinic_mm.errors import InputError

KEY = bytes(range(32))


@settings(deadline=None, max_examples=50)
@given(st.sets(st.text(min_size=1).map(str.strip).filter(bool), max_size=200))
def test_two_patients_never_share_a_key(ids: set[str]) -> None:
    keys = patient_keys(KEY, ids)
    assert len(set(keys.values())) == len(ids)


def test_a_shared_key_is_an_error_not_a_merge() -> None:
    with pytest.raises(InputError, match="share a pseudonym"):
        check_distinct({"a": "0123", "b": "0123"})


def test_blanks_around_an_id_do_not_make_another_patient() -> None:
    assert patient_key(KEY, " 42 ") == patient_key(KEY, "42")


def test_another_key_gives_other_pseudonyms() -> None:
    assert patient_key(KEY, "42") != patient_key(KEY[::-1], "42")


def test_a_case_is_one_moment_in_whatever_zone_it_is_written() -> None:
    at = datetime(2024, 5, 1, 12, tzinfo=UTC)
    assert case_key("p", at) == case_key("p", at.astimezone(ZoneInfo("Asia/Tokyo")))
    assert len({case_key("p", at), case_key("q", at), case_key("p", None)}) == 3


def test_the_key_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "pseudonym.key"
    key = read_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_key(path) == key


def test_a_key_inside_the_cohort_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="inside the cohort"):
        read_key(tmp_path / "cohort" / "k", outside=tmp_path / "cohort")
    assert not (tmp_path / "cohort").exists()


@pytest.mark.parametrize(("mode", "size", "said"), [(0o644, 32, "Others can read"), (0o600, 3, "shorter")])
def test_a_weak_key_is_refused(tmp_path: Path, mode: int, size: int, said: str) -> None:
    path = tmp_path / "k"
    path.write_bytes(b"x" * size)
    path.chmod(mode)
    with pytest.raises(InputError, match=said):
        read_key(path)


def test_the_place_of_the_key_can_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CLINIC_MM_KEY", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert key_path() == tmp_path / "clinic_mm" / "pseudonym.key"
    monkeypatch.setenv("CLINIC_MM_KEY", str(tmp_path / "k"))
    assert key_path() == tmp_path / "k"
    assert key_path(tmp_path / "given") == tmp_path / "given"
