"""A way of joining by a deep Boltzmann machine: what is present sets its hidden layers, and a ridge head judges those.

In:  `Heard`. Out: logits of any subset, and its vector for retrieval. How it is fitted stands in
`training.methods.boltzmann`; what the machine is, in `colearning.boltzmann`.
"""

from collections.abc import Mapping
from typing import ClassVar, Self, cast

from numpy import ndarray as Array
from pydantic import JsonValue

from clinic_mm.colearning.boltzmann.space import BoltzmannSpace
from clinic_mm.fusion.joined import Cost
from clinic_mm.predict.headed_space import PRIOR, SPACE, HeadedSpace, head_from, under


class JoinedBoltzmann(HeadedSpace[BoltzmannSpace]):
    """A fitted machine with its head, which judges the hidden layers beside presence flags."""

    kind: ClassVar[str] = "boltzmann"

    @classmethod
    def from_state(cls, told: Mapping[str, JsonValue], arrays: Mapping[str, Array]) -> Self:
        """The same again."""
        space = BoltzmannSpace.from_state(cast(Mapping[str, JsonValue], told["space"]), under(SPACE, arrays))
        return cls(space, head_from(told, arrays), arrays[PRIOR])

    def cost(self) -> Cost:
        """The machine and the head."""
        machine, head = self.space.cost(), sum(a.size for a in self.head.to_arrays().values())
        return Cost(machine.parameters + head, machine.multiply_adds + head)
