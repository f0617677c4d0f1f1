"""CT and X-ray become tensors by a resize that equals a plain loop, a window in HU, and a stretch blind to contrast."""

import numpy as np
import pytest
from numpy import ndarray as Array

from clinic_mm.errors import EvidenceError
from clinic_mm.prep.base import make_prep, quantiles
from clinic_mm.prep.resample import axis_weights, resize
from clinic_mm.signals import CtVolume, XrayImage
from clinic_mm.simulate.xray import render
from tests import made


def _triangle_loop(line: Array, n_out: int) -> Array:
    scale = len(line) / n_out
    reach, out = max(scale, 1.0), []
    for k in range(n_out):
        centre, total, weight = (k + 0.5) * scale - 0.5, 0.0, 0.0
        for j, value in enumerate(line):
            w = max(0.0, 1.0 - abs(j - centre) / reach)
            total, weight = total + w * float(value), weight + w
        out.append(total / weight)
    return np.array(out)


def test_quantiles_are_those_of_numpy_to_the_bit() -> None:
    rng = np.random.default_rng(0)
    every = np.array([0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999, 1.0])
    for n in (1, 2, 3, *rng.integers(4, 3000, 200)):
        values = (rng.normal(size=n) * 10.0 ** rng.integers(-3, 4)).astype(rng.choice([np.float32, np.float64]))
        values = np.round(values) if n % 3 == 0 else values  # ties
        at = tuple(np.sort(rng.choice(every, rng.integers(1, 8), replace=False)))
        theirs = np.quantile(values, at).astype(np.float32)
        values = np.append(values, [np.nan, np.inf]) if n % 2 else values
        assert np.array_equal(quantiles(values, at), theirs)
    assert np.isnan(quantiles(np.array([np.nan]), (0.5, 1.0))).all()


@pytest.mark.parametrize(("n_in", "n_out"), [(7, 7), (16, 4), (10, 7), (5, 13), (1, 4), (9, 1)])
def test_resize_equals_a_plain_triangle_filter(n_in: int, n_out: int) -> None:
    line = np.random.default_rng(0).normal(size=n_in)
    np.testing.assert_allclose(resize(line, (n_out,)), _triangle_loop(line, n_out), rtol=1e-5, atol=1e-6)


def test_resize_takes_axes_one_by_one_in_any_order() -> None:
    volume = np.random.default_rng(0).normal(size=(12, 5, 9))
    expected = volume
    for axis, n_out in enumerate((4, 8, 9)):
        expected = np.apply_along_axis(_triangle_loop, axis, expected, n_out)
    np.testing.assert_allclose(resize(volume, (4, 8, 9)), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(4, 4), (7, 30), (64, 1)])
def test_resize_keeps_constants_and_the_mean(shape: tuple[int, int]) -> None:
    np.testing.assert_allclose(resize(np.full((17, 30), -731.5), shape), -731.5, rtol=1e-6)
    ramp = np.arange(17.0)[:, None] - np.arange(30.0)[None]
    assert resize(ramp, shape).mean() == pytest.approx(ramp.mean(), abs=1e-4)
    noise = 40 + np.random.default_rng(0).normal(size=(170, 300))
    assert resize(noise, shape).mean() == pytest.approx(noise.mean(), abs=0.2)


def test_resize_stays_between_the_extremes_and_does_not_alias() -> None:
    stripes = np.tile([0.0, 1.0], 32)
    np.testing.assert_allclose(resize(stripes, (8,))[1:-1], 0.5, atol=1e-6)
    assert axis_weights(100, 7).min() >= 0


def _ct(hu: float) -> Array:
    return make_prep("ct", made.TINY["ct"])(CtVolume(np.full((9, 20, 5), hu, np.float32), (1.0, 1.0, 3.0))).x


@pytest.mark.parametrize(("hu", "expected"), [(-1000, 0), (-200, 0.5), (600, 1), (-3000, 0), (3000, 1)])
def test_the_ct_window_is_in_hounsfield_units(hu: float, expected: float) -> None:
    x = _ct(hu)
    assert x.dtype == np.float16
    np.testing.assert_allclose(x, expected, atol=1e-3)


def test_ct_axes_stay_in_their_order() -> None:
    hu = np.full((16, 16, 16), -1000, np.float32)
    hu[12, 3, 8] = 600
    x = make_prep("ct", made.TINY["ct"])(CtVolume(hu, (1.0, 1.0, 1.0))).x
    assert np.argwhere(x > 0.5).tolist() == [[0, 12, 3, 8]]


@pytest.mark.parametrize(("gain", "offset"), [(1.0, 0.2), (0.3, 0.0), (0.01, 0.5)])
def test_an_xray_looks_the_same_whatever_its_brightness_and_contrast(gain: float, offset: float) -> None:
    prep = make_prep("xray", made.TINY["xray"])
    grey = np.random.default_rng(0).random((50, 40)).astype(np.float32)
    one, other = prep(XrayImage(grey)), prep(XrayImage((gain * grey + offset).astype(np.float32)))
    np.testing.assert_allclose(one.x, other.x, atol=2e-3)
    np.testing.assert_allclose(one.plain, other.plain, atol=2e-3)


def test_every_summary_of_radiographs_varies_by_more_than_its_last_digits() -> None:
    prep, rng = make_prep("xray", {"side": 256}), np.random.default_rng(3)
    drawn = [(render(rng.normal(), rng)[0] / 4095).astype(np.float32) for _ in range(16)]
    plain = np.stack([prep(XrayImage(grey)).plain for grey in drawn])
    assert plain.shape[1] == len(prep.plain_names)
    same = [name for name, sd in zip(prep.plain_names, plain.std(axis=0), strict=True) if sd < 1e-4]
    assert not same, "standardised, digits in which two readers differ would weigh as a finding does"


def test_view_position_is_not_used() -> None:
    prep, grey = make_prep("xray", made.TINY["xray"]), np.random.default_rng(0).random((50, 40)).astype(np.float32)
    np.testing.assert_array_equal(prep(XrayImage(grey, view_position="AP")).x, prep(XrayImage(grey)).x)


@pytest.mark.parametrize("kind", ["ct", "xray"])
def test_pixels_that_are_no_numbers_are_rejected(kind: str) -> None:
    bad = np.full((9, 9, 9)[: 3 if kind == "ct" else 2], 0.5, np.float32)
    bad.flat[4] = np.nan
    signal = CtVolume(bad, (1.0, 1.0, 1.0)) if kind == "ct" else XrayImage(bad)
    with pytest.raises(EvidenceError, match="not numbers") as caught:
        make_prep(kind, made.TINY[kind])(signal)
    assert caught.value.code == f"{kind}.not_finite"


def test_a_blank_image_is_rejected() -> None:
    with pytest.raises(EvidenceError, match="blank") as caught:
        make_prep("xray", made.TINY["xray"])(XrayImage(np.full((30, 30), 0.4, np.float32)))
    assert caught.value.code == "xray.blank"
