"""What the checks before training say: errors, findings, shortcuts, what was looked at. Nothing in it names anybody.

An error would make the figures dishonest, and nothing is learnt until it is mended or accepted knowingly. A finding
is reported: a person has to know of it to read the figures.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from clinic_mm.errors import LeakError
from clinic_mm.types import SCHEMA_VERSION, Frozen

SHOWN: Final = 20
"""Case keys named with a finding."""
ACCEPT: Final = "or go on knowingly with --accept-leaks, which the model will say of itself"


Pair = tuple[str, str]
"""Two patient keys, sorted; stays in memory, and is written nowhere."""


class Leak(Frozen):
    """One thing that is wrong.

    Attributes:
        code: Stable, dotted.
        severity: `error` or `finding`.
        modality: Where; "" for the cohort as a whole.
        what: In words, with how many.
        mend: What a person can do.
        n: Pairs or cases.
        cases: Keys of some of the cases.
    """

    code: str
    severity: Literal["error", "finding"]
    modality: str = ""
    what: str
    mend: str
    n: int
    cases: tuple[str, ...] = ()


class Looked(Frozen):
    """That a check was done, over how many things, how many pairs it flagged, and its limits in words."""

    check: str
    of: int
    found: int = 0
    how: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """What one check found: leaks, what it looked at, and which patients share something, by modality."""

    leaks: tuple[Leak, ...] = ()
    looked: tuple[Looked, ...] = ()
    pairs: Mapping[str, frozenset[Pair]] = field(default_factory=dict)


def joined(several: Iterable[Found]) -> Found:
    """All of several checks."""
    every = list(several)
    names = dict.fromkeys(name for one in every for name in one.pairs)
    pairs = {n: frozenset[Pair]().union(*(one.pairs.get(n, frozenset()) for one in every)) for n in names}
    leaks = tuple(leak for one in every for leak in one.leaks)
    return Found(leaks, tuple(look for one in every for look in one.looked), pairs)


class Shortcut(Frozen):
    """What something trivial scores by itself, cross-validated by patient.

    Attributes:
        name: What it is: `xray view_position`, `IQ`, `all metadata`.
        kind: metadata | presence | time | covariate | trivial | word.
        read: Whether the model reads it; what it does not read can still be told by what it reads.
        auroc: Mean over repeats.
        low, high: Interval by patient, widened over all shortcuts together (Bonferroni).
        flagged: The whole interval lies above the limit: to be reported beside the model.
        why: In words, where flagged.
    """

    name: str
    kind: Literal["metadata", "presence", "time", "covariate", "trivial", "word"]
    read: bool
    auroc: float
    low: float
    high: float
    n_cases: int
    n_patients: int
    flagged: bool = False
    why: str = ""


class Checked(Frozen):
    """All checks over one cohort and task.

    Attributes:
        cohort: Content hash.
        beside: AUROC of the task's own evidence in a plain model on the same folds; None where it was not fitted.
        accepted: Whether somebody went on in spite of errors.
    """

    schema_version: str = SCHEMA_VERSION
    cohort: str
    target: str
    simulated: bool
    n_cases: int
    n_patients: int
    leaks: tuple[Leak, ...] = ()
    looked: tuple[Looked, ...] = ()
    shortcuts: tuple[Shortcut, ...] = ()
    beside: Shortcut | None = None
    accepted: bool = False

    @property
    def errors(self) -> tuple[Leak, ...]:
        """What must be mended before anything is learnt."""
        return tuple(leak for leak in self.leaks if leak.severity == "error")


def refuse_errors(leaks: tuple[Leak, ...], where: str) -> None:
    """Stop before anything is learnt.

    Raises:
        LeakError: If there is an error; it tells all of them.
    """
    errors = [leak for leak in leaks if leak.severity == "error"]
    if errors:
        mends = "; ".join(dict.fromkeys(leak.mend for leak in errors))
        raise LeakError("; ".join(leak.what for leak in errors), where, f"{mends}, {ACCEPT}")
