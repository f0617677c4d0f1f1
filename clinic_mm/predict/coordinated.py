"""A way of joining by a shared space: what is present becomes one point, and a ridge head judges the point.

In:  `Heard`. Out: logits of any subset, and its vector for retrieval. How it is fitted stands in
`training.methods.coordinated`; what the space is, in `colearning.shared_space`.
"""

from collections.abc import Mapping
from typing import ClassVar, Self, cast

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray as Array
from pydantic import JsonValue

from clinic_mm.colearning.shared_space import SharedSpace
from clinic_mm.fusion.heard import Heard
from clinic_mm.fusion.joined import Cost, Joined, State, with_prior
from clinic_mm.predict.heads import Head, from_arrays

HEAD, SPACE, PRIOR = "head/", "space/", "log_prior"


class Coordinated(Joined):
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
        self.told, self.space, self.head, self.log_prior = dict(told), space, head, log_prior

    def logits(self, heard: Heard, case: Int[Array, " r"], present: Bool[Array, "r M"]) -> Float[Array, "r C"]:
        """Log-probabilities by the head."""
        return with_prior(
            np.log(self.head.predict(judged_by(self.space, heard, case, present))), present, self.log_prior
        )

    def embed(self, heard: Heard, case: Int[Array, " r"], present: Bool[Array, "r M"]) -> Float[Array, "r d"]:
        """Vectors for retrieval; see `colearning.embedding`."""
        return self.space.embed(heard, case, present)

    def to_state(self) -> State:
        """Both parts."""
        told, arrays = self.space.to_state()
        head = {HEAD + key: a for key, a in self.head.to_arrays().items()}
        space = {SPACE + key: a for key, a in arrays.items()}
        return {"fit": self.told, "space": told, "head": self.head.kind}, {**head, **space, PRIOR: self.log_prior}

    @classmethod
    def from_state(cls, told: Mapping[str, JsonValue], arrays: Mapping[str, Array]) -> Self:
        """The same again."""
        parts = {
            prefix: {key.removeprefix(prefix): a for key, a in arrays.items() if key.startswith(prefix)}
            for prefix in (HEAD, SPACE)
        }
        space = SharedSpace.from_state(cast(Mapping[str, JsonValue], told["space"]), parts[SPACE])
        head = from_arrays(str(told["head"]), parts[HEAD])
        return cls(cast(Mapping[str, JsonValue], told["fit"]), space, head, arrays[PRIOR])

    def cost(self) -> Cost:
        """The maps and the head; a multiply-add per weight of each."""
        space = sum(p.numel() for p in self.space.parameters())
        products = sum(p.numel() for p in self.space.parameters() if p.ndim == 2)
        components = sum(b.numel() for name, b in self.space.named_buffers() if name.endswith("components"))
        head = sum(a.size for key, a in self.head.to_arrays().items() if key in ("coef", "intercept"))
        return Cost(space + head, products + components + head)


def judged_by(
    space: SharedSpace, heard: Heard, case: Int[Array, " r"], present: Bool[Array, "r M"]
) -> Float[Array, "r f"]:
    """What the head sees: the point of each row, and who speaks in it."""
    return np.hstack([space.points(heard, case, present), present.astype(np.float64)])
