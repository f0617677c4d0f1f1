"""What an explainer may look at: one modality of the cases that have it, and its expert as deployed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Float, Float64, Int
from numpy import ndarray as Array

from clinic_mm.predict.attribute import worth
from clinic_mm.predict.experts import Expert, judge
from clinic_mm.predict.within.head_shares import HeadShares, head_shares
from clinic_mm.prep.base import Prep
from clinic_mm.signals import Signal
from clinic_mm.types import CaseRecord


@dataclass(frozen=True, slots=True)
class Why:
    """How far to explain.

    Attributes:
        roots: Folder of each root of the cohort: the words of a note are looked up where the note lies.
        occlude: Also explain experts that are networks, by leaving out one part at a time: a second or so a case.
    """

    roots: Mapping[str, Path]
    occlude: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """One modality of k cases that have it.

    Attributes:
        name: Of the modality in the task.
        expert: As deployed.
        prep: As deployed.
        cases: Whose it is.
        x: Prepared tensors [k, ...].
        plain: Plain summaries [k, p].
        toward: Class that shares point to [k].
        why: How far to explain.
    """

    name: str
    expert: Expert
    prep: Prep[Signal]
    cases: Sequence[CaseRecord]
    x: Float[Array, "k ..."]
    plain: Float[Array, "k p"]
    toward: Int[Array, " k"]
    why: Why

    def exact(self) -> HeadShares | None:
        """Shares of the plain summaries, where the expert judges by them and has exact ones."""
        return head_shares(self.expert.head, self.plain, self.toward) if self.expert.how.startswith("plain") else None

    def opinion(self, row: int, x: Float[Array, "n ..."], plain: Float[Array, "n p"]) -> Float64[Array, " n"]:
        """What the expert would say of n other versions of a case."""
        spoken = None if self.expert.how.startswith("plain") else self.expert.hear(x)
        said = judge(self.expert.how, self.expert.head, plain, spoken)
        told: Array = worth(said[None], self.toward[[row]])[0]
        return told
