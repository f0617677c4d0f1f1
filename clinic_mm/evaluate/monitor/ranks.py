"""Ranks of a stream among its reference and its own past: uniform and independent while nothing changes.

In:  reference values, new values in order. Out: for each new value its smoothed conformal p-value.

If reference and stream are exchangeable these p-values are independent and uniform on (0, 1) *exactly*, for any
distribution and any size of the reference: no mean or standard deviation is estimated whose error would grow into a
false alarm over thousands of cases. Ties are broken by a number drawn from the case's key, so a run told twice is the
same. Source: Vovk, Gammerman & Shafer 2005, Algorithmic Learning in a Random World, theorem 8.1 (smoothed conformal
p-values).
"""

import hashlib
from typing import Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

BLOCK: Final = 256


def p_values(reference: Float[Array, " r"], values: Float[Array, " t"], coin: Float[Array, " t"]) -> Float[Array, " t"]:
    """Smoothed conformal p-values, small where a value is small; NaN where a value is.

    Args:
        reference: Values of the reference, any order.
        values: Of the stream, in its order; NaN where the score is not there, which changes nothing.
        coin: A number in (0, 1) for each, which breaks ties.

    Returns:
        (earlier values below + coin * equal ones) / all; the value itself counts among the equal ones and among all.
    """
    seen = np.flatnonzero(~np.isnan(values))
    out = np.full(len(values), np.nan)
    bag = np.sort(reference)
    for start in range(0, len(seen), BLOCK):
        at = seen[start : start + BLOCK]
        x = values[at]
        below = np.searchsorted(bag, x, side="left")
        upto = np.searchsorted(bag, x, side="right")
        earlier = np.tri(len(x), k=-1, dtype=bool)
        less = below + ((x[None, :] < x[:, None]) & earlier).sum(axis=1)
        equal = upto - below + ((x[None, :] == x[:, None]) & earlier).sum(axis=1) + 1
        out[at] = (less + coin[at] * equal) / (len(bag) + np.arange(len(x)) + 1)
        bag = np.sort(np.concatenate([bag, x]), kind="stable")
    return out


def coins(case_keys: Array, score: str) -> Float[Array, " n"]:
    """A number in (0, 1) for each case and score, the same whenever it is asked for."""
    digests = [hashlib.blake2b(f"{score}\n{key}".encode(), digest_size=8).digest() for key in case_keys]
    return (np.frombuffer(b"".join(digests), dtype="<u8").astype(float) + 0.5) / 2.0**64
