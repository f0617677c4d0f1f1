"""Where hiding a radiograph or a CT changes the expert's answer.

In:  how to ask the expert, a signal. Out: a map of log-odds over cells whose centres are given in the coordinates of
the original: row and column of the image, index toward Right, Anterior, Superior of the volume.

The signal is resized to the grid of the prep once; each version goes through the prep from there, which gives the same
as from the start.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array
from pydantic import JsonValue
from scipy import ndimage

from clinic_mm.predict.saliency.asked import Asked
from clinic_mm.predict.saliency.occlusion import Plan, centres, occlusion_map
from clinic_mm.predict.saliency.result import Found
from clinic_mm.prep.ct import LUNG_BELOW_HU
from clinic_mm.prep.resample import resize
from clinic_mm.signals import CtVolume, XrayImage

XRAY: Final = Plan(stride=8, sides=(16, 24), soft=2.0, window=33)
"""Samples of a square of side 128; a larger square scales them."""
CT: Final = Plan(stride=3, sides=(12, 9), soft=1.0, window=11, refined=4)
"""Voxels of a grid of side 48."""


def xray_settings() -> dict[str, JsonValue]:
    """What governs the map of a radiograph, in samples of a side of 128."""
    return _told(XRAY)


def ct_settings() -> dict[str, JsonValue]:
    """What governs the map of a CT, in voxels of a grid of 48."""
    return _told(CT)


def xray_saliency(ask: Asked, signal: XrayImage) -> Found:
    """Hide places of a radiograph.

    Raises:
        EvidenceError: If the prep refuses it as it is.
    """
    base = ask.one(signal)
    grid = resize(signal.grey, ask.prep.shape[1:])
    plan = _scaled(XRAY, grid.shape[0] / 128)

    def asked(versions: Iterator[Array]) -> Array:
        return ask(XrayImage(one, signal.spacing_mm, signal.view_position) for one in versions)

    found, times = occlusion_map(grid, np.ones(grid.shape, bool), base, asked, plan)
    axes = _axes(("row", "column"), found.shape, plan.stride, grid.shape, signal.grey.shape)
    stride = [plan.stride * n / m for n, m in zip(signal.grey.shape, grid.shape, strict=True)]
    told = f"{stride[0]:.3g} rows × {stride[1]:.3g} columns"
    if signal.spacing_mm:
        told += " (" + " × ".join(f"{s * mm:.3g}" for s, mm in zip(stride, signal.spacing_mm, strict=True)) + " mm)"
    return Found({"map": found, **axes}, xray_settings(), base, told, _peak(found, axes), times, {})


def ct_saliency(ask: Asked, signal: CtVolume) -> Found:
    """Hide places of a CT, coarsely all over the body, finely where that matters most.

    Raises:
        EvidenceError: If the prep refuses it as it is.
    """
    base = ask.one(signal)
    grid = resize(signal.hu, ask.prep.shape[1:])
    plan = _scaled(CT, grid.shape[0] / 48)

    def asked(versions: Iterator[Array]) -> Array:
        return ask(CtVolume(one, signal.spacing_mm) for one in versions)

    found, times = occlusion_map(grid, body(grid), base, asked, plan)
    axes = _axes(("x", "y", "z"), found.shape, plan.stride, grid.shape, signal.hu.shape)
    stride = [plan.stride * n / m * mm for n, m, mm in zip(signal.hu.shape, grid.shape, signal.spacing_mm, strict=True)]
    told = (
        " × ".join(f"{mm:.3g}" for mm in stride) + " mm (R-L × A-P × S-I) where it matters most, twice that elsewhere"
    )
    peak = _peak(found, axes)
    middle = [
        (float(peak[name]) - (n - 1) / 2) * mm  # type: ignore[arg-type]
        for name, n, mm in zip("xyz", signal.hu.shape, signal.spacing_mm, strict=True)
    ]
    place = dict(zip(("right_mm", "anterior_mm", "superior_mm"), middle, strict=True))
    return Found({"map": found, **axes}, ct_settings(), base, told, {**peak, **place}, times, {})


def body(hu: Float[Array, "x y z"]) -> Array:
    """Everything inside the skin, lungs included; the whole volume where nothing is denser than lung."""
    dense = ndimage.binary_opening(ndimage.gaussian_filter(hu, 1.0, truncate=2.0) > LUNG_BELOW_HU)
    inside = np.stack([ndimage.binary_fill_holes(dense[:, :, k]) for k in range(hu.shape[2])], axis=2)
    return inside if inside.any() else np.ones(hu.shape, dtype=bool)


def _scaled(plan: Plan, by: float) -> Plan:
    """The same plan in samples of a larger or smaller grid."""
    sides = tuple(max(2, round(side * by)) for side in plan.sides)
    window = max(3, round(plan.window * by))
    return replace(plan, stride=max(1, round(plan.stride * by)), sides=sides, soft=plan.soft * by, window=window)


def _axes(
    names: Sequence[str], cells: tuple[int, ...], stride: int, grid: tuple[int, ...], original: tuple[int, ...]
) -> dict[str, Float[Array, " cells"]]:
    """Centres of the cells in samples of the original; cell centres are aligned as `resize` has them."""
    found = {}
    for name, n, m, whole in zip(names, cells, grid, original, strict=True):
        found[name] = (centres(m, stride)[:n] + 0.5) * whole / m - 0.5
    return found


def _peak(found: Float[Array, "*cells"], axes: dict[str, Array]) -> dict[str, JsonValue]:
    at = np.unravel_index(int(found.argmax()), found.shape)
    place: dict[str, JsonValue] = {name: float(axis[k]) for (name, axis), k in zip(axes.items(), at, strict=True)}
    return {**place, "logodds": float(found[at])}


def _told(plan: Plan) -> dict[str, JsonValue]:
    return {
        "stride": plan.stride,
        "sides": list(plan.sides),
        "soft": plan.soft,
        "window": plan.window,
        "refined": plan.refined,
        "coarse": plan.coarse,
    }
