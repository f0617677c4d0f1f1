"""Heads answer whatever is missing, travel as plain arrays, and say so where they are damaged."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from clinic_mm.errors import ArtifactError, InputError
from clinic_mm.predict.heads import Head, PriorHead, RidgeHead, TreeHead, from_arrays


def _ridge(k: int = 1) -> RidgeHead:
    rng = np.random.default_rng(0)
    p, flagged = 3, np.array([0, 2])
    zeros, ones = np.zeros(p), np.ones(p)
    return RidgeHead(
        zeros, -3 * ones, 3 * ones, flagged, np.zeros(5), np.ones(5), rng.normal(size=(k, 5)), rng.normal(size=k)
    )


def _stump() -> TreeHead:
    """One question: is column 1 above 0.5? Missing goes left."""
    return TreeHead(
        baseline=np.array([0.25]),
        roots=np.array([0]),
        classes=np.array([0]),
        depth=np.array([1]),
        n_features=np.array([3]),
        feature=np.array([1, 0, 0]),
        threshold=np.array([0.5, 0.0, 0.0]),
        missing_left=np.array([1, 0, 0], dtype=np.uint8),
        left=np.array([1, 1, 2]),
        right=np.array([2, 1, 2]),
        value=np.array([0.0, -2.0, 2.0]),
    )


HEADS = [PriorHead(np.array([0.2, 0.3, 0.5])), _ridge(), _ridge(4), _stump()]


@pytest.mark.parametrize("head", HEADS, ids=lambda h: f"{h.kind}{h.n_classes}")
def test_probabilities_are_sound_for_every_pattern_of_missing_cells(head: Head) -> None:
    cells = np.array([np.nan, 0.7, -1e9, np.inf, 1e300])
    x = np.stack(np.meshgrid(cells, cells, cells), axis=-1).reshape(-1, 3)
    before = x.copy()
    p = head.predict(x)
    assert p.shape == (len(x), head.n_classes)
    assert p.dtype == np.float64
    assert (p > 0).all()
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(head.predict(x[7:8]), p[7:8])
    assert head.predict(x[:0]).shape == (0, head.n_classes)


def test_a_missing_cell_goes_its_own_way_through_a_tree() -> None:
    x = np.array([[0, 0.5, 0], [0, 0.6, 0], [0, np.nan, 0]])
    log_odds = np.log(_stump().predict(x)[:, 1] / _stump().predict(x)[:, 0])
    np.testing.assert_allclose(log_odds, [-1.75, 2.25, -1.75])


@pytest.mark.parametrize("head", HEADS, ids=lambda h: f"{h.kind}{h.n_classes}")
def test_safetensors_bring_back_the_same_bits(head: Head, tmp_path: Path) -> None:
    save_file(head.to_arrays(), tmp_path / "head.safetensors")
    back = from_arrays(head.kind, load_file(tmp_path / "head.safetensors"))
    x = np.random.default_rng(1).normal(size=(9, 3))
    assert back.kind == head.kind
    np.testing.assert_array_equal(back.predict(x), head.predict(x))


@pytest.mark.parametrize(
    ("head", "name", "broken"),
    [
        (HEADS[0], "prior", np.array([0.5, -0.5])),
        (HEADS[1], "coef", np.zeros((1, 4))),
        (HEADS[1], "scale", np.zeros(5)),
        (HEADS[1], "flagged", np.array([0, 7])),
        (HEADS[3], "left", np.array([1, 1, 3])),
        (HEADS[3], "feature", np.array([3, 0, 0])),
        (HEADS[3], "value", np.array([0.0, np.nan, 0.0])),
        (HEADS[3], "right", np.array([2, 1])),
    ],
)
def test_a_damaged_head_is_refused(head: Head, name: str, broken: np.ndarray) -> None:
    with pytest.raises(ArtifactError, match="damaged"):
        from_arrays(head.kind, head.to_arrays() | {name: broken})


def test_an_unknown_kind_or_a_lacking_array_is_refused() -> None:
    with pytest.raises(ArtifactError, match="Known: prior, ridge, trees"):
        from_arrays("forest", {})
    with pytest.raises(ArtifactError, match="it needs"):
        from_arrays("prior", {})


@pytest.mark.parametrize("head", HEADS[1:], ids=lambda h: h.kind)
def test_columns_that_do_not_fit_are_refused(head: Head) -> None:
    with pytest.raises(InputError, match="fitted on 3 columns"):
        head.predict(np.zeros((2, 4)))
