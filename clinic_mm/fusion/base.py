"""What every way of joining is, and the registry that finds it by name.

In:  for each modality what its encoder said (ModalityOutput), and who is present [B, M].
Out: case logits [B, C], valid for every subset; the empty subset gives the prior.
Columns of `present` follow the list of names that the fusion was made with.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from importlib.metadata import entry_points
from typing import ClassVar, Final

import torch
from jaxtyping import Int
from torch import Tensor, nn

from clinic_mm.encoders.base import ModalityOutput
from clinic_mm.errors import TaskError
from clinic_mm.modalities import resolve
from clinic_mm.shapes import Logits, Presence

BUILT_IN: Final = {
    "concat": "clinic_mm.fusion.concat:Concat",
    "additive": "clinic_mm.fusion.additive:Additive",
    "weighted_sum": "clinic_mm.fusion.weighted_sum:WeightedSum",
    "multiplicative": "clinic_mm.fusion.multiplicative:Multiplicative",
    "gated": "clinic_mm.fusion.gated:Gated",
    "bilinear": "clinic_mm.fusion.bilinear:Bilinear",
    "low_rank_bilinear": "clinic_mm.fusion.low_rank_bilinear:LowRankBilinear",
    "tensor": "clinic_mm.fusion.tensor:TensorFusion",
    "low_rank_tensor": "clinic_mm.fusion.low_rank_tensor:LowRankTensor",
    "channel_exchange": "clinic_mm.fusion.channel_exchange:ChannelExchange",
    "cross_attention": "clinic_mm.fusion.cross_attention:CrossAttention",
    "mbt": "clinic_mm.fusion.mbt:MBT",
    "perceiver": "clinic_mm.fusion.perceiver:Perceiver",
    "bottleneck": "clinic_mm.fusion.bottleneck:Bottleneck",
    "recurrent": "clinic_mm.fusion.recurrent:Recurrent",
    "mixture": "clinic_mm.fusion.mixture:Mixture",
    "hybrid": "clinic_mm.fusion.hybrid:Hybrid",
}


class Fusion(nn.Module, ABC):
    """Base of all ways of joining. The prior is a buffer; a subclass says what evidence adds to it."""

    prior: Tensor
    reads_tokens: ClassVar[bool] = True
    """False where summaries and opinions are all that is looked at; tokens are then not even carried along."""

    def __init__(self, names: Sequence[str], width: int, prior: Tensor) -> None:
        super().__init__()
        self.names, self.width = tuple(names), width
        self.register_buffer("prior", prior.log())

    @abstractmethod
    def evidence(self, outputs: Mapping[str, ModalityOutput], present: Presence) -> Logits:
        """What the present modalities add to the log prior. Rows here have at least one modality."""

    def penalty(self) -> Tensor:
        """What training adds to the loss for the sake of the weights alone; by default nothing."""
        return self.prior.new_zeros(())

    def forward(
        self, outputs: Mapping[str, ModalityOutput], present: Presence, case: Int[Tensor, " B"] | None = None
    ) -> Logits:
        """Case logits for whatever subset is present in each row.

        Args:
            outputs: What each modality said of some cases.
            present: Who speaks in each row, a subset of what its case has.
            case: Whose each row is, so that one encoding answers many subsets; by default row r is case r.
        """
        logits = self.prior.expand(len(present), -1)
        rows = present.any(dim=1).nonzero().squeeze(1)
        if not len(rows):
            return logits
        return logits.index_add(0, rows, self.answers(outputs, present[rows], rows if case is None else case[rows]))

    def answers(self, outputs: Mapping[str, ModalityOutput], present: Presence, case: Int[Tensor, " B"]) -> Logits:
        """Evidence of rows with at least one modality: here each row is read apart, though rows may share a case."""
        return self.evidence(self.real(outputs, present, case), present)

    def real(
        self, outputs: Mapping[str, ModalityOutput], present: Presence, case: Int[Tensor, " B"]
    ) -> dict[str, ModalityOutput]:
        """What stands in some rows; what is not real is zero from here on: a weight of 0 would let a NaN through."""
        return {
            name: _real(outputs[name], case, present[:, column], self.reads_tokens)
            for column, name in enumerate(self.names)
        }


def _real(output: ModalityOutput, case: Tensor, here: Tensor, with_tokens: bool) -> ModalityOutput:
    some = slice(None) if with_tokens else slice(0)
    real = output.token_mask[case, some] & here[:, None]
    return ModalityOutput(
        output.tokens[case, some].masked_fill(~real[..., None], 0.0),
        real,
        output.time_h[case, some].masked_fill(~real, 0.0),
        output.summary[case].masked_fill(~here[:, None], 0.0),
        output.logits[case].masked_fill(~here[:, None], 0.0),
    )


@cache
def registry() -> dict[str, str]:
    """Fusions by name: built in, and from installed packages (entry points `clinic_mm.fusion`)."""
    return {**BUILT_IN, **{point.name: point.value for point in entry_points(group="clinic_mm.fusion")}}


def make_fusion(name: str, names: Sequence[str], width: int, prior: Tensor) -> Fusion:
    """A fusion by name.

    Raises:
        TaskError: For an unknown name, with the list and the nearest name.
    """
    known = registry()
    if name not in known:
        near = get_close_matches(name, known, n=1)
        hint = f"Did you mean {near[0]!r}? " if near else ""
        raise TaskError(f"Unknown fusion {name!r}", "fusion", f"{hint}Known: {', '.join(sorted(known))}")
    made: Fusion = resolve(known[name])(names, width, prior)
    return made


def uniform_prior(n_classes: int) -> Tensor:
    """Equal chances, for tests and for fusions fitted later."""
    return torch.full((n_classes,), 1.0 / n_classes)
