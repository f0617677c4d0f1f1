"""Pseudonyms: one keyed name per patient, the same in every cohort of one site, and no way back without the key.

In:  the source's own patient ids, compared as stripped strings (FHIR Patient.id, DICOM PatientID, a labels column).
Out: patient keys and case keys, 16 hexadecimal digits each.

The key lies outside every cohort and artifact. Nothing here keeps an id or writes a table of who is who.
"""

import hmac
import os
import secrets
import stat
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from clinic_mm.errors import InputError

KEY_VARIABLE: Final = "CLINIC_MM_KEY"
KEY_BYTES: Final = 32
KEY_DIGITS: Final = 16
"""64 bits: among a million patients, two share a key with a chance of 3e-8, and then `check_distinct` says so."""

READABLE_BY_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def key_path(given: Path | None = None) -> Path:
    """Where the key file lies: as given, else as `CLINIC_MM_KEY` says, else in the user's configuration folder."""
    if given is not None:
        return given
    if named := os.environ.get(KEY_VARIABLE):
        return Path(named)
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "clinic_mm" / "pseudonym.key"


def read_key(given: Path | None = None, *, outside: Path | None = None) -> bytes:
    """The site's key, made on first use with permissions 0600.

    Args:
        given: Path of the key file, see `key_path`.
        outside: A folder that the key may not lie in (the cohort that it protects).

    Raises:
        InputError: If the file lies inside `outside`, is readable by others, too short, or cannot be made.
    """
    path = key_path(given).expanduser()
    if outside is not None and path.resolve().is_relative_to(outside.resolve()):
        mend = f"Keep it elsewhere: --key PATH, or {KEY_VARIABLE}=PATH"
        raise InputError("The pseudonym key would lie inside the cohort that it protects", str(path), mend)
    try:
        if not path.exists():
            _make(path)
        others = path.stat().st_mode & READABLE_BY_OTHERS
        key = path.read_bytes()
    except OSError as error:
        raise InputError(f"The pseudonym key cannot be used: {error.strerror}", str(path), "Check the path") from error
    if others:
        raise InputError("Others can read the pseudonym key", str(path), f"Run: chmod 600 {path}")
    if len(key) < KEY_BYTES:
        mend = "Restore it from your backup; a new key gives every patient a new pseudonym"
        raise InputError(f"The pseudonym key is shorter than {KEY_BYTES} bytes", str(path), mend)
    return key


def patient_key(key: bytes, patient_id: str) -> str:
    """The pseudonym of one patient: first 16 digits of HMAC-SHA256 over the stripped id (RFC 2104)."""
    return _digits(key, f"patient:{patient_id.strip()}")


def case_key(patient: str, decision_time: datetime | None) -> str:
    """The name of one patient at one decision time.

    Keyed by the patient's pseudonym, which is itself keyed: no key file is needed to form cases, and nobody gets
    from a case to its patient without having the patient's key already.
    """
    moment = decision_time.astimezone(UTC).isoformat() if decision_time else ""
    return _digits(patient.encode(), f"case:{moment}")


def patient_keys(key: bytes, patient_ids: Iterable[str]) -> dict[str, str]:
    """Pseudonyms of many patients by their stripped id.

    Raises:
        InputError: If two patients would share one.
    """
    keys = {one: patient_key(key, one) for one in sorted({each.strip() for each in patient_ids}) if one}
    check_distinct(keys)
    return keys


def check_distinct(keys: dict[str, str]) -> None:
    """Two patients never share a pseudonym.

    Raises:
        InputError: If they would.
    """
    if len(set(keys.values())) != len(keys):
        raise InputError("Two patients would share a pseudonym", "pseudonym key", "Ingest with another key file")


def _digits(key: bytes, message: str) -> str:
    return hmac.digest(key, message.encode(), "sha256").hex()[:KEY_DIGITS]


def _make(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:  # another process was quicker; its key is as good
        return
    with os.fdopen(handle, "wb") as file:
        file.write(secrets.token_bytes(KEY_BYTES))
