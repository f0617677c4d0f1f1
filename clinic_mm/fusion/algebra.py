"""What the algebraic fusions share: summaries side by side, one linear map per modality, the function after joining.

In:  what encoders said of cases with at least one modality, zeros where absent (see `Fusion.forward`).
Out: tensors with one row per case and one column per modality, in the order of the fusion's names.
"""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from clinic_mm.encoders.base import ModalityOutput
from clinic_mm.shapes import Presence


def summaries(outputs: Mapping[str, ModalityOutput], names: Sequence[str]) -> Float[Tensor, "B M D"]:
    """z_m of every modality, zeros where absent."""
    return torch.stack([outputs[name].summary for name in names], dim=1)


def only(present: Presence, numbers: Float[Tensor, "B M K"], filler: float = 0.0) -> Float[Tensor, "B M K"]:
    """The numbers of the present modalities; `filler` for the absent: 0 in a sum, 1 in a product."""
    return numbers.masked_fill(~present[..., None], filler)


def shares(present: Presence, score: Float[Tensor, " M"]) -> Float[Tensor, "B M"]:
    """exp(score_m), renormalised to 1 over the present modalities of each row."""
    return score.expand(len(present), -1).masked_fill(~present, -torch.inf).softmax(dim=1)


class OwnLinear(nn.Module):
    """A linear map of its own for each modality: W_m z_m + b_m."""

    def __init__(
        self, n_modalities: int, n_inputs: int, n_outputs: int, *, scale: float = 1.0, bias: float = 0.0
    ) -> None:
        """Weights ~ N(0, scale² / n_inputs); every bias starts at `bias`."""
        super().__init__()
        self.weight = nn.Parameter(scale * n_inputs**-0.5 * torch.randn(n_modalities, n_inputs, n_outputs))
        self.bias = nn.Parameter(torch.full((n_modalities, n_outputs), bias))

    def forward(self, z: Float[Tensor, "B M D"]) -> Float[Tensor, "B M K"]:
        """Each modality through its own map."""
        return torch.baddbmm(self.bias[:, None], z.transpose(0, 1), self.weight).transpose(0, 1)


def head(n_inputs: int, hidden: int, n_classes: int) -> nn.Module:
    """The function f after joining: one hidden layer."""
    return nn.Sequential(nn.Linear(n_inputs, hidden), nn.GELU(), nn.Linear(hidden, n_classes))
