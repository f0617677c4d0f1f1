"""Look at the pixels for what is plainly no radiograph: one grey, a drawing, a page of text, noise, a strip.

In:  grey values as displayed, and where nothing was measured. Out: flags; or `EvidenceError` with a code of its own.

The limits follow from how a radiograph comes about, not from any data that is scored: scatter and the focal spot blur
every edge, the body attenuates in steps far finer than a drawing's, a detector is at most three times as long as wide.
A grey photograph passes: telling it from a chest takes a model.
"""

from typing import Final

import numpy as np
from jaxtyping import Bool, Float32

from clinic_mm.errors import EvidenceError
from clinic_mm.types import Flag

SAMPLE_SIDE: Final = 256
"""Pixels that the shorter side is thinned to, without blurring it: text must stay sharp."""
FLAT_BELOW: Final = 1 / 255
FEW_GREYS_SHARE: Final = 0.85
"""Of the picture, in two of 256 greys. Half of a real picture may be one grey: the collimated edge."""
SHARP_STEP: Final = 0.25
SHARP_SHARE: Final = 0.05
"""Of neighbours, that differ by a quarter of black to white."""
NOISE_BELOW: Final = 0.5
"""Correlation of neighbours; the edges of text leave more."""
LONGEST: Final = 4.0
SATURATED_SHARE: Final = 0.5
SMALL_SIDE: Final = 128


def check_looks(
    grey: Float32[np.ndarray, "row column"], outside: Bool[np.ndarray, "row column"] | None = None
) -> tuple[Flag, ...]:
    """What the pixels look like.

    Args:
        grey: Grey values in [0, 1].
        outside: Where nothing was measured.

    Raises:
        EvidenceError: `xray.blank`, `xray.few_greys`, `xray.sharp_edges`, `xray.noise` or `xray.odd_shape`.
    """
    rows, columns = grey.shape
    if max(rows, columns) > LONGEST * min(rows, columns):
        raise _no("xray.odd_shape", f"The picture is a strip of {rows} x {columns} pixels")
    step = max(1, min(rows, columns) // SAMPLE_SIDE)
    thin = grey[::step, ::step]
    measured = thin if outside is None or outside.all() else thin[~outside[::step, ::step]]
    if np.ptp(grey) < FLAT_BELOW or measured.size == 0:
        raise _no("xray.blank", "The whole picture has one grey value")
    greys = np.bincount((measured * 255).astype(np.intp).ravel(), minlength=256) / measured.size
    if np.partition(greys, -2)[-2:].sum() > FEW_GREYS_SHARE:
        raise _no("xray.few_greys", "Nearly all of the picture has one or two grey values")
    if min(rows, columns) >= SMALL_SIDE:  # in a thumbnail one pixel is a centimetre, and neighbours may well differ
        _check_neighbours(thin)
    return _flags(grey, greys)


def _check_neighbours(thin: Float32[np.ndarray, "row column"]) -> None:
    """Along and across: text and noise jump, a radiograph does not."""
    jumps = np.concatenate([np.abs(np.diff(thin, axis=axis)).ravel() for axis in (0, 1)])
    if np.count_nonzero(jumps > SHARP_STEP) > SHARP_SHARE * jumps.size:
        raise _no("xray.sharp_edges", "The picture is full of sharp edges, as text and drawings are")
    # The variance of a difference is 2 var (1 - correlation).
    if float(np.square(jumps, dtype=np.float64).mean()) > 2 * float(thin.var()) * (1 - NOISE_BELOW):
        raise _no("xray.noise", "Neighbouring pixels have nothing to do with each other")


def _flags(grey: Float32[np.ndarray, "row column"], greys: np.ndarray) -> tuple[Flag, ...]:
    flags = []
    ends = float(greys[0] + greys[-1])
    if ends > SATURATED_SHARE:
        flags.append(Flag(code="xray.saturated", why=f"{ends:.0%} of the picture is fully black or fully white"))
    if min(grey.shape) < SMALL_SIDE:
        flags.append(Flag(code="xray.small", why=f"The shorter side has {min(grey.shape)} pixels; fine detail is lost"))
    return tuple(flags)


def _no(code: str, what: str) -> EvidenceError:
    return EvidenceError(code, what, "pixels", "Give a radiograph, or leave this file out")
