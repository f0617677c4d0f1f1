"""Named shapes. B cases, T tokens, D width of a token, C classes, M modalities."""

from typing import TypeAlias

from jaxtyping import Bool, Float
from torch import Tensor

Tokens: TypeAlias = Float[Tensor, "B T D"]
TokenMask: TypeAlias = Bool[Tensor, "B T"]
TokenTimes: TypeAlias = Float[Tensor, "B T"]
Summaries: TypeAlias = Float[Tensor, "B D"]
Logits: TypeAlias = Float[Tensor, "B C"]
Presence: TypeAlias = Bool[Tensor, "B M"]
