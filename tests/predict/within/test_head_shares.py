"""Shares of a ridge head: what exchanging one feature with the training rows does, on average."""

import numpy as np
import pytest
from numpy import ndarray as Array

from clinic_mm.predict.attribute import worth
from clinic_mm.predict.heads import PriorHead
from clinic_mm.predict.within.head_shares import head_shares
from clinic_mm.training.heads import fit_ridge


def rows(n: int = 120, p: int = 4) -> Array:
    rng = np.random.default_rng(4)
    x = 3 * rng.normal(size=(n, p)) + 10
    x[rng.random(x.shape) < 0.2] = np.nan
    return x


@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_share_is_the_mean_change_when_a_feature_takes_the_values_of_the_training_rows(n_classes: int) -> None:
    x = rows()
    y = np.random.default_rng(1).integers(0, n_classes, len(x)) * (np.nan_to_num(x[:, 0]) > 5)
    head = fit_ridge(x, y, n_classes, seed=0)
    toward = np.arange(5) % n_classes if n_classes > 2 else np.ones(5, int)
    told = head_shares(head, x[:5], toward)
    assert told is not None
    for k in range(5):
        said = worth(head.predict(np.vstack([x[[k]], x]))[None], toward[[k]])[0]
        assert told.opinion[k] == pytest.approx(said[0])
        assert told.baseline[k] == pytest.approx(said[1:].mean())
        for j in range(x.shape[1]):
            others = x.copy()
            others[:, j] = x[k, j]  # its missing indicator goes with it
            changed = worth(head.predict(others)[None], toward[[k]])[0]
            assert told.share[k, j] == pytest.approx((changed - said[1:]).mean(), abs=1e-9)


def test_who_says_the_same_to_everyone_has_no_shares() -> None:
    assert head_shares(PriorHead(np.array([0.4, 0.6])), rows(), np.ones(120, int)) is None
