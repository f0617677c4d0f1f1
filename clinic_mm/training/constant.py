"""Tell a column that says something from one that is constant but for its last digits.

In:  spread and middle of columns. Out: which of them vary.

Standardised, such digits would weigh as much as a finding: two readers of one picture, which differ in nothing else,
would then be answered differently.
"""

from typing import Final

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray as Array

DIGITS: Final = 1e-5
"""Least spread, relative to the middle: summaries are float32 of values in 8 to 16 bits (a grey level: 1.5e-5)."""
NOTHING: Final = 1e-9
"""Least spread where the middle is 0."""


def varies(spread: Float[Array, " p"], middle: Float[Array, " p"]) -> Bool[Array, " p"]:
    """Columns that vary by more than their last digits, whatever their unit."""
    more: Array = spread > NOTHING + DIGITS * np.abs(middle)
    return more
