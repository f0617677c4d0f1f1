"""Fit temperatures and shifts per availability pattern on out-of-fold logits, shrunk by the patients behind a pattern.

In:  logits of second-level rows from parts that did not see them. Out: predict.calibrate.Temperatures.

Each part has a Gaussian prior around "nothing changes"; its standard deviation is the room that the part has. A pattern
gets values of its own from 20 patients on, shrunk toward those of its size, as the pool's are.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray as Array
from torch import Tensor

from clinic_mm.predict.calibrate import Temperatures
from clinic_mm.training.pool import SubsetRows, minimise, owned_patterns


@dataclass(frozen=True, slots=True)
class Room:
    """Standard deviations of the priors that shrink a calibration toward what is there; 0 holds a part fast.

    Attributes:
        base: Of the temperature of all rows, in log units, as `size` and `own`.
        size: Of each size.
        own: Of each pattern.
        shift: Of the shift of all rows, per class in logits, as `own_shift` and `absent`.
        own_shift: Of each pattern.
        absent: Of what it says that a modality was never acquired.
        of_prior: Whether the shift of all rows is one of the prior itself, as at another site.
    """

    base: float = 0.25
    size: float = 0.15
    own: float = 0.075
    shift: float = 0.0
    own_shift: float = 0.0
    absent: float = 0.0
    of_prior: bool = False


TRAINING: Final = (Room(), Room(shift=0.2, own_shift=0.2, absent=0.5))
"""What a training cohort may move: the first, unless out-of-fold answers are clearly better by a later one. The second
is for evidence that is not missing by chance. Both were chosen on simulated cohorts of seeds that nothing reports."""


def fit_temperatures(
    logits: Float[Array, "r C"],
    rows: SubsetRows,
    labels: Int[Array, " n"],
    patients: Array,
    had: Bool[Array, "n M"],
    names: tuple[str, ...],
    centre: Float[Array, " C"],
    room: Room = TRAINING[0],
) -> Temperatures:
    """Least penalised NLL of tempered and shifted logits, on rows that the pool was not fitted on.

    Args:
        logits: Uncalibrated, of each row.
        rows: Second-level rows.
        labels: Classes of the cases.
        patients: Patients of the cases.
        had: What the cases have in all.
        names: Modalities, in the order of the columns.
        centre: Log prior, which temperatures leave alone.
        room: How far each part may go.
    """
    n_modalities, n_classes = rows.present.shape[1], logits.shape[1]
    middle = torch.from_numpy(centre)
    given = torch.from_numpy(logits) - middle
    pattern, owned = owned_patterns(rows, patients)
    size = torch.from_numpy(rows.present.sum(axis=1) - 1)
    lacks = torch.from_numpy((~had[rows.case]).astype(np.float64))
    sds = (room.base, room.size, room.own, room.shift, room.own_shift, room.absent)
    k = len(owned) + 1  # the last one stands for all rare patterns, and stays 0
    shapes = ((1,), (n_modalities,), (k,), (n_classes,), (k, n_classes), (n_modalities, n_classes))
    # In units of their standard deviations, so that 0 simply holds a part at 0.
    parts = [torch.zeros(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    which = torch.from_numpy(np.where(pattern >= 0, pattern, len(owned)))
    frequent = (which < len(owned)).double()

    def tempered() -> Tensor:
        base, sizes, own, shift, own_shift, absent = (part * sd for part, sd in zip(parts, sds, strict=True))
        log_t = base + sizes[size] + own[which] * frequent
        moved = shift + own_shift[which] * frequent[:, None] + lacks @ absent
        return middle + given / log_t.exp()[:, None] + moved

    def penalty() -> Tensor:
        return torch.stack([part.square().sum() / 2 for part in parts]).sum()

    minimise(parts, tempered, penalty, labels[rows.case], rows.weight)
    base, sizes, own, shift, own_shift, absent = (p.detach().numpy() * sd for p, sd in zip(parts, sds, strict=True))
    keys = [tuple(sorted(np.array(names)[mask])) for mask in owned]
    return Temperatures(
        names,
        float(base[0]),
        sizes,
        dict(zip(keys, own[:-1].tolist(), strict=True)),
        centre,
        shift if room.shift else None,
        dict(zip(keys, own_shift[:-1], strict=True)) if room.own_shift else {},
        absent if room.absent else None,
        of_prior=room.of_prior,
    )
