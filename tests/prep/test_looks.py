"""What detectors look at beside plain summaries, against its definition in double precision, cell by cell."""

import numpy as np
import pytest
from numpy import ndarray as Array
from scipy import ndimage

from clinic_mm.prep.base import plan_prep
from clinic_mm.prep.texture import LEAST_ROUGHNESS, filled, roughness, smoothed, thumbnails
from clinic_mm.task import ModalityTask


def cells(x: Array, side: int) -> list[Array]:
    """Cells of a grid, in order, what is left over at the end of each axis left out."""
    steps = [length // side for length in x.shape]
    return [
        x[tuple(slice(at * step, (at + 1) * step) for at, step in zip(place, steps, strict=True))]
        for place in np.ndindex(*[side] * x.ndim)
    ]


@pytest.mark.parametrize("shape", [(3, 1, 17, 20), (2, 1, 13, 14, 19), (0, 1, 8, 8)])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_thumbnails_are_means_of_cells(shape: tuple[int, ...], dtype: type) -> None:
    x = np.random.default_rng(0).random(shape).astype(dtype)
    found = thumbnails(x[..., ::-1], 4)  # a mirrored picture is a view that runs backwards
    wanted = [[cell.mean() for cell in cells(one[0, ..., ::-1].astype(float), 4)] for one in x]
    np.testing.assert_allclose(found, np.array(wanted).reshape(len(x), 4 ** (x.ndim - 2)), atol=1e-6)


def test_roughness_is_the_mean_step_and_the_spread_of_cells() -> None:
    x = np.random.default_rng(1).random((3, 1, 18, 21)).astype(np.float16)
    x[1] = 0.5
    wanted = []
    for one in x[:, 0].astype(float):
        part = one[:16, :20]
        steps = np.abs(np.diff(part, axis=0, append=part[-1:])) + np.abs(np.diff(part, axis=1, append=part[:, -1:]))
        wanted.append([*(c.mean() for c in cells(steps, 4)), *(c.std() for c in cells(part, 4))])
    np.testing.assert_allclose(roughness(x, 4), np.log(np.array(wanted) + LEAST_ROUGHNESS), atol=1e-4)


def test_an_eeg_is_looked_at_only_where_it_has_a_signal() -> None:
    prep = plan_prep("eeg", "tiny", ModalityTask(kind="eeg"))
    x = np.random.default_rng(2).normal(size=(2, *prep.shape)).astype(np.float16)
    x[0, :, 3], x[0, 1, 5, 40:] = np.nan, np.nan
    found = prep.looks(x)
    rows = prep.shape[1]
    for case, channel in [(0, 0), (0, 5), (1, 3), (1, rows - 1)]:
        volts = x[case, :, channel].astype(float)
        for offset, values in ((0, volts), (rows, np.diff(volts, axis=1))):
            wanted = np.log(np.nanmean(np.abs(values)) + 1e-4)
            assert found[case, channel + offset] == pytest.approx(wanted, abs=1e-4)
    assert np.isnan(found[0, [3, rows + 3]]).all()
    assert np.isfinite(np.delete(found, [3, rows + 3], axis=1)).all()


@pytest.mark.parametrize("shape", [(40, 33), (12, 20, 17)])
@pytest.mark.parametrize(("sigma", "truncate"), [(0.8, 3.0), (2.0, 2.0), (9.6, 3.0)])
def test_smoothing_and_filling_are_those_of_scipy(shape: tuple[int, ...], sigma: float, truncate: float) -> None:
    x = np.random.default_rng(3).normal(-300, 400, shape).astype(np.float32)
    plain = ndimage.gaussian_filter(x, sigma, truncate=truncate)
    np.testing.assert_allclose(smoothed(x, sigma, truncate), plain, atol=1e-3)
    mask = np.abs(plain - np.median(plain)) > np.std(plain) / 2
    np.testing.assert_array_equal(filled(mask), ndimage.binary_fill_holes(mask))
