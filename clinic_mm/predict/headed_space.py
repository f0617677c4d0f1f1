"""A way of joining by a space that modalities share, and a ridge head that judges the point of each row.

In:  `Heard`. Out: logits of any subset, and its vector for retrieval; state in two parts. What the space is, and what
it costs, says who derives from this.
"""

from collections.abc import Mapping
from typing import Final, Generic, Protocol, TypeVar

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray as Array
from pydantic import JsonValue

from clinic_mm.colearning.embedding import Embedding
from clinic_mm.fusion.heard import Heard
from clinic_mm.fusion.joined import Joined, State, with_prior
from clinic_mm.predict.heads import Head, from_arrays

HEAD: Final = "head/"
SPACE: Final = "space/"
PRIOR: Final = "log_prior"


class Points(Embedding, Protocol):
    """A space that tells points, can be embedded in, and can be kept."""

    def points(self, heard: Heard, case: Int[Array, " r"], present: Bool[Array, "r M"]) -> Float[Array, "r d"]:
        """Where each row lies."""

    def to_state(self) -> State:
        """Settings and arrays."""


S = TypeVar("S", bound=Points)


class HeadedSpace(Joined, Generic[S]):
    """A fitted space with its head.

    Args:
        space: Where points come from.
        head: Judges points beside presence flags.
        log_prior: The answer where nobody speaks.
    """

    def __init__(self, space: S, head: Head, log_prior: Float[Array, " C"]) -> None:
        self.space, self.head, self.log_prior = space, head, log_prior

    def logits(self, heard: Heard, case: Int[Array, " r"], present: Bool[Array, "r M"]) -> Float[Array, "r C"]:
        """Log-probabilities by the head."""
        said = self.head.predict(judged_by(self.space, heard, case, present))
        return with_prior(np.log(said), present, self.log_prior)

    def embed(self, heard: Heard, case: Int[Array, " r"], present: Bool[Array, "r M"]) -> Float[Array, "r d"]:
        """Vectors for retrieval; see `colearning.embedding`."""
        return self.space.embed(heard, case, present)

    def to_state(self) -> State:
        """Both parts."""
        told, arrays = self.space.to_state()
        head = {HEAD + key: a for key, a in self.head.to_arrays().items()}
        space = {SPACE + key: a for key, a in arrays.items()}
        return {"space": told, "head": self.head.kind}, {**head, **space, PRIOR: self.log_prior}


def head_from(told: Mapping[str, JsonValue], arrays: Mapping[str, Array]) -> Head:
    """The head of a state."""
    return from_arrays(str(told["head"]), under(HEAD, arrays))


def under(prefix: str, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """The arrays of one part of a state, by their own names."""
    return {key.removeprefix(prefix): a for key, a in arrays.items() if key.startswith(prefix)}


def judged_by(space: Points, heard: Heard, case: Int[Array, " r"], present: Bool[Array, "r M"]) -> Float[Array, "r f"]:
    """What the head sees: the point of each row, and who speaks in it."""
    return np.hstack([space.points(heard, case, present), present.astype(np.float64)])
