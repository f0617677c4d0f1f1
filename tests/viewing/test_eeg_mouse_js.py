"""The mouse on a page of EEG, and what is drawn beside its traces."""

import pytest

from clinic_mm.bundle import policy
from tests.viewing.js import call, called, evaluated

LAYOUT = call("eeg_draw", "layoutOf", 1000, 500, ["Fp1-F7", "F7-T7", "Fp2-F4"], [False, False, True], 0, 10)
PEN = """(() => {
  const xs = [];
  const called = (text, x) => xs.push(typeof text === "string" ? x : text);
  const pen = new Proxy({}, { get: () => called, set: () => true });
  const lay = m.layoutOf(wide, 500, ["a", "b"], [false, false], 0, 10);
  m.drawScale(pen, lay, { uvPerMm: 7, pxPerMm: scale }, {});
  return { xs: xs.filter((x) => x !== undefined), end: m.LEFT_PX + lay.plot, wide };
})()"""


@pytest.mark.parametrize("scale", [3.8, 20.0])
@pytest.mark.parametrize("wide", [320, 1128, 1750])
def test_the_bar_of_known_size_lies_over_no_trace(wide: int, scale: float) -> None:
    found = evaluated("eeg_draw", PEN, wide=wide, scale=scale)
    assert len(found["xs"]) == 5
    assert all(found["end"] < x < wide for x in found["xs"])


def test_a_name_belongs_to_its_row_and_the_traces_to_none() -> None:
    lines = called(("eeg_draw", "layoutOf", LAYOUT["call"]["args"]))[0]["lines"]
    rows = called(*[("eeg_draw", "rowAt", [LAYOUT, 20, line]) for line in lines])
    assert rows == [0, 1, 2]
    assert called(("eeg_draw", "rowAt", [LAYOUT, 400, lines[0]])) == [-1]


def test_small_steps_of_a_touchpad_make_one_notch_and_turning_back_begins_anew() -> None:
    steps = [[0, 100], [0, -120], [120, 0], *[[0, 20]] * 3, [0, 40], [0, -40], [0, -40]]
    turned = "(() => { const n = new m.Notches(); return steps.map(([x, y]) => n.of({ deltaX: x, deltaY: y })); })()"
    assert evaluated("eeg_mouse", turned, steps=steps) == [1, -1, 1, 0, 0, 1, 0, 0, -1]


def test_what_the_keymap_binds_is_what_its_gesture_can_do() -> None:
    bound = policy("keymap")["eeg"]["mouse"]
    offered = called(*[("eeg_mouse", "eegChoices", [gesture]) for gesture in bound])
    assert all(action in some for action, some in zip(bound.values(), offered, strict=True))
    keys = policy("keymap")["eeg"]
    turns = evaluated("eeg_mouse", "Object.values(m.TURNS).flat()")
    assert set(turns) <= set(keys)
