"""Hide one place of an image or volume after another, and see how far the expert's log-odds fall.

In:  an image or volume on the grid of the prep, what it looks like without its details, and how to ask the expert.
Out: a map of log-odds, one number per cell of `stride` samples: how much the answer falls where the cell is hidden,
     averaged over the occluders that cover it and over their sizes. Above 0 speaks for the class.

What is hidden takes the value that its neighbourhood has in the middle (a running median): black or grey would be a
finding of its own. The edge of an occluder is soft, since a hard one looks like an edge of the body.
Source: M. Zeiler & R. Fergus, Visualizing and understanding convolutional networks, arXiv 1311.2901 (occlusion).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray as Array
from scipy import ndimage

from clinic_mm.prep.resample import resize

Ask = Callable[[Iterator[Array]], Array]
"""Log-odds of each of some images."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a grid is gone through.

    Attributes:
        stride: Samples between the centres of occluders, on every axis.
        sides: Of the occluders, in samples.
        soft: Over how many samples their edge is drawn out.
        window: Of the running median that fills what is hidden, in samples.
        refined: Coarse cells that are looked at again at `stride`; None looks everywhere at `stride` at once.
        coarse: Strides that a coarse cell is wide, where there are such.
    """

    stride: int
    sides: tuple[int, ...]
    soft: float
    window: int
    refined: int | None = None
    coarse: int = 2


def filled(image: Float[Array, "*space"], window: int, shrink: int = 1) -> Float[Array, "*space"]:
    """What stands in for a hidden place: a running median, on a grid `shrink` times as coarse (it is smooth anyway)."""
    small = resize(image, tuple(-(-n // shrink) for n in image.shape)) if shrink > 1 else image
    smooth = ndimage.median_filter(small, size=max(3, round(window / shrink) | 1), mode="nearest")
    return resize(smooth, image.shape) if shrink > 1 else np.asarray(smooth)


def centres(n: int, stride: int) -> Float[Array, " cells"]:
    """Centres of the cells of one axis, in samples."""
    return (np.arange(-(-n // stride)) + 0.5) * stride - 0.5


def hidden(
    image: Float[Array, "*space"], fill: Float[Array, "*space"], at: Sequence[float], side: float, soft: float
) -> Float[Array, "*space"]:
    """The image with one soft-edged box hidden."""
    out = image.copy()
    box, weights = [], np.ones(())
    for axis, centre in enumerate(at):
        low = max(0, int(np.ceil(centre - (side + soft) / 2)))
        high = min(image.shape[axis], int(np.floor(centre + (side + soft) / 2)) + 1)
        away = np.abs(np.arange(low, high) - centre)
        box.append(slice(low, high))
        weights = np.multiply.outer(weights, np.clip((side / 2 - away) / soft + 0.5, 0, 1).astype(np.float32))
    part = tuple(box)
    out[part] += weights * (fill[part] - out[part])
    return out


def occlusion_map(
    image: Float[Array, "*space"], where: Bool[Array, "*space"], base: float, ask: Ask, plan: Plan
) -> tuple[Float[Array, "*cells"], int]:
    """How far the log-odds fall where each cell is hidden, and how often the expert was asked.

    Args:
        image: On the grid of the prep.
        where: Cells without any of this are not hidden, and stay 0 (air around the body).
        base: Log-odds of the image as it is.
        ask: Log-odds of versions of it.
        plan: Strides and sizes.
    """
    hide = partial(_drops, image, filled(image, plan.window, shrink=1 if image.ndim < 3 else 2), base, ask)
    inside = _cells(where, plan.stride)
    if plan.refined is None:
        drops = [hide(inside, side, plan) for side in plan.sides]
        shown = [_spread(drop, side / plan.stride) for drop, side in zip(drops, plan.sides, strict=True)]
    else:
        wide = replace(plan, stride=plan.stride * plan.coarse)
        coarse = hide(_cells(where, wide.stride), plan.sides[0], wide)
        near = _near_best(np.nan_to_num(coarse), plan, image.shape) & inside
        fine = [hide(near, side, plan) for side in plan.sides[1:]]
        rough = _up(_spread(coarse, plan.sides[0] / wide.stride), plan, image.shape)
        looked = zip(fine, plan.sides[1:], strict=True)
        shown = [rough, *(np.where(near, _spread(drop, side / plan.stride), rough) for drop, side in looked)]
        drops = [coarse, *fine]
    return np.where(inside, np.mean(shown, axis=0), 0.0), sum(int(np.isfinite(drop).sum()) for drop in drops)


def _cells(where: Bool[Array, "*space"], stride: int) -> Bool[Array, "*cells"]:
    """Cells that hold any of a mask."""
    padded = np.pad(where, [(0, -n % stride) for n in where.shape])
    shape = [m for n in padded.shape for m in (n // stride, stride)]
    return np.asarray(padded.reshape(shape).any(axis=tuple(range(1, 2 * where.ndim, 2))))


def _drops(
    image: Array, fill: Array, base: float, ask: Ask, cells: Bool[Array, "*cells"], side: float, plan: Plan
) -> Float[Array, "*cells"]:
    """What hiding each asked cell costs; NaN where it was not asked."""
    axes = [centres(n, plan.stride) for n in image.shape]
    places = [at for at in product(*map(range, cells.shape)) if cells[at]]
    versions = (
        hidden(image, fill, [axis[k] for axis, k in zip(axes, at, strict=True)], side, plan.soft) for at in places
    )
    out = np.full(cells.shape, np.nan)
    if places:
        out[tuple(np.array(places).T)] = base - ask(versions)
    return out


def _spread(drops: Float[Array, "*cells"], cells_wide: float) -> Float[Array, "*cells"]:
    """Each cell's mean over the occluders that cover it (those that were asked)."""
    size = max(1, round(cells_wide))
    size += 1 - size % 2
    known = np.isfinite(drops)
    total = ndimage.uniform_filter(np.where(known, drops, 0.0), size, mode="constant")
    count = ndimage.uniform_filter(known.astype(float), size, mode="constant")
    return np.where(known, total / np.maximum(count, 1e-9), 0.0)


def _near_best(coarse: Float[Array, "*c"], plan: Plan, shape: tuple[int, ...]) -> Bool[Array, "*cells"]:
    """Fine cells in and around the coarse cells that move the answer most, either way."""
    assert plan.refined is not None
    best = np.argsort(-np.abs(coarse), axis=None, kind="stable")[: plan.refined]
    chosen = np.zeros(coarse.shape, dtype=bool)
    chosen.ravel()[best] = True
    fine = chosen
    for axis in range(chosen.ndim):
        fine = np.repeat(fine, plan.coarse, axis=axis)
    fine = ndimage.binary_dilation(fine, np.ones((3,) * fine.ndim, dtype=bool))
    return np.asarray(fine[tuple(slice(0, -(-n // plan.stride)) for n in shape)])


def _up(coarse: Float[Array, "*c"], plan: Plan, shape: tuple[int, ...]) -> Float[Array, "*cells"]:
    """A coarse map on fine cells."""
    return resize(coarse, tuple(-(-n // plan.stride) for n in shape)).astype(float)
