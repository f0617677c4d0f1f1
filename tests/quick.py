"""What makes a fit quick where a test is not about it: no boosted trees, networks of few steps."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from jaxtyping import Float, Int
from numpy import ndarray as Array

from clinic_mm.predict.heads import Head
from clinic_mm.training import crossfit, joint
from clinic_mm.training.heads import fit_prior
from clinic_mm.training.methods import network


@contextmanager
def without_trees() -> Iterator[None]:
    """Boosted trees answer the prior: they have tests of their own, see the same rows as ridge, and cost most."""
    with pytest.MonkeyPatch.context() as patch:
        for room in (crossfit, joint):
            patch.setattr(room, "fit_trees", _prior)
        yield


@contextmanager
def few_steps(steps: int) -> Iterator[None]:
    """Networks of the methods train for so many steps."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network, "FEWEST_STEPS", steps)
        patch.setattr(network, "MOST_STEPS", steps)
        yield


def _prior(x: Float[Array, "n f"], y: Int[Array, " n"], n_classes: int, **_: object) -> Head:
    return fit_prior(x, y, n_classes, seed=0)
