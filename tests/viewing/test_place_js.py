"""Letters and places on the screen: right for every way that a picture can lie, and after turning and mirroring."""

import itertools
import math
from typing import Any

import numpy as np
import pytest

from tests.viewing.js import call, called

LETTERS = ("RL", "AP", "HF")
WAYS = [(a, b) for a, b in itertools.product([*np.eye(3), *-np.eye(3)], repeat=2) if not np.dot(a, b)]
"""All 24 pairs of directions along the body that columns and rows can run in."""
TURNS = [(quarters, mirrored) for quarters in range(4) for mirrored in (False, True)]
PLANE = {"columns": 40, "rows": 20, "mmColumn": 0.5, "mmRow": 2.5}


def letter(direction: np.ndarray) -> str:
    axis = int(np.abs(direction).argmax())
    return LETTERS[axis][int(direction[axis] < 0)]


def hung(quarters: int, *, mirrored: bool) -> dict[str, Any]:
    turned = call("place", "turned", call("place", "hanging", False), quarters)
    return call("place", "mirrored", turned, False) if mirrored else turned


def viewed(quarters: int, *, mirrored: bool) -> dict[str, Any]:
    """How a plane hangs, a little nearer and off the middle."""
    (hang,) = called(("place", "turned", [hung(quarters, mirrored=mirrored), 0]))
    return {"hang": hang, "zoom": 1.7, "shift": [13, -8]}


@pytest.mark.parametrize(("quarters", "mirrored"), TURNS)
def test_letters_of_all_24_ways_after_every_turn(quarters: int, mirrored: bool) -> None:
    """The reference turns a picture of positions in space with numpy, and looks at what its edges show."""
    hang = hung(quarters, mirrored=mirrored)
    asked = [
        ("place", "edgeLetters", [hang, *(call("place", "lettersOf", way.tolist()) for way in pair)]) for pair in WAYS
    ]
    for (columns, rows), found in zip(WAYS, called(*asked), strict=True):
        across, down = np.meshgrid(np.arange(4), np.arange(5))
        picture = across[..., None] * columns + down[..., None] * rows
        picture = np.rot90(picture, -quarters)
        if mirrored:
            picture = picture[:, ::-1]
        right, bottom = picture[2, -1] - picture[2, 0], picture[-1, 2] - picture[0, 2]
        expected = {"right": right, "left": -right, "bottom": bottom, "top": -bottom}
        assert found == {edge: letter(direction) for edge, direction in expected.items()}


def test_an_oblique_direction_has_several_letters_the_strongest_first() -> None:
    oblique = [[0.2, -0.9, 0.38], [1, 0, 0.001], [-0.7, 0, -0.71]]
    assert called(*(("place", "lettersOf", [one]) for one in oblique)) == ["PHR", "R", "FL"]
    assert called(("place", "opposite", ["PHR"])) == ["AFL"]


@pytest.mark.parametrize(("quarters", "mirrored"), TURNS)
def test_a_place_comes_back_and_mm_are_the_same_in_all_directions(quarters: int, mirrored: bool) -> None:
    matrix = call("place", "matrix", PLANE, viewed(quarters, mirrored=mirrored), 300, 500)
    places = ([0, 0], [12.5, 3.25], [40, 20])
    back = [("place", "toPlane", [matrix, call("place", "toScreen", matrix, place)]) for place in places]
    seen = [("place", "toScreen", [matrix, at]) for at in ([0, 0], [10, 0], [0, 2])]
    *returned, corner, along, down, apart = called(*back, *seen, ("place", "distance", [PLANE, [0, 0], [6, 1.6]]))
    np.testing.assert_allclose(returned, places, atol=1e-9)
    assert math.dist(corner, along) == pytest.approx(math.dist(corner, down)), "5 mm either way"
    assert apart == pytest.approx(5.0)


@pytest.mark.parametrize("quarters", range(4))
def test_a_plane_fits_and_lies_in_the_middle(quarters: int) -> None:
    view = {**viewed(quarters, mirrored=False), "zoom": 1, "shift": [0, 0]}
    matrix = call("place", "matrix", PLANE, view, 300, 500)
    corners = np.array(called(*(("place", "toScreen", [matrix, at]) for at in ([0, 0], [40, 20]))))
    assert corners.min() >= -1e-9
    assert (corners <= np.array([300, 500]) + 1e-9).all()
    assert corners.mean(axis=0) == pytest.approx([150, 250])
    assert np.isclose(np.ptp(corners, axis=0), [300, 500]).any()


def test_what_lies_under_the_mouse_stays_there_when_zooming() -> None:
    view = viewed(1, mirrored=False)
    closer = call("place", "zoomed", view, 2.5, [70, 90], 300, 500)
    matrices = [call("place", "matrix", PLANE, one, 300, 500) for one in (view, closer)]
    before, after = called(*(("place", "toPlane", [matrix, [70, 90]]) for matrix in matrices))
    assert before == pytest.approx(after)
