"""Pseudonyms, shifts, UIDs and seals: keyed, constant, and told apart."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clinic_mm.cohort.link import patient_key
from clinic_mm.deid import dates
from clinic_mm.deid.keyring import Keyring, open_mark, seal, seal_policy
from clinic_mm.errors import InputError

RING, OTHER = Keyring(b"k" * 32), Keyring(b"o" * 32)


def test_the_pseudonym_is_the_one_of_ingest() -> None:
    assert RING.patient(" P1 ") == patient_key(b"k" * 32, "P1") == RING.resource_id("Patient", "P1")


def test_two_patients_never_share_a_pseudonym(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clinic_mm.deid.keyring.patient_key", lambda *_: "0" * 16)
    ring = Keyring(b"k" * 32)
    ring.patient("A")
    ring.patient("A ")
    with pytest.raises(InputError, match="share a pseudonym"):
        ring.patient("B")


def test_another_key_gives_other_names_shifts_and_uids() -> None:
    assert RING.patient("P1") != OTHER.patient("P1")
    assert RING.uid("1.2.3") != OTHER.uid("1.2.3")
    assert any(RING.shift(str(n)) != OTHER.shift(str(n)) for n in range(9))


@given(st.text(min_size=1, max_size=20))
def test_a_shift_is_whole_weeks_of_the_past_and_a_uid_is_one(text: str) -> None:
    shift = RING.shift(text)
    assert timedelta(weeks=-520) <= shift <= timedelta(weeks=-13)
    assert shift % timedelta(weeks=1) == timedelta(0)
    uid = RING.uid(text)
    assert uid.startswith("2.25.")
    assert len(uid) <= 64
    assert not uid[5:].startswith("0")


@given(st.binary(max_size=50), st.binary(max_size=50), st.integers(0, 200))
def test_a_seal_holds_until_a_byte_is_changed(before: bytes, after: bytes, at: int) -> None:
    sealed = seal(before + open_mark("0a1b2c3d").encode() + after, RING)
    assert seal_policy(sealed, RING) == "0a1b2c3d"
    assert seal_policy(sealed, OTHER) == ""
    changed = bytearray(sealed)
    changed[at % len(sealed)] ^= 1
    assert seal_policy(bytes(changed), RING) == ""


SHIFT = timedelta(weeks=-100)


@pytest.mark.parametrize(
    ("text", "moved"),
    [
        ("20240102", "20220201"),
        ("2024.01.02", "20220201"),
        ("20240102-20240110", "20220201-20220209"),
        ("-20240110", "-20220209"),
        ("20241399", None),
        ("Doe", None),
    ],
)
def test_a_dicom_date_moves_and_nothing_else_passes(text: str, moved: str | None) -> None:
    assert dates.dicom_date(text, SHIFT) == moved


@pytest.mark.parametrize(
    ("text", "moved"),
    [
        ("20240102101112.345+0100", "20220201101112.345+0100"),
        ("202401", "202202"),
        ("2024", "2022"),
        ("20240102101112-20240103101112", "20220201101112-20220202101112"),
        ("20240102 Doe", None),
    ],
)
def test_a_dicom_moment_keeps_clock_zone_and_precision(text: str, moved: str | None) -> None:
    assert dates.dicom_datetime(text, SHIFT) == moved


@pytest.mark.parametrize(
    ("text", "moved"),
    [
        ("2024-01-02", "2022-02-01"),
        ("2024-01-02T23:59:59.123-05:00", "2022-02-01T23:59:59.123-05:00"),
        ("2024-01", "2022-02"),
        ("2024", "2022"),
        ("02.01.2024", None),
        ("2024-01-02Doe", None),
    ],
)
def test_a_fhir_date_keeps_its_precision(text: str, moved: str | None) -> None:
    assert dates.fhir_date(text, SHIFT) == moved


@pytest.mark.parametrize(
    ("text", "told"),
    [("045Y", "045Y"), ("089Y", "089Y"), ("090Y", "090Y"), ("101Y", "090Y"), ("100M", "100M"), ("45", None)],
)
def test_ages_above_89_are_one(text: str, told: str | None) -> None:
    assert dates.dicom_age(text) == told
