"""What every encoder is: tensors of one modality in; tokens, a summary and an opinion out.

In:  x [B, …], present [B]. Out: ModalityOutput.
Only present rows are computed. What stands in an absent row (zeros, NaN, 1e9) can reach neither an output, nor a
gradient, nor a batch statistic: rows are indexed, never masked afterwards.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Final, Self

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from clinic_mm.modalities import modality, resolve
from clinic_mm.shapes import Logits, Summaries, TokenMask, Tokens, TokenTimes

WIDTH: Final = {"tiny": 64, "small": 96, "base": 128}
"""Width of tokens and summaries by model size."""


@dataclass(frozen=True, slots=True)
class ModalityOutput:
    """What one modality says of a batch of cases.

    Attributes:
        tokens: Zeros where absent.
        token_mask: True where a token is real; False throughout an absent row.
        time_h: Hours from the acquisition of each token to the decision; 0 where unknown or absent.
        summary: Zeros where absent.
        logits: The modality's own opinion, unnormalised log-probabilities; zeros where absent.
    """

    tokens: Tokens
    token_mask: TokenMask
    time_h: TokenTimes
    summary: Summaries
    logits: Logits

    def rows(self, index: Int[Tensor, " r"]) -> Self:
        """Some cases of the batch, in the order given, as often as they are named."""
        parts = (self.tokens, self.token_mask, self.time_h, self.summary, self.logits)
        return type(self)(*(part[index] for part in parts))


class Encoder(nn.Module, ABC):
    """Base of all encoders. A subclass says how present rows become tokens; presence is handled here, once."""

    def __init__(self, shape: tuple[int, ...], n_classes: int, size: str) -> None:
        super().__init__()
        self.shape, self.width, self.n_classes = shape, WIDTH[size], n_classes
        self.pool = nn.Sequential(nn.Linear(2 * self.width, self.width), nn.GELU(), nn.LayerNorm(self.width))
        self.opinion = nn.Linear(self.width, n_classes)

    @property
    @abstractmethod
    def n_tokens(self) -> int:
        """Tokens per case."""

    @abstractmethod
    def encode(self, x: Float[Tensor, "n ..."]) -> Float[Tensor, "n T D"]:
        """Tokens of cases that are all present."""

    def fit_input(self, x: Float[Tensor, "n ..."]) -> None:
        """Learn the scale of the input from training rows; most encoders need not."""
        del x

    def augment(self, x: Float[Tensor, "n ..."]) -> Float[Tensor, "n ..."]:
        """Change training rows in ways that keep their class; by default not at all."""
        return x

    def speak(self, x: Float[Tensor, "n ..."]) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens [n, T, D], summary [n, D] and logits [n, C] of cases that are all present."""
        tokens = self.encode(x)
        summary = self.pool(torch.cat([tokens.mean(dim=1), tokens.amax(dim=1)], dim=1))
        return tokens, summary, self.opinion(summary)

    def forward(
        self, x: Float[Tensor, "B ..."], present: Bool[Tensor, " B"], time_h: Float[Tensor, " B"] | None = None
    ) -> ModalityOutput:
        """Encode the present rows of a batch; the batch may hold none."""
        rows = present.nonzero().squeeze(1)
        parameter = self.opinion.weight
        tokens = parameter.new_zeros(len(present), self.n_tokens, self.width)
        summary = parameter.new_zeros(len(present), self.width)
        logits = parameter.new_zeros(len(present), self.n_classes)
        if len(rows):
            spoken = self.speak(x[rows].to(parameter.dtype))
            tokens, summary, logits = (
                empty.index_copy(0, rows, said) for empty, said in zip((tokens, summary, logits), spoken, strict=True)
            )
        mask = present[:, None].expand(-1, self.n_tokens)
        when = torch.zeros_like(present, dtype=parameter.dtype) if time_h is None else time_h.nan_to_num(0.0)
        times = torch.where(present, when.to(parameter.dtype), 0.0)[:, None].expand(-1, self.n_tokens)
        return ModalityOutput(tokens, mask, times, summary, logits)


def make_encoder(kind: str, shape: tuple[int, ...], n_classes: int, size: str) -> Encoder:
    """The encoder of a kind from the modality table.

    Args:
        kind: A row of the table.
        shape: Shape of one case's `x`, as the prep gives it.
        n_classes: Classes of the target.
        size: tiny | small | base.
    """
    made: Encoder = resolve(modality(kind).encoder)(shape, n_classes, size)
    return made
