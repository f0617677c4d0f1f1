"""Contrastive alignment of any number of modalities: the views of one case near each other, those of others apart.

In:  unit vectors of each view of a batch, who is present, and which rows tell of the same (diagnosis or patient).
Out: a loss over all pairs of views, each over the rows that have both.

    p_ij = softmax_j (s_ij / tau),   loss = - mean_i sum_j q_ij log p_ij,   both ways round
    q_ij = (1 - soft) [i = j] + soft * [i alike j] / (how many are alike i)

`soft` = 0 is the loss of CLIP. With `soft` = 1 every row of the same diagnosis is a positive, as in supervised
contrastive learning (L_out); between, another case of the same diagnosis is not pushed away as if it were a stranger.
The logarithm of tau is learnt, and kept between bounds.

Sources: Radford et al. 2021 (CLIP), arXiv 2103.00020; van den Oord et al. 2018 (InfoNCE), arXiv 1807.03748;
Khosla et al. 2020 (SupCon), arXiv 2004.11362.
"""

import math
from collections.abc import Sequence
from itertools import permutations
from typing import Final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import normalize

from clinic_mm.colearning.moment import Moment
from clinic_mm.shapes import Presence

FIRST_TAU: Final = 0.07
TAU: Final = (0.01, 1.0)
"""Bounds of the temperature; CLIP's lower bound is 1/100."""
SOFT: Final = 0.5
ALIGN_WEIGHT: Final = 0.1
"""Beside the cross-entropy of the answer."""


class Contrast(nn.Module):
    """The loss, and the temperature that it learns.

    Args:
        soft: Share of the target that goes to rows that are alike.
    """

    def __init__(self, soft: float = SOFT) -> None:
        super().__init__()
        self.soft = soft
        self.log_tau = nn.Parameter(torch.tensor(math.log(FIRST_TAU)))

    @property
    def tau(self) -> Tensor:
        """Temperature, within its bounds."""
        return self.log_tau.clamp(math.log(TAU[0]), math.log(TAU[1])).exp()

    def forward(
        self, views: Sequence[Float[Tensor, "n d"]], present: Presence, alike: Bool[Tensor, "n n"]
    ) -> Float[Tensor, ""]:
        """Mean over ordered pairs of views.

        Args:
            views: Unit vectors of each view; rows where it is absent are not looked at.
            present: Which view each row has.
            alike: Which rows are positives of which, each of itself too; see `alike`.
        """
        found = []
        for a, b in permutations(range(len(views)), 2):
            rows = (present[:, a] & present[:, b]).nonzero().squeeze(1)
            if len(rows) > 1:
                target = soft_targets(alike[rows][:, rows], self.soft)
                found.append(cross_entropy(views[a][rows] @ views[b][rows].T / self.tau, target))
        return torch.stack(found).mean() if found else 0.0 * self.log_tau


def alike(labels: Int[Tensor, " n"], patients: Int[Tensor, " n"]) -> Bool[Tensor, "n n"]:
    """Rows of the same known class (-1 is unknown) or of the same patient."""
    same_class = (labels[:, None] == labels) & (labels >= 0)
    return same_class | (patients[:, None] == patients)


def soft_targets(alike: Bool[Tensor, "n n"], soft: float) -> Float[Tensor, "n n"]:
    """The distribution q over the columns of each row."""
    spread = alike / alike.sum(dim=1, keepdim=True)
    return (1 - soft) * torch.eye(len(alike)) + soft * spread


def cross_entropy(scores: Float[Tensor, "n n"], target: Float[Tensor, "n n"]) -> Float[Tensor, ""]:
    """Mean over rows of minus the expected log-probability."""
    return -(target * scores.log_softmax(dim=1)).sum(dim=1).mean()


class Align(nn.Module):
    """The same loss on the summaries of a fusion network while it is trained, encoders that learn included.

    Each modality's summary goes through a linear map of its own, so that what it does not share stays its own.
    """

    def __init__(self, names: Sequence[str], width: int) -> None:
        super().__init__()
        self.names = tuple(names)
        self.project = nn.ModuleList(nn.Linear(width, width) for _ in names)
        self.contrast = Contrast()

    def forward(self, moment: Moment) -> Float[Tensor, ""]:
        """Loss of a batch; every case is a patient of its own here."""
        views = []
        for project, name, here in zip(self.project, self.names, moment.present.T, strict=True):
            summary = moment.outputs[name].summary.masked_fill(~here[:, None], 0.0)  # a NaN times 0 is a NaN
            views.append(normalize(project(summary), dim=1))
        same = alike(moment.target, torch.arange(len(moment.target)))
        lost: Tensor = ALIGN_WEIGHT * self.contrast(views, moment.present, same)
        return lost
