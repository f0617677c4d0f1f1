"""A way of joining by a deep Boltzmann machine: what is present sets its hidden layers, and a ridge head judges those.

In:  `Heard`. Out: logits of any subset, and its vector for retrieval. How it is fitted stands in
`training.methods.boltzmann`; what the machine is, in `colearning.boltzmann`.
"""

from collections.abc import Mapping
from typing import ClassVar, Final, Self, cast

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray as Array
from pydantic import JsonValue

from clinic_mm.colearning.boltzmann.space import BoltzmannSpace
from clinic_mm.fusion.heard import Heard
from clinic_mm.fusion.joined import Cost, Joined, State, with_prior
from clinic_mm.predict.heads import Head, from_arrays

HEAD: Final = "head/"
SPACE: Final = "space/"
PRIOR: Final = "log_prior"


class JoinedBoltzmann(Joined):
    """A fitted machine with its head.

    Args:
        space: The machine and its views.
        head: Judges the hidden layers beside presence flags.
        log_prior: The answer where nobody speaks.
    """

    kind: ClassVar[str] = "boltzmann"

    def __init__(self, space: BoltzmannSpace, head: Head, log_prior: Float[Array, " C"]) -> None:
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

    @classmethod
    def from_state(cls, told: Mapping[str, JsonValue], arrays: Mapping[str, Array]) -> Self:
        """The same again."""
        head, space = (
            {key.removeprefix(prefix): a for key, a in arrays.items() if key.startswith(prefix)}
            for prefix in (HEAD, SPACE)
        )
        made = BoltzmannSpace.from_state(cast(Mapping[str, JsonValue], told["space"]), space)
        return cls(made, from_arrays(str(told["head"]), head), arrays[PRIOR])

    def cost(self) -> Cost:
        """The machine and the head."""
        machine, head = self.space.cost(), sum(a.size for a in self.head.to_arrays().values())
        return Cost(machine.parameters + head, machine.multiply_adds + head)


def judged_by(
    space: BoltzmannSpace, heard: Heard, case: Int[Array, " r"], present: Bool[Array, "r M"]
) -> Float[Array, "r f"]:
    """What the head sees: the hidden layers of each row, and who speaks in it."""
    return np.hstack([space.points(heard, case, present), present.astype(np.float64)])
