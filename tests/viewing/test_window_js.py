"""The window arithmetic of the screen is that of DICOM PS3.3 C.11.2.1, for every value that 16 bits can have."""

import numpy as np
import pytest

from clinic_mm.sources.xray.grey import Window
from tests.viewing.js import call, called

EVERY = np.arange(-32768, 32768).astype(np.int16)
TOLD = {"slope": 1, "intercept": 0, "padding": None, "inverted": False, "table": None}


def greys(view: dict[str, object], told: dict[str, object], *, inverted: bool = False) -> np.ndarray:
    (found,) = called(("window", "greysOf", [view, told, inverted]))
    return np.array(found)[EVERY.view(np.uint16)]


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize(("center", "width"), [(40, 400), (-600, 1500), (2048.5, 4096), (10, 1), (0, 2)])
def test_every_value_is_as_grey_as_the_standard_says(function: str, center: float, width: float) -> None:
    told = {**TOLD, "slope": 0.5, "intercept": -100.25}
    found = greys({"center": center, "width": width, "function": function}, told)
    expected = 255 * Window(center, width, function)(EVERY * 0.5 - 100.25)
    assert np.abs(found - expected).max() <= 0.5 + 1e-9


def test_inverted_and_monochrome1_cancel_and_padding_stays_black() -> None:
    view = {"center": 40, "width": 400, "function": "LINEAR"}
    plain = greys(view, TOLD)
    one = {**TOLD, "inverted": True}
    np.testing.assert_allclose(greys(view, one), 255 - plain, atol=1)
    np.testing.assert_array_equal(greys(view, one, inverted=True), plain)
    assert greys(view, {**one, "padding": -32768})[0] == 0
    assert greys(view, one)[0] == 255


def test_a_table_of_the_file_is_used_as_it_stands_and_dragging_makes_a_window_of_it() -> None:
    table = {"first": -2, "highest": 255, "entries": [0, 10, 200, 255]}
    view = {"center": 0, "width": 4, "function": "TABLE", "name": "Of the file"}
    found = greys(view, {**TOLD, "table": table})
    assert found[[32768 + at for at in (-9, -2, -1, 0, 1, 9)]].tolist() == [0, 0, 10, 200, 255, 255]
    (window,) = called(("window", "dragged", [view, 10, -5, 2]))
    assert window == {"center": -10, "width": 24, "function": "LINEAR", "name": ""}


def test_a_window_is_never_narrower_than_its_function_knows() -> None:
    for function, least in (("LINEAR", 1), ("LINEAR_EXACT", 0)):
        (window,) = called(
            ("window", "dragged", [{"center": 0, "width": 5, "function": function, "name": ""}, -99, 0, 1])
        )
        assert window["width"] >= least
        assert window["width"] > 0


def test_pixels_are_opaque_grey_of_the_values_own_bits() -> None:
    view = {"center": 0, "width": 65536, "function": "LINEAR_EXACT"}
    shades, drawn = called(
        ("window", "greysOf", [view, TOLD, False]),
        ("window", "coloursOf", [call("window", "greysOf", view, TOLD, False)]),
    )
    colours = np.array(drawn, np.uint32).view(np.uint8).reshape(-1, 4)
    np.testing.assert_array_equal(colours[:, 3], 255)
    for channel in range(3):
        np.testing.assert_array_equal(colours[:, channel], shades)
