"""Turn what stands in `Heard` into tokens of one width, so that every fusion takes every kind of modality.

In:  for one modality of a batch: plain summaries, the expert's opinion, what a frozen encoder said, or tensors.
Out: ModalityOutput; zeros where absent. Three levels of learning, one word each in the task file:

    feature  plain summaries through a small adapter; nothing learnt stands below it
    model    what separately fitted models say: the expert's opinion beside the frozen encoder's summary and tokens
             (plain summaries where no encoder was fitted)
    joint    the encoder itself, fitted together with the fusion

Only present rows are computed: what stands in an absent row can reach nothing.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Final, Literal, get_args

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from clinic_mm.encoders.base import Encoder, ModalityOutput

Learning = Literal["feature", "model", "joint"]
LEARNINGS: Final[tuple[str, ...]] = get_args(Learning)
TOKENS: Final = 4
CLIP: Final = 5.0
MOST_FORGOTTEN: Final = 0.8
"""Chosen on SUPPORT2, which is scored nowhere: 184 noisy summaries of 2,100 patients give AUROC 0.77, 0.74 without
forgetting; 0.69 and 0.64 with 80 % of the summaries gone at test."""
DROPOUT: Final = 0.2
MOST_INPUTS: Final = 256
"""Summaries beyond which principal components of the training rows stand for them."""
COMPONENTS: Final = 64


@dataclass(frozen=True, slots=True)
class Given:
    """One modality of a batch.

    Attributes:
        here: Whether it is present.
        time_h: Hours before the decision, NaN where unknown.
        plain: Plain summaries, NaN where missing.
        opinion: The expert's log-probabilities.
        said: What a frozen encoder said, None without one.
        x: Prepared tensors of the present rows alone, in their order; None unless encoders learn too.
    """

    here: Bool[Tensor, " B"]
    time_h: Float[Tensor, " B"]
    plain: Float[Tensor, "B p"]
    opinion: Float[Tensor, "B C"]
    said: ModalityOutput | None = None
    x: Tensor | None = None


class Adapter(nn.Module, ABC):
    """Base of the adapters: presence and times are handled here, once."""

    @abstractmethod
    def speak(self, given: Given, rows: Int[Tensor, " k"]) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens [k, T, D], summary [k, D] and opinion [k, C] of the present rows."""

    def forward(self, given: Given) -> ModalityOutput:
        """What this modality says of the batch."""
        n, rows = len(given.here), given.here.nonzero().squeeze(1)
        said = self.speak(given, rows)
        tokens, summary, logits = (part.new_zeros(n, *part.shape[1:]).index_copy(0, rows, part) for part in said)
        mask = given.here[:, None].expand(-1, tokens.shape[1])
        when = torch.where(given.here, given.time_h.nan_to_num(0.0), 0.0)
        return ModalityOutput(tokens, mask, when[:, None].expand(-1, tokens.shape[1]), summary, logits)


def _summariser(width: int) -> nn.Module:
    return nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width))


class Features(nn.Module):
    """Summaries with gaps as standardised numbers and flags of what is missing; learnt from training rows by `fit`."""

    centre: Tensor
    spread: Tensor
    flagged: Tensor
    mean: Tensor
    components: Tensor

    def __init__(self, n_inputs: int, n_flagged: int, n_components: int) -> None:
        super().__init__()
        self.shape = (n_inputs, n_flagged, n_components)
        self.register_buffer("centre", torch.zeros(n_inputs))
        self.register_buffer("spread", torch.ones(n_inputs))
        self.register_buffer("flagged", torch.zeros(n_flagged, dtype=torch.long))
        self.register_buffer("mean", torch.zeros(n_inputs if n_components else 0))
        self.register_buffer("components", torch.zeros(n_inputs, n_components))

    @property
    def n_outputs(self) -> int:
        """Numbers that come out per case."""
        n_inputs, n_flagged, n_components = self.shape
        return (n_components or n_inputs) + n_flagged

    def forward(self, plain: Float[Tensor, "k p"]) -> Float[Tensor, "k q"]:
        """Standardised, clipped, 0 where missing; then the flags."""
        known = torch.isfinite(plain)
        cells = torch.where(known, ((plain - self.centre) / self.spread).clamp(-CLIP, CLIP), 0.0)
        if self.shape[2]:
            cells = (cells - self.mean) @ self.components
        return torch.cat([cells, (~known[:, self.flagged]).to(cells.dtype)], dim=1)


