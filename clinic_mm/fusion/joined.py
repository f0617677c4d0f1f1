"""A fitted way of joining: what an artifact keeps and what answers any subset of a case.

In:  `Heard`, and rows of (case, subset). Out: logits. Here is the contract alone; each kind has a file of its own.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from jaxtyping import Bool, Float, Int
from numpy import ndarray as Array
from pydantic import JsonValue

from clinic_mm.errors import ArtifactError
from clinic_mm.fusion.heard import Heard
from clinic_mm.modalities import resolve

State = tuple[dict[str, JsonValue], dict[str, Array]]
"""Settings as JSON, and arrays; together all that a fitted way of joining is."""

KINDS: Final[dict[str, str]] = {
    "network": "clinic_mm.predict.network:JoinedNetwork",
    "weighted": "clinic_mm.fusion.late:Weighted",
    "vote": "clinic_mm.fusion.late:Vote",
    "log_pool": "clinic_mm.fusion.late:Pooled",
    "headed": "clinic_mm.predict.headed:Headed",
    "coordinated": "clinic_mm.predict.coordinated:Coordinated",
    "boltzmann": "clinic_mm.predict.boltzmann:JoinedBoltzmann",
    "topics": "clinic_mm.predict.topics:JoinedTopics",
}
"""Where each kind stands, so that an artifact can be read without any registration."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one answer costs.

    Attributes:
        parameters: Numbers that were fitted.
        multiply_adds: For one case with every modality, beyond preparation and frozen encoders.
    """

    parameters: int
    multiply_adds: int


class Joined(ABC):
    """A fitted way of joining."""

    kind: ClassVar[str]

    @property
    def fills(self) -> str:
        """What takes the place of absent modalities inside, in words for a reader; empty where nothing does."""
        return ""

    @abstractmethod
    def logits(self, heard: Heard, case: Int[Array, " r"], present: Bool[Array, "r M"]) -> Float[Array, "r C"]:
        """Logits of subsets.

        Args:
            heard: One encoding of the cases.
            case: Which case each row asks about.
            present: Who speaks in each row, a subset of what the case has. Where nobody does, the log prior.
        """

    @abstractmethod
    def to_state(self) -> State:
        """Settings and arrays."""

    @classmethod
    @abstractmethod
    def from_state(cls, told: Mapping[str, JsonValue], arrays: Mapping[str, Array]) -> Self:
        """The same again, to the bit."""

    @abstractmethod
    def cost(self) -> Cost:
        """Parameters and multiply-adds."""


def restored(kind: str, told: Mapping[str, JsonValue], arrays: Mapping[str, Array]) -> Joined:
    """A fitted way of joining from its state.

    Raises:
        ArtifactError: For a kind that this program does not know.
    """
    if kind not in KINDS:
        raise ArtifactError(f"Unknown way of joining {kind!r}", "model.json", "Read it with the program that wrote it")
    made: Joined = resolve(KINDS[kind]).from_state(told, arrays)
    return made


def with_prior(
    answer: Float[Array, "r C"], present: Bool[Array, "r M"], log_prior: Float[Array, " C"]
) -> Float[Array, "r C"]:
    """Logits with the log prior wherever nobody speaks."""
    nobody = ~present.any(axis=1)
    answer = answer.copy()
    answer[nobody] = log_prior
    return answer
