"""Letters and places on the screen: right for every way that a picture can lie, and after turning and mirroring."""

import itertools
import math

import numpy as np
import pytest

from tests.viewing.js import called

LETTERS = ("RL", "AP", "HF")
WAYS = [(a, b) for a, b in itertools.product([*np.eye(3), *-np.eye(3)], repeat=2) if not np.dot(a, b)]
"""All 24 pairs of directions along the body that columns and rows can run in."""
TURNS = [(quarters, mirrored) for quarters in range(4) for mirrored in (False, True)]
PLANE = {"columns": 40, "rows": 20, "mmColumn": 0.5, "mmRow": 2.5}


def letter(direction: np.ndarray) -> str:
    axis = int(np.abs(direction).argmax())
    return LETTERS[axis][int(direction[axis] < 0)]


def hung(quarters: int, *, mirrored: bool) -> dict[str, list[float]]:
    start = called(("place", "hanging", [False]))[0]
    turned = called(("place", "turned", [start, quarters]))[0]
    return called(("place", "mirrored", [turned, False]))[0] if mirrored else turned


@pytest.mark.parametrize(("quarters", "mirrored"), TURNS)
def test_letters_of_all_24_ways_after_every_turn(quarters: int, mirrored: bool) -> None:
    """The reference turns a picture of positions in space with numpy, and looks at what its edges show."""
    hang = hung(quarters, mirrored=mirrored)
    names = called(*(("place", "lettersOf", [way.tolist()]) for pair in WAYS for way in pair))
    asked = [("place", "edgeLetters", [hang, names[2 * at], names[2 * at + 1]]) for at in range(len(WAYS))]
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
    view = {"hang": hung(quarters, mirrored=mirrored), "zoom": 1.7, "shift": [13, -8]}
    (matrix,) = called(("place", "matrix", [PLANE, view, 300, 500]))
    for place in ([0, 0], [12.5, 3.25], [40, 20]):
        (on_screen,) = called(("place", "toScreen", [matrix, place]))
        assert called(("place", "toPlane", [matrix, on_screen]))[0] == pytest.approx(place)
    corner, along, down = called(*(("place", "toScreen", [matrix, at]) for at in ([0, 0], [10, 0], [0, 2])))
    assert math.dist(corner, along) == pytest.approx(math.dist(corner, down)), "5 mm either way"
    assert called(("place", "distance", [PLANE, [0, 0], [6, 1.6]]))[0] == pytest.approx(5.0)


@pytest.mark.parametrize("quarters", range(4))
def test_a_plane_fits_and_lies_in_the_middle(quarters: int) -> None:
    view = {"hang": hung(quarters, mirrored=False), "zoom": 1, "shift": [0, 0]}
    (matrix,) = called(("place", "matrix", [PLANE, view, 300, 500]))
    corners = np.array(called(*(("place", "toScreen", [matrix, at]) for at in ([0, 0], [40, 20]))))
    assert corners.min() >= -1e-9
    assert (corners <= np.array([300, 500]) + 1e-9).all()
    assert corners.mean(axis=0) == pytest.approx([150, 250])
    assert np.isclose(np.ptp(corners, axis=0), [300, 500]).any()


def test_what_lies_under_the_mouse_stays_there_when_zooming() -> None:
    view = {"hang": hung(1, mirrored=False), "zoom": 1.3, "shift": [20, 5]}
    (closer,) = called(("place", "zoomed", [view, 2.5, [70, 90], 300, 500]))
    before, after = called(*(("place", "matrix", [PLANE, one, 300, 500]) for one in (view, closer)))
    places = called(("place", "toPlane", [before, [70, 90]]), ("place", "toPlane", [after, [70, 90]]))
    assert places[0] == pytest.approx(places[1])