def fit_features(plain: Float[Tensor, "k p"]) -> Features:
    """Median and robust spread; flags for what is missing in some rows; components where there are many summaries."""
    plain = torch.where(torch.isfinite(plain), plain, torch.nan)
    missing = plain.isnan().float().mean(dim=0)
    flagged = ((missing > 0.01) & (missing < 0.99)).nonzero().squeeze(1)
    many = plain.shape[1] > MOST_INPUTS
    flagged = flagged[:0] if many else flagged
    n_components = min(COMPONENTS, *plain.shape) if many else 0
    made = Features(plain.shape[1], len(flagged), n_components)
    if len(plain) == 0:
        return made
    centre = plain.nanmedian(dim=0).values
    spread = 1.2533 * (plain - centre).abs().nanmean(dim=0)
    made.centre.copy_(centre.nan_to_num(0.0))
    made.spread.copy_(torch.where(spread > 1e-6, spread, 1.0).nan_to_num(1.0))
    made.flagged.copy_(flagged)
    if n_components:
        cells = torch.where(plain.isnan(), 0.0, ((plain - made.centre) / made.spread).clamp(-CLIP, CLIP))
        made.mean.copy_(cells.mean(dim=0))
        _, singular, right = torch.linalg.svd(cells - made.mean, full_matrices=False)
        scale = (len(plain) ** 0.5) / singular[:n_components].clamp(min=1e-6)
        made.components.copy_((right[:n_components] * scale[:, None]).T)
    return made


class PlainAdapter(Adapter):
    """Plain summaries, and at level "model" the expert's opinion beside them, as a few tokens."""

    def __init__(self, width: int, features: Features, n_opinion: int = 0) -> None:
        super().__init__()
        self.features, self.n_opinion = features, n_opinion
        self.embed = nn.Sequential(
            nn.Dropout(DROPOUT),
            nn.Linear(features.n_outputs + n_opinion, TOKENS * width),
            nn.Unflatten(1, (TOKENS, width)),
            nn.GELU(),
            nn.LayerNorm(width),
        )
        self.summarise = _summariser(width)

    def speak(self, given: Given, rows: Int[Tensor, " k"]) -> tuple[Tensor, Tensor, Tensor]:
        """A few tokens, each reading all summaries."""
        plain = given.plain[rows]
        cells = self.features(_forgotten(plain) if self.training else plain)
        if self.n_opinion:
            cells = torch.cat([cells, given.opinion[rows]], dim=1)
        tokens = self.embed(cells)
        return tokens, self.summarise(tokens.mean(dim=1)), given.opinion[rows]


def _forgotten(plain: Float[Tensor, "k p"]) -> Float[Tensor, "k p"]:
    """Summaries forgotten, each case at a rate of its own, so that gaps at any rate are familiar."""
    rate = MOST_FORGOTTEN * torch.rand(len(plain), 1)
    return plain.masked_fill(torch.rand(plain.shape) < rate, torch.nan)


class SpokenAdapter(Adapter):
    """What a frozen encoder said: its tokens, projected, and one token of its summary with the expert's opinion."""

    def __init__(self, width: int, encoder_width: int, n_opinion: int) -> None:
        super().__init__()
        self.project = nn.Sequential(nn.Dropout(DROPOUT), nn.LayerNorm(encoder_width), nn.Linear(encoder_width, width))
        self.embed = nn.Sequential(nn.Dropout(DROPOUT), nn.Linear(encoder_width + n_opinion, width))
        self.summarise = _summariser(width)

    def speak(self, given: Given, rows: Int[Tensor, " k"]) -> tuple[Tensor, Tensor, Tensor]:
        """The encoder's tokens and the summary's."""
        assert given.said is not None
        whole = self.embed(torch.cat([given.said.summary[rows], given.opinion[rows]], dim=1))
        tokens = torch.cat([whole[:, None], self.project(given.said.tokens[rows])], dim=1)
        return tokens, self.summarise(tokens.mean(dim=1)), given.opinion[rows]


class LiveAdapter(Adapter):
    """The encoder itself, learning; its opinion is its own."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def speak(self, given: Given, rows: Int[Tensor, " k"]) -> tuple[Tensor, Tensor, Tensor]:
        """As the encoder speaks."""
        encoder = self.encoder
        assert given.x is not None, "encoders that learn need x"
        if not len(rows):
            none = encoder.opinion.weight.new_zeros
            shapes = ((0, encoder.n_tokens, encoder.width), (0, encoder.width), (0, encoder.n_classes))
            return none(shapes[0]), none(shapes[1]), none(shapes[2])
        return encoder.speak(encoder.augment(given.x) if self.training else given.x)
