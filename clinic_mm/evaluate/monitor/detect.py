"""Detectors whose false alarms are bounded over the whole stream, however long and whatever else is watched.

In:  for each case, detector and alternative an e-value: what a bet of 1 on that alternative pays, of mean at most 1
     while nothing has changed. Out: the evidence of each detector after each case, and its alarms.

    R_t = (1 + R_(t-1)) * e_t        one bet started before each case; alternatives averaged with fixed weights
    alarm when R_t >= c              (Shiryaev-Roberts; an e-detector in the words of Shin, Ramdas & Rinaldo)

While nothing has changed R_t - t is a supermartingale, so P(alarm within T steps) <= T / c, and on average at least c
steps pass before one. With 1/c summing over the detectors to 1/(cases between false alarms) the union bound holds for
all of them together, dependent as they are.

Source: Shiryaev 1963, doi:10.1137/1108002; Shin, Ramdas & Rinaldo, arXiv 2203.03532; betting on ranks: Vovk, arXiv
2006.02329.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray as Array
from scipy.special import ndtri


def bets_on_ranks(p: Float[Array, " t"], shifts: Sequence[float], spreads: Sequence[float]) -> Float[Array, "t a"]:
    """What bets on a shifted or rescaled normal pay on z = Φ⁻¹(p); each integrates to 1 over a uniform p.

    Args:
        p: p-values; NaN where there is none.
        shifts: In standard deviations; each is bet on up and down.
        spreads: Ratios of standard deviations.
    """
    z = ndtri(p)[:, None]
    delta = np.array([sign * shift for shift in shifts for sign in (1.0, -1.0)])
    ratio = np.array(list(spreads))
    return np.hstack([np.exp(delta * z - delta**2 / 2), np.exp(z**2 / 2 * (1 - ratio**-2.0)) / ratio])


@dataclass(frozen=True, slots=True)
class Watch:
    """What detectors saw.

    Attributes:
        evidence: R after each case as a share of the detector's threshold; alarm at 1.
        alarm: Where a detector first (or, restarted, again) reached its threshold.
    """

    evidence: Float[Array, "t k"]
    alarm: Bool[Array, "t k"]


def watch(e: Float[Array, "t k a"], threshold: Float[Array, " k"], *, restart: bool = False) -> Watch:
    """Run detectors over a stream.

    Args:
        e: e-values; NaN where a detector has nothing to go by, which leaves it as it was.
        threshold: c of each detector.
        restart: Begin anew after an alarm, to count false alarms; otherwise an alarm stands and is given once.
    """
    steps, count, alternatives = e.shape
    evidence, alarm = np.zeros((steps, count)), np.zeros((steps, count), dtype=bool)
    seen = ~np.isnan(e).any(axis=2)
    r = np.zeros((count, alternatives))
    standing = np.zeros(count, dtype=bool)
    ceiling = 1e6 * threshold[:, None]  # an alarm that stands need not overflow
    for t in range(steps):
        r = np.where(seen[t, :, None], np.minimum((1 + r) * e[t], ceiling), r)
        evidence[t] = r.mean(axis=1) / threshold
        alarm[t] = (evidence[t] >= 1) & ~standing
        if restart:
            r[alarm[t]] = 0.0
        else:
            standing |= alarm[t]
    return Watch(evidence, alarm)


def began(e: Float[Array, "t a"], at: int) -> int:
    """Where the change that gave an alarm most probably began: the likeliest start under the likeliest alternative."""
    gain = np.nancumsum(np.log(np.maximum(e[: at + 1], 1e-300)), axis=0)
    before = np.vstack([np.zeros(e.shape[1]), gain[:-1]])
    start = before.argmin(axis=0)
    best = int((gain[-1] - before[start, np.arange(e.shape[1])]).argmax())
    return int(start[best])
