"""Trees grown on bin numbers answer the same on the features themselves."""

import numpy as np
import pytest

from clinic_mm.training.bins import MOST_BINS, Bins
from clinic_mm.training.heads import TREE_CANDIDATES, _Table, export_trees


@pytest.mark.parametrize("seed", [0, 1])
def test_exported_thresholds_are_those_of_the_features(seed: int) -> None:
    rng = np.random.default_rng(seed)

    def draw(n: int, spread: float) -> np.ndarray:
        x = np.column_stack([rng.normal(size=(n, 5)) * spread, rng.integers(0, 4, n), np.full(n, 2.0)])
        return np.where(rng.random(x.shape) < 0.3, np.nan, x)

    x, new = draw(500, 1.0), draw(400, 2.0)
    y = (np.nan_to_num(x[:, 0] + x[:, 5]) + rng.normal(size=500) > 1).astype(int)
    bins = Bins.of(x)
    table = _Table(bins.numbers(x), y, rng.random(500), 1)
    model = table.grown(table.boosted(TREE_CANDIDATES[1], 40, 0))
    np.testing.assert_allclose(
        export_trees([model], bins).predict(new), model.predict_proba(bins.numbers(new)), atol=1e-9
    )


def test_numbers_keep_the_order_and_the_gaps() -> None:
    x = np.r_[np.random.default_rng(0).normal(size=1000), np.nan][:, None]
    number = Bins.of(x).numbers(x)[:, 0]
    assert np.isnan(number[-1])
    assert (np.diff(number[:-1][np.argsort(x[:-1, 0])]) >= 0).all()
    assert number[:-1].max() == MOST_BINS - 1
