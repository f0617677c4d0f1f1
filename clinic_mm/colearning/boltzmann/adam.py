"""The steps by which Boltzmann machines learn: minibatches, and Adam on the difference of two phases.

In:  gradients of the log-likelihood. Out: arrays changed in place.
Source: Kingma & Ba 2015, arXiv 1412.6980. Its bounded steps keep Gaussian units of strongly correlated summaries from
running away, where a plain learning rate would have to fit each modality.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray as Array

FIRST: Final = 0.9
SECOND: Final = 0.99
TINY: Final = 1e-8
DECAY: Final = 1e-3
"""Pull of weights (two axes) toward zero, per step, as a share of the gradient's scale."""


class Adam:
    """Climbs the log-likelihood; the rates, one for each array, fall to 0 in a straight line."""

    def __init__(self, arrays: Sequence[Array], rates: Sequence[float], steps: int) -> None:
        self.arrays, self.rates, self.steps, self.done = tuple(arrays), tuple(rates), steps, 0
        self.mean = [np.zeros_like(a) for a in self.arrays]
        self.square = [np.zeros_like(a) for a in self.arrays]

    def step(self, gradients: Sequence[Float[Array, "..."]]) -> None:
        """One step along the gradients, in the order of the arrays."""
        left = 1.0 - self.done / self.steps
        self.done += 1
        left *= float(np.sqrt(1.0 - SECOND**self.done) / (1.0 - FIRST**self.done))
        moved = zip(self.arrays, gradients, self.mean, self.square, self.rates, strict=True)
        for array, gradient, mean, square, rate in moved:
            climb = gradient - DECAY * array if array.ndim == 2 else gradient
            mean += (1.0 - FIRST) * (climb - mean)
            square += (1.0 - SECOND) * (climb * climb - square)
            array += left * rate * mean / (np.sqrt(square) + TINY)


def batches(n: int, size: int, epochs: int, rng: np.random.Generator) -> Iterator[Int[Array, " b"]]:
    """Rows of each minibatch, shuffled anew in each round."""
    for _ in range(epochs):
        order = rng.permutation(n)
        for start in range(0, n, size):
            yield order[start : start + size]
