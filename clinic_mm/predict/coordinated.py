"""A way of joining by a shared space: what is present becomes one point, and a ridge head judges the point.

In:  `Heard`. Out: logits of any subset, and its vector for retrieval. How it is fitted stands in
`training.methods.coordinated`; what the space is, in `colearning.shared_space`.
"""

from collections.abc import Mapping
from typing import ClassVar, Self, cast

from jaxtyping import Float
from numpy import ndarray as Array
from pydantic import JsonValue

from clinic_mm.colearning.shared_space import SharedSpace
from clinic_mm.fusion.joined import Cost, State
from clinic_mm.predict.headed_space import PRIOR, SPACE, HeadedSpace, head_from, under
from clinic_mm.predict.heads import Head


class Coordinated(HeadedSpace[SharedSpace]):
    """A fitted shared space with its head.

    Args:
        told: What is worth knowing of the fit (JSON); kept.
        space: Where points come from.
        head: Judges points beside presence flags.
        log_prior: The answer where nobody speaks.
    """

    kind: ClassVar[str] = "coordinated"

    def __init__(
        self, told: Mapping[str, JsonValue], space: SharedSpace, head: Head, log_prior: Float[Array, " C"]
    ) -> None:
        super().__init__(space, head, log_prior)
        self.told = dict(told)

    def to_state(self) -> State:
        """Both parts, and what is told of the fit."""
        told, arrays = super().to_state()
        return {**told, "fit": self.told}, arrays

    @classmethod
    def from_state(cls, told: Mapping[str, JsonValue], arrays: Mapping[str, Array]) -> Self:
        """The same again."""
        space = SharedSpace.from_state(cast(Mapping[str, JsonValue], told["space"]), under(SPACE, arrays))
        return cls(cast(Mapping[str, JsonValue], told["fit"]), space, head_from(told, arrays), arrays[PRIOR])

    def cost(self) -> Cost:
        """The maps and the head; a multiply-add per weight of each."""
        space = sum(p.numel() for p in self.space.parameters())
        products = sum(p.numel() for p in self.space.parameters() if p.ndim == 2)
        components = sum(b.numel() for name, b in self.space.named_buffers() if name.endswith("components"))
        head = sum(a.size for key, a in self.head.to_arrays().items() if key in ("coef", "intercept"))
        return Cost(space + head, products + components + head)
