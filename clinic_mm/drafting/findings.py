"""Say which findings a sentence names, whether it denies them, and how it grades them: by schemas/findings.toml.

In:  a text, or the words of a sentence. Out: mentions. Nothing here understands a
sentence; a name that the table does not have is no finding.

Source: Chapman et al., "A simple algorithm for identifying negated findings and diseases in discharge summaries",
J Biomed Inform 2001, doi 10.1006/jbin.2001.1029; scope to the end of the sentence: Harkema et al., "ConText",
J Biomed Inform 2009, doi 10.1016/j.jbi.2009.05.002.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, NamedTuple

from clinic_mm.bundle import policy
from clinic_mm.drafting.words import STOPS, sentences, tokens

GRADE_REACH: Final = 2
AFTER_REACH: Final = 3


class Mention(NamedTuple):
    """What is said of one finding; `grade` is "" where nothing says how much of it."""

    finding: str
    denied: bool
    grade: str


def mentions(text: str) -> frozenset[Mention]:
    """What a text says of findings."""
    return frozenset(one for sentence in sentences(text) for one in in_sentence(tokens(sentence)))


def in_sentence(spoken: Sequence[str]) -> frozenset[Mention]:
    """What one sentence says of findings; a longer name goes before one inside it."""
    table = _table()
    said = [word.lower() for word in spoken]
    found = []
    at = 0
    while at < len(said):
        name, finding = _at(said, at, table.findings)
        if finding:
            denied = _denied(said, at, at + name)
            found.append(Mention(finding, denied, "" if denied else _graded(said, at)))
        at += max(name, 1)
    return frozenset(found)


def contradicts(some: frozenset[Mention], others: frozenset[Mention]) -> bool:
    """Whether two sets of mentions say different things of one finding."""
    told = {one.finding: one for one in others}
    return any(one.finding in told and told[one.finding] != one for one in some)


def _at(said: Sequence[str], at: int, names: dict[str, str]) -> tuple[int, str]:
    """Words of the longest name that stands at a place, and what it names."""
    for length in range(min(_table().longest, len(said) - at), 0, -1):
        if meant := names.get(" ".join(said[at : at + length])):
            return length, meant
    return 0, ""


def _denied(said: Sequence[str], start: int, end: int) -> bool:
    table = _table()
    before = list(said[:start])
    for place in range(len(before) - 1, -1, -1):
        if before[place] in table.ends:
            before = before[place + 1 :]
            break
    after = _up_to(said[end:], STOPS | {","} | table.ends)[:AFTER_REACH]
    return _holds(before, table.before) or _holds(after, table.after)


def _up_to(said: Sequence[str], stops: frozenset[str]) -> Sequence[str]:
    return said[: next((place for place, word in enumerate(said) if word in stops), len(said))]


def _holds(said: Sequence[str], cues: frozenset[str]) -> bool:
    text = f" {' '.join(said)} "
    return any(f" {cue} " in text for cue in cues)


def _graded(said: Sequence[str], start: int) -> str:
    near = [_table().grades[word] for word in said[max(0, start - GRADE_REACH) : start] if word in _table().grades]
    return near[-1] if near else ""


@dataclass(frozen=True, slots=True)
class _Table:
    findings: dict[str, str]
    grades: dict[str, str]
    before: frozenset[str]
    after: frozenset[str]
    ends: frozenset[str]
    longest: int


@cache
def _table() -> _Table:
    told = policy("findings")
    findings = {name: finding for finding, names in told["finding"].items() for name in names}
    return _Table(
        findings,
        {word: grade for grade, words in told["grade"].items() for word in words},
        frozenset(told["denied_by"]),
        frozenset(told["denied_after"]),
        frozenset(told["denial_ends"]),
        max(len(name.split()) for name in findings),
    )
