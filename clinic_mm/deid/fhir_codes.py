"""Judge codes and units of a record: what has not the form of its code system is not kept.

In:  a system and a code, or a unit. Out: whether it may stay. LOINC and SNOMED CT codes must have their check digit.
"""

import re
from typing import Any, Final

from clinic_mm.deid.dicom_values import registered

LOINC: Final = "http://loinc.org"
SNOMED: Final = "http://snomed.info/sct"
VERHOEFF_TIMES: Final = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
    (1, 2, 3, 4, 0, 6, 7, 8, 9, 5),
    (2, 3, 4, 0, 1, 7, 8, 9, 5, 6),
    (3, 4, 0, 1, 2, 8, 9, 5, 6, 7),
    (4, 0, 1, 2, 3, 9, 5, 6, 7, 8),
    (5, 9, 8, 7, 6, 0, 4, 3, 2, 1),
    (6, 5, 9, 8, 7, 1, 0, 4, 3, 2),
    (7, 6, 5, 9, 8, 2, 1, 0, 4, 3),
    (8, 7, 6, 5, 9, 3, 2, 1, 0, 4),
    (9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
)
"""Multiplication in the dihedral group of order 10 (Verhoeff 1969)."""
VERHOEFF_TURN: Final = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)


class Codes:
    """The code systems and units of the list."""

    def __init__(self, lists: dict[str, Any]) -> None:
        self._words = frozenset(lists["words"])
        self._systems: dict[str, str] = lists["systems"]
        units = lists["units"]
        metric = f"(?:{_either(units['prefixes'])})?(?:{_either(units['metric'])})"
        one = rf"(?:{_either(units['others'])}|{metric})[23]?"
        self._unit = re.compile(rf"(?:/?{one})(?:[./]{one})*")

    def known(self, system: str, code: str) -> bool:
        """Whether a code has the form that codes of its system have."""
        form = self._systems.get(system)
        if form is None:
            return False
        if form == "word":
            return code in self._words
        if form == "unit":
            return self.unit(code)
        if form == "class_uid":
            return registered(code.removeprefix("urn:oid:"))
        return bool(re.fullmatch(form, code)) and _checked(system, code)

    def unit(self, text: str) -> bool:
        """Whether a unit is made of listed ones."""
        return len(text) <= 24 and bool(self._unit.fullmatch(text))


def _checked(system: str, code: str) -> bool:
    if system == SNOMED:
        return verhoeff(code)
    return system != LOINC or mod10(code)


def verhoeff(digits: str) -> bool:
    """Whether the last digit is the check digit of SNOMED CT identifiers (Verhoeff)."""
    total, turned = 0, list(range(10))
    for digit in reversed(digits):
        total = VERHOEFF_TIMES[total][turned[int(digit)]]
        turned = [VERHOEFF_TURN[one] for one in turned]
    return total == 0


def mod10(code: str) -> bool:
    """Whether the digit behind the dash is the check digit of a LOINC code (Luhn's, counted from the right)."""
    number, _, check = code.lstrip("LAGP").partition("-")
    doubled = [int(digit) * (2 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(number))]
    return (10 - sum(one // 10 + one % 10 for one in doubled) % 10) % 10 == int(check)


def _either(parts: list[str]) -> str:
    return "|".join(re.escape(one) for one in sorted(parts, key=len, reverse=True))
