"""Near-duplicates are found, and only they; the fast way finds what comparing all with all finds."""

import numpy as np
import pytest
from numpy import ndarray as Array

from clinic_mm.evaluate.leaks.near import near_pairs
from clinic_mm.evaluate.leaks.pictures import fingerprints, near_copies, the_same
from tests.made import prepared


def with_copies(n: int, copies: int, noise: float = 0.25) -> Array:
    """Unlike vectors of very unlike spreads about a common middle, the last `copies` of them near the first."""
    rng = np.random.default_rng(3)
    made = rng.standard_normal((n, 96)) * np.linspace(2, 0.2, 96) + 3
    made -= made.mean(axis=1, keepdims=True)
    made[n - copies :] = made[:copies] + noise * rng.standard_normal((copies, 96))
    return made


@pytest.mark.parametrize("exact_to", [10_000, 0])
def test_planted_pairs_are_found_and_no_others(exact_to: int) -> None:
    pairs = near_pairs(with_copies(3000, 20), np.arange(3000), at_least=0.9, exact_to=exact_to)
    assert {*zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)} == {(i, 2980 + i) for i in range(20)}
    assert (np.diff(pairs.cosine) <= 0).all()


def test_pairs_of_one_owner_do_not_count() -> None:
    owners = np.arange(300) % 290  # the last ten belong to the first ten
    assert len(near_pairs(with_copies(300, 10), owners, at_least=0.9)) == 0


def test_many_equal_ones_do_not_make_all_pairs() -> None:
    """3,000 blank pictures are 4.5 million pairs; the work stays near n log n, and each is linked to some."""
    blank = np.tile(np.random.default_rng(0).standard_normal(8), (3000, 1))
    pairs = near_pairs(blank, np.arange(len(blank)), at_least=0.9, exact_to=0)
    assert len(pairs) < 100 * len(blank)
    assert len(np.union1d(pairs.first, pairs.second)) == len(blank)


def test_zeros_are_like_nothing_and_none_are_no_trouble() -> None:
    assert len(near_pairs(np.zeros((5, 4)), np.arange(5), at_least=0.9)) == 0
    assert len(near_pairs(np.zeros((0, 4)), np.arange(0), at_least=0.9)) == 0


@pytest.mark.parametrize("kind", ["xray", "eeg"])
def test_a_copy_with_another_contrast_and_noise_is_found_and_another_person_is_not(kind: str) -> None:
    cases = prepared([kind], n=24, missing=0.0)
    x = cases.x[kind].astype(np.float64)
    noise = 0.02 * np.nanstd(x) * np.random.default_rng(0).standard_normal(x[:3].shape)
    made = fingerprints(np.concatenate([x, 0.9 * x[:3] + noise]), np.zeros((27, 0)), kind)
    pairs, sure = near_copies(made, np.arange(27))
    found = {*zip(pairs.first[sure].tolist(), pairs.second[sure].tolist(), strict=True)}
    assert found == {(i, 24 + i) for i in range(3)}


def test_what_all_have_in_common_makes_no_copies() -> None:
    """Pictures of one build: alike as a whole, each with a little of its own."""
    rng = np.random.default_rng(0)
    made = 5 * rng.standard_normal((8, 400))[rng.integers(0, 8, 200)] + rng.standard_normal((200, 400))
    assert len(near_copies(made, np.arange(200))[0]) == 0
    made[150:] = made[0] + 1e-3 * rng.standard_normal((50, 400))  # more of one than the fifth nearest tells
    pairs, sure = near_copies(made, np.arange(200))
    assert set(np.union1d(pairs.first[sure], pairs.second[sure]).tolist()) == {0, *range(150, 200)}


@pytest.mark.parametrize("kind", ["ct", "ecg", "audio", "eye"])
def test_what_was_stored_with_loss_is_found_and_another_person_is_not(kind: str) -> None:
    x = prepared([kind], n=24, missing=0.0).x[kind].astype(np.float64)
    lossy = np.round(x[:3] * 500) / 500
    pairs, sure = the_same(fingerprints(np.concatenate([x, lossy]), np.zeros((27, 0)), kind), np.arange(27))
    assert sure.all()
    assert {*zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)} == {(i, 24 + i) for i in range(3)}


def test_missing_channels_are_no_trouble() -> None:
    cases = prepared(["eeg"], n=8, missing=0.0)
    x = cases.x["eeg"].astype(np.float32)
    x[:, :, 3] = np.nan
    x[0] = np.nan
    assert np.isfinite(fingerprints(x, np.zeros((8, 0)), "eeg")).all()
