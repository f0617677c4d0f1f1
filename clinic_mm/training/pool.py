"""Fit the pool on out-of-fold opinions, shrunk by how many patients a pattern has (METHODS §2).

In:  second-level rows: each training case under its own pattern (native) and masked down to every sub-pattern.
Out: fusion.pool.LogPool.

Native rows count fully. Masked rows fill a pattern up to 100 and no further: under MAR or MNAR a masked row is not a
native row; and all masked rows of a case together never count more than the case itself, since they are one patient.
From 20 patients on a pattern gets values of its own, shrunk toward those of its size.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray as Array
from torch import Tensor

from clinic_mm.fusion.pool import LogPool, log_ratio, subsets, unfitted

NATIVE_ENOUGH: Final = 100
OWN_FROM: Final = 20
# Standard deviations of the shrinking priors, in log-weight and logit units.
TRUST_SD: Final = 0.7
SIZE_SD: Final = 0.3
OWN_SD: Final = 0.15
SHIFT_SD: Final = 0.2
STEPS: Final = 60


@dataclass(frozen=True, slots=True)
class SubsetRows:
    """Second-level rows.

    Attributes:
        case: Index of the case of each row.
        present: The subset.
        native: Whether the subset is the case's own pattern.
        weight: How much the row counts.
    """

    case: Int[Array, " r"]
    present: Bool[Array, "r M"]
    native: Bool[Array, " r"]
    weight: Float[Array, " r"]

    def only(self, keep: Bool[Array, " r"]) -> "SubsetRows":
        """Some of the rows."""
        return SubsetRows(self.case[keep], self.present[keep], self.native[keep], self.weight[keep])


def subset_rows(present: Bool[Array, "n M"]) -> SubsetRows:
    """All non-empty subsets of each case's pattern, weighted."""
    masks = [subsets(row, seed=index) for index, row in enumerate(present)]
    case = np.repeat(np.arange(len(present)), [len(m) for m in masks])
    stacked = np.concatenate([*masks, np.zeros((0, present.shape[1]), bool)])
    native = (stacked == present[case]).all(axis=1)
    weight = native.astype(float)
    for pattern in np.unique(stacked, axis=0):
        rows = (stacked == pattern).all(axis=1)
        n_native, n_masked = (rows & native).sum(), (rows & ~native).sum()
        if n_masked:
            weight[rows & ~native] = np.clip((NATIVE_ENOUGH - n_native) / n_masked, 0.0, 1.0)
    masked = np.bincount(case, weight * ~native, minlength=len(present))[case]
    weight = np.where(native, weight, weight / np.maximum(masked, 1.0))
    return SubsetRows(case, stacked, native, weight)


def fit_pool(
    opinions: Float[Array, "n M C"],
    rows: SubsetRows,
    labels: Int[Array, " n"],
    patients: Array,
    names: tuple[str, ...],
    prior: Float[Array, " C"],
    freedom: float = 1.0,
) -> LogPool:
    """Least penalised NLL over the rows; convex enough that one start does.

    Args:
        opinions: Out-of-fold probabilities of the experts; absent ones are not looked at.
        rows: Second-level rows.
        labels: Classes of the cases.
        patients: Patients of the cases.
        names: Modalities, in the order of the columns.
        prior: Class prior.
        freedom: Factor on the standard deviations of the shrinking priors; 0 gives the unfitted pool.
    """
    if freedom == 0:
        return unfitted(names, prior)
    n_modalities, n_classes = opinions.shape[1:]
    ratio = torch.from_numpy(np.where(rows.present[..., None], log_ratio(opinions, prior)[rows.case], 0.0))
    pattern, owned = owned_patterns(rows, patients)
    size = torch.from_numpy(rows.present.sum(axis=1) - 1)
    prior_log = torch.from_numpy(np.log(prior))
    toward = -0.5 * torch.arange(1, n_modalities + 1, dtype=torch.float64).log()
    trust, sizes, own, shift = (
        torch.zeros(shape, dtype=torch.float64, requires_grad=True)
        for shape in ((n_modalities,), (n_modalities,), (len(owned), n_modalities), (len(owned), n_classes))
    )
    has_own = torch.from_numpy(pattern >= 0)
    which = torch.from_numpy(np.maximum(pattern, 0))

    def logits() -> Tensor:
        extra = torch.where(has_own[:, None], own[which], 0.0) if len(owned) else 0.0
        moved = torch.where(has_own[:, None], shift[which], 0.0) if len(owned) else 0.0
        weights = (trust + (toward + sizes)[size][:, None] + extra).exp()
        return prior_log + moved + torch.einsum("rm,rmc->rc", weights, ratio)

    def penalty() -> Tensor:
        parts = ((trust, TRUST_SD), (sizes, SIZE_SD), (own, OWN_SD), (shift, SHIFT_SD))
        return torch.stack([(part / (freedom * sd)).square().sum() / 2 for part, sd in parts]).sum()

    minimise([trust, sizes, own, shift], logits, penalty, labels[rows.case], rows.weight)
    done = [part.detach().numpy() for part in (trust, sizes, own, shift)]
    keys = [tuple(sorted(np.array(names)[mask])) for mask in owned]
    return LogPool(
        names,
        prior,
        done[0],
        toward.numpy() + done[1],
        dict(zip(keys, done[2], strict=True)),
        dict(zip(keys, done[3], strict=True)),
    )


def owned_patterns(rows: SubsetRows, patients: Array) -> tuple[Int[Array, " r"], Bool[Array, "k M"]]:
    """For each row the index of its pattern among those with values of their own (-1: none), and those patterns."""
    masks, inverse = np.unique(rows.present, axis=0, return_inverse=True)
    inverse = inverse.reshape(-1)
    seen = [len(np.unique(patients[rows.case[(inverse == k) & (rows.weight > 0)]])) for k in range(len(masks))]
    # With a single modality in play, pattern and size say the same thing: only patterns of two or more get their own.
    own = np.array([n >= OWN_FROM and mask.sum() > 1 for n, mask in zip(seen, masks, strict=True)], dtype=bool)
    place = np.where(own, np.cumsum(own) - 1, -1) if len(own) else np.zeros(0, int)
    return place[inverse], masks[own] if len(own) else masks


def minimise(
    parameters: list[Tensor],
    logits: Callable[[], Tensor],
    penalty: Callable[[], Tensor],
    labels: Int[Array, " r"],
    weight: Float[Array, " r"],
) -> None:
    """L-BFGS on the weighted NLL plus the penalty, in float64."""
    target, weights = torch.from_numpy(labels), torch.from_numpy(weight)
    optimiser = torch.optim.LBFGS(parameters, max_iter=STEPS, line_search_fn="strong_wolfe", tolerance_change=1e-7)

    def closure() -> Tensor:
        optimiser.zero_grad()
        nll = torch.nn.functional.cross_entropy(logits(), target, reduction="none")
        loss: Tensor = (nll * weights).sum() + penalty()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
