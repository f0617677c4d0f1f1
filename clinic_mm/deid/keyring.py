"""What stands for an identifier: pseudonyms, UIDs, ids and date shifts, all by HMAC under the site's one key.

In:  the source's own identifiers. Out: what is written in their place, the same in every format and every run.

The patient's pseudonym is the one of `cohort.link`. Nothing here keeps an identifier beyond the run, and nothing leads
back without the key.
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Final, TypeVar
from uuid import UUID

from clinic_mm.cohort.link import check_distinct, patient_key

WEEKS: Final = 520
"""Furthest shift, in weeks: ten years into the past, never into the future. Whole weeks keep the day of the week."""
FIRST_WEEK: Final = 13
UID_ROOT: Final = "2.25."
"""Root of UIDs made from a UUID, PS3.5 B.2."""
T = TypeVar("T")


class Keyring:
    """The key, and the pseudonyms that it has given in this run."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._given: dict[str, str] = {}

    def patient(self, patient_id: str) -> str:
        """The pseudonym of a patient, 16 hexadecimal digits.

        Raises:
            InputError: If another patient of this run has the same.
        """
        one = patient_id.strip()
        pseudonym = patient_key(self._key, one)
        if self._given.setdefault(pseudonym, one) != one:
            check_distinct({self._given[pseudonym]: pseudonym, one: pseudonym})
        return pseudonym

    def shift(self, patient_id: str) -> timedelta:
        """How far all dates of a patient move, in whole weeks of the past; intervals within a patient stay."""
        number = int.from_bytes(self.digest(f"shift:{patient_id.strip()}")[:8], "big")
        return -timedelta(weeks=FIRST_WEEK + number % (WEEKS - FIRST_WEEK + 1))

    def uid(self, uid: str) -> str:
        """A UID in place of another: `2.25.` and a version 8 UUID (RFC 9562) as a number."""
        return UID_ROOT + str(self._uuid(f"uid:{uid.strip()}").int)

    def resource_id(self, kind: str, one: str) -> str:
        """The id of a FHIR resource: a patient's is the pseudonym."""
        return self.patient(one) if kind == "Patient" else self.digest(f"resource:{kind}/{one}").hex()[:16]

    def choice(self, what: str, among: Sequence[T]) -> T:
        """One of several, always the same for the same words."""
        return among[int.from_bytes(self.digest(f"choice:{what}")[:8], "big") % len(among)]

    def digest(self, message: str) -> bytes:
        """HMAC-SHA256 of words (RFC 2104)."""
        return hmac.new(self._key, message.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()

    def sealing(self, policy: str) -> "hmac.HMAC":
        """A running HMAC over the bytes of an output made under a policy."""
        return hmac.new(self._key, f"seal:{policy}:".encode(), hashlib.sha256)

    def _uuid(self, message: str) -> UUID:
        number = int.from_bytes(self.digest(message)[:16], "big")
        number = number & ~(0xF << 76) | 8 << 76
        return UUID(int=number & ~(0x3 << 62) | 0x2 << 62)


MARK: Final = re.compile(rb"clinic-mm:([0-9a-f]{8}):([0-9a-f]{32})")
MARK_BYTES: Final = len("clinic-mm:") + 8 + 1 + 32
SEAL_DIGITS: Final = 32


def open_mark(policy: str) -> str:
    """A mark whose seal is not yet set."""
    return f"clinic-mm:{policy}:{'0' * SEAL_DIGITS}"


def unsealed(content: bytes) -> tuple[str, str, bytes] | None:
    """Policy and seal of the first mark, and the content with that seal open; None without a mark."""
    found = MARK.search(content)
    if not found:
        return None
    return (
        found[1].decode(),
        found[2].decode(),
        content[: found.start(2)] + b"0" * SEAL_DIGITS + content[found.end(2) :],
    )


def seal(content: bytes, keyring: Keyring) -> bytes:
    """The same content with its first mark sealed: an HMAC over all of it proves that we wrote it, under this key."""
    opened = unsealed(content)
    assert opened is not None
    policy, _, blank = opened
    running = keyring.sealing(policy)
    running.update(blank)
    return blank.replace(open_mark(policy).encode(), _mark(policy, running), 1)


def seal_policy(content: bytes, keyring: Keyring) -> str:
    """The policy that content was de-identified under, "" where it was not, or was changed since."""
    opened = unsealed(content)
    if opened is None:
        return ""
    policy, given, blank = opened
    running = keyring.sealing(policy)
    running.update(blank)
    return policy if hmac.compare_digest(running.hexdigest()[:SEAL_DIGITS], given) else ""


def _mark(policy: str, running: "hmac.HMAC") -> bytes:
    return f"clinic-mm:{policy}:{running.hexdigest()[:SEAL_DIGITS]}".encode()
