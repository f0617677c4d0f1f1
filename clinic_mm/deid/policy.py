"""What is kept: the keep-lists of schemas/deid_*.toml, and what the operator chose to keep beside.

In:  the names of options. Out: one `Policy` with the lists of every format, and its fingerprint.

Nothing here touches data. Two runs with one fingerprint under one key give the same bytes.
"""

import hashlib
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from typing import Any, Final, NamedTuple

from clinic_mm.bundle import folder
from clinic_mm.errors import UsageError

FORMATS: Final = ("dicom", "edf", "fhir", "note")
RULES_VERSION: Final = "1"
"""Raised with every change of the rules in code, so that their outputs are told apart."""


class Row(NamedTuple):
    """One line of the plan: in a format, what happens to a place, and how."""

    format: str
    place: str
    action: str
    how: str


@dataclass(frozen=True, slots=True)
class Policy:
    """The lists, the options chosen, and the fingerprint of both."""

    lists: dict[str, dict[str, Any]] = field(repr=False)
    options: tuple[str, ...] = ()
    fingerprint: str = ""

    def chosen(self, format_name: str) -> dict[str, dict[str, Any]]:
        """The options of one format that were chosen, with their lists."""
        known: dict[str, dict[str, Any]] = self.lists[format_name].get("options", {})
        return {name: lists for name, lists in known.items() if name in self.options}


def read_policy(options: Sequence[str] = ()) -> Policy:
    """The policy with some options.

    Raises:
        UsageError: If there is no such option.
    """
    lists = _lists()
    known = sorted({name for one in lists.values() for name in one.get("options", {})})
    for name in options:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            mend = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(known)}"
            raise UsageError(f"There is no option {name!r}", "--keep", mend)
    chosen = tuple(sorted(set(options)))
    content = "\n".join([RULES_VERSION, *chosen, *(_text(name) for name in FORMATS)])
    return Policy(lists, chosen, hashlib.sha256(content.encode()).hexdigest()[:8])


@cache
def _lists() -> dict[str, dict[str, Any]]:
    return {name: tomllib.loads(_text(name)) for name in FORMATS}


def _text(name: str) -> str:
    return (folder("schemas") / f"deid_{name}.toml").read_text(encoding="utf-8")
