"""Keep from training what drift is measured against: projections of plain summaries, and how unseen cases are judged.

In:  prepared training cases, the second-level table with its out-of-fold logits. Out: predict.drift.DriftReference.
Opinions are out of fold. The axes are of the same cases, which matters little where cases outnumber axes by far.
"""

from typing import Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

from clinic_mm.predict.drift import DIGITS, MOST_AXES, DriftReference, Gist, standardised
from clinic_mm.predict.experts import present_plain
from clinic_mm.prep.batch import PreparedCases
from clinic_mm.training.secondlevel import Table

IQR_OF_NORMAL: Final = 1.349
FEWEST_KEPT: Final = 30
"""Cases below which nothing is said of a pattern: too few to compare with."""
MOST_KEPT: Final = 4000
"""Values kept of each score: more would hardly sharpen a rank."""


def learn_drift(prepared: PreparedCases, table: Table, logits: Float[Array, "r C"]) -> DriftReference:
    """What a model keeps of its training cases for `clinic-mm monitor`."""
    plain = {name: present_plain(prepared, name).astype(float) for name in prepared.names}
    gists = {name: fit_gist(values) for name, values in plain.items()}
    kept = {name: np.sort(_some(gists[name](values)), axis=0) for name, values in plain.items()}
    return DriftReference(gists, kept, _logits(table, logits))


def fit_gist(plain: Float[Array, "n p"]) -> Gist:
    """Robustly standardise, and take the principal axes; a summary that never varies has no weight."""
    found = np.where(np.isnan(plain).all(axis=0), 0.0, plain)
    centre = np.nanmedian(found, axis=0)
    low, high = np.nanquantile(found, [0.25, 0.75], axis=0)
    scale = np.where(high > low, (high - low) / IQR_OF_NORMAL, np.nanstd(found, axis=0))
    scale = np.where(scale > 0, scale, np.inf)
    z = standardised(plain, centre, scale)
    count = max(1, min(MOST_AXES, z.shape[1] - 1))
    _, singular, axes = np.linalg.svd(z - z.mean(axis=0), full_matrices=False)
    spread = singular[:count] / np.sqrt(max(len(z) - 1, 1))
    return Gist(centre, np.minimum(scale, 1e30), _signed(axes[:count]), np.maximum(spread, 1e-6))


def _signed(axes: Float[Array, "k p"]) -> Float[Array, "k p"]:
    """The greatest weight of each axis is positive, so that two machines agree on its direction."""
    greatest = axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)]
    signed: Array = axes * np.where(greatest < 0, -1.0, 1.0)[:, None]
    return signed


def _logits(table: Table, logits: Float[Array, "r C"]) -> dict[str, Float[Array, "n C"]]:
    rows, names = table.rows, np.array(table.names)
    size = rows.present.sum(axis=1)
    wanted = (rows.native & (size > 0)) | (size == 1)
    out = {}
    for mask in np.unique(rows.present[wanted], axis=0):
        same = (rows.present == mask).all(axis=1) & wanted
        key = "+".join(sorted(names[mask]))
        if mask.sum() == 1:
            # What calibration says of an answer goes by what the case has, beside what is asked of it.
            out[f"alone/{key}"] = _some(np.hstack([logits[same], table.present[rows.case[same]]]))
        if (native := same & rows.native).sum() >= FEWEST_KEPT:
            out[f"as it came/{key}"] = _some(logits[native])
    return out


def _some(values: Float[Array, "n w"]) -> Float[Array, "k w"]:
    """Shuffled, at most MOST_KEPT, rounded: what is kept tells of the cases together, not of one."""
    order = np.random.default_rng(0).permutation(len(values))[:MOST_KEPT]
    return np.round(values[order], DIGITS)
