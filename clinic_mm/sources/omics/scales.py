"""Put the values of a sample on the scale on which samples are compared.

In:  values of one sample or more, in the scale that the source declares. Out: float32 of the same shape, NaN kept.

    counts  log(1 + 10^6 c / sum c)       log counts per million
    rate    log(1 + r)
    log     as they are
    beta    log2(b / (1 - b))             M value, b kept within 0.001 and 0.999

Source: counts per million as in Law et al. 2014, doi:10.1186/gb-2014-15-2-r29; M values by Du et al. 2010,
doi:10.1186/1471-2105-11-587.
"""

from typing import Final

import numpy as np
from jaxtyping import Float, Float32
from numpy import ndarray as Array

MILLION: Final = 1e6
BETA_EDGE: Final = 0.001


def comparable(values: Float[Array, "*samples feature"], scale: str) -> Float32[Array, "*samples feature"]:
    """Values on the scale of comparison; each sample by itself, the last axis are its features."""
    x = np.asarray(values, np.float64)
    if scale == "counts":
        library = np.nansum(x, axis=-1, keepdims=True)
        return np.asarray(np.log1p(MILLION * x / np.where(library > 0, library, 1.0)), np.float32)
    if scale == "rate":
        return np.asarray(np.log1p(x), np.float32)
    if scale == "beta":
        b = np.clip(x, BETA_EDGE, 1 - BETA_EDGE)
        return np.asarray(np.log2(b / (1 - b)), np.float32)
    return np.asarray(x, np.float32)
