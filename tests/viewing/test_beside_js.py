"""A prior beside the current study: the same place, as large on the screen, and no guess without a common frame."""

from typing import Any

import pytest

from tests.viewing.js import CANVAS, called, evaluated

OWN = {"shape": [100, 80, 60], "spacing_mm": [1.0, 1.0, 2.0], "first_mm": [-50.0, -40.0, 100.0], "frame": "f"}
PRIOR = {"shape": [50, 40, 20], "spacing_mm": [2.0, 2.0, 5.0], "first_mm": [-48.0, -44.0, 120.0], "frame": "f"}
ELSEWHERE = {**PRIOR, "frame": "g"}
UNKNOWN = {**OWN, "frame": "", "first_mm": None}


def at(own: dict[str, Any], prior: dict[str, Any], index: int, offset: int = 0) -> tuple[str, str, list[Any]]:
    return ("beside", "linkedSlice", [own, prior, index, offset])


def test_in_one_frame_slices_answer_by_mm_and_none_where_none_was_scanned() -> None:
    found = called(*(at(OWN, PRIOR, index) for index in (10, 35, 58, 0, 59)), at(OWN, PRIOR, 10, 3), at(OWN, OWN, 7))
    assert found == [0, 10, 19, None, None, 3, 7]  # 120, 170, 216, 100 and 218 mm; slices of 5 mm from 120 to 215


def test_without_a_frame_in_common_studies_go_by_mm_from_their_middles_and_say_no_place() -> None:
    for prior in (ELSEWHERE, {**PRIOR, "frame": "", "first_mm": None}):
        found = called(at(OWN, prior, 29), at(OWN, prior, 54), ("beside", "linkedPlace", [OWN, prior, [5, 5]]))
        assert found == [9, 19, None]
    assert called(("beside", "sameFrame", [UNKNOWN, UNKNOWN]), ("beside", "apartMm", [OWN, ELSEWHERE])) == [
        False,
        [0, 0],
    ]


def test_places_go_there_and_back() -> None:
    (there,) = called(("beside", "linkedPlace", [OWN, PRIOR, [20.5, 30.5]]))
    assert there == pytest.approx([(20 - 50 + 48) / 2 + 0.5, (30 - 40 + 44) / 2 + 0.5])
    (back,) = called(("beside", "linkedPlace", [PRIOR, OWN, there]))
    assert back == pytest.approx([20.5, 30.5])


def test_the_same_place_lies_at_the_same_point_of_both_panes_however_they_are_held() -> None:
    """Through the whole of it: linked view, its matrix, and the place on the screen; turned, zoomed and moved."""
    planes = [
        {
            "columns": told["shape"][0],
            "rows": told["shape"][1],
            "mmColumn": told["spacing_mm"][0],
            "mmRow": told["spacing_mm"][1],
        }
        for told in (OWN, PRIOR)
    ]
    expression = """views.map((view) => {
      const apart = b.apartMm(own, prior);
      const linked = b.linkedView(planes[1], [300, 200], planes[0], [300, 200], view, apart);
      const there = b.linkedPlace(own, prior, [20.5, 30.5]);
      const shown = (plane, held, place) => m.toScreen(m.matrix(plane, held, 300, 200), place);
      return [shown(planes[0], view, [20.5, 30.5]), shown(planes[1], linked, there)];
    })"""
    views = [
        {"hang": hang, "zoom": zoom, "shift": shift}
        for hang in (
            {"right": [-1, 0], "down": [0, -1]},
            {"right": [0, -1], "down": [1, 0]},
            {"right": [1, 0], "down": [0, -1]},
        )
        for zoom, shift in ((1, [0, 0]), (2.5, [30, -12]))
    ]
    loaded = expression.replace("b.", "(m2).")
    script = f"(await (async () => {{ const m2 = await import(besideUrl); return {loaded}; }})())"
    url = (CANVAS / "beside.js").as_uri()
    for one, other in evaluated("place", script, own=OWN, prior=PRIOR, planes=planes, views=views, besideUrl=url):
        assert one == pytest.approx(other)


def test_a_window_is_as_far_from_the_first_of_either_picture() -> None:
    base = {"center": 1000, "width": 400, "function": "LINEAR", "name": "Of the file"}
    other = {"center": 50, "width": 80, "function": "SIGMOID", "name": "Of the file"}
    shown = {**base, "name": "", "center": 1100, "width": 200}
    found = evaluated(
        "beside",
        "[m.linkedWindow(shown, base, other), m.linkedWindow(base, base, other)]",
        base=base,
        other=other,
        shown=shown,
    )
    assert (found[0]["center"], found[0]["width"], found[0]["function"]) == (70, 40, "SIGMOID")
    assert found[1] == other
