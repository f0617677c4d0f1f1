"""Slices in the browser: what is cut there is what the server cuts, what is near is fetched first, within the bound."""

import sys

import numpy as np
import pytest

from clinic_mm.bundle import folder
from clinic_mm.signals import CtVolume
from clinic_mm.viewing.volume import FreshVolume, planes
from tests.viewing.js import run

sys.path.insert(0, str(folder("dashboards")))

from components.canvas.script import script

SCRIPT = """
import { Slices } from "./ct_slices.js";
const { shape, values, mostBytes, at, wanted } = input;
const asked = [];
const [x, y, z] = shape;
const fetcher = async (address) => {
  asked.push(address);
  const [, plane, first, count] = /\\/(\\w+)\\/(\\d+)\\?count=(\\d+)$/.exec(address);
  const from = Number(first) * x * y;
  const found = Int16Array.from(values.slice(from, from + Number(count) * x * y));
  return { ok: true, arrayBuffer: async () => found.buffer };
};
const slices = new Slices("/s", { shape }, { fetcher, mostBytes });
await slices.want("axial", at);
slices.prefetch(at);
let most = 0;
for (let round = 0; round < 500; round++) {
  await Promise.resolve();
  most = Math.max(most, slices.bytes);
}
const found = wanted.map(([plane, index]) => { const one = slices.get(plane, index); return one && Array.from(one); });
output({ asked, found, most, held: slices.held.size });
"""


@pytest.fixture
def volume() -> FreshVolume:
    hu = np.random.default_rng(0).integers(-1000, 2000, (7, 5, 40)).astype(np.float32)
    return FreshVolume(CtVolume(hu, (1.0, 1.0, 1.0)))


def test_planes_cut_in_the_browser_are_those_of_the_server(volume: FreshVolume) -> None:
    wanted = [("axial", 0), ("axial", 39), ("coronal", 0), ("coronal", 4), ("sagittal", 0), ("sagittal", 6)]
    told = {"shape": volume.told["shape"], "values": volume.whole().ravel().tolist(), "mostBytes": 10**7}
    found = run(SCRIPT, {**told, "at": 20, "wanted": wanted})
    for (plane, index), values in zip(wanted, found["found"], strict=True):
        assert np.array(values, "<i2").tobytes() == planes(volume, plane, index)
    firsts = [int(one.split("/")[3].split("?")[0]) for one in found["asked"]]
    assert firsts[0] == 20
    assert sorted(abs(first - 20) for first in firsts[1:3]) <= [1, 16], "what is nearest comes first"
    assert len(found["asked"]) <= 5, "neighbours come together"


def test_the_bound_of_the_browser_is_kept(volume: FreshVolume) -> None:
    told = {"shape": volume.told["shape"], "values": volume.whole().ravel().tolist(), "mostBytes": 10 * 70}
    found = run(SCRIPT, {**told, "at": 20, "wanted": [["axial", 20], ["axial", 39], ["coronal", 0]]})
    assert found["most"] <= 10 * 70
    assert found["found"][0] is not None
    assert found["found"][1:] == [None, None]
    assert len(found["asked"]) < 10


def test_keys_and_gestures_are_read_as_the_keymap_writes_them() -> None:
    script = """
import { keyName, gestureOf, Mouse } from "./gestures.js";
const kept = new Map([["clinic_mm.mouse.ct", JSON.stringify({ left: "pan", right: "<b>", tail: "zoom" })]]);
const storage = { getItem: (key) => kept.get(key) || null, setItem: (key, value) => kept.set(key, value) };
const mouse = new Mouse("ct", { left: "window", right: "zoom", wheel: "slice", ctrl_wheel: "zoom" }, storage);
const before = ["left", "right", "wheel", "ctrl_wheel", "shift_left", "other"].map((one) => mouse.action(one));
mouse.set("right", "measure");
const again = new Mouse("ct", { left: "window", right: "zoom" }, storage).action("right");
const broken = new Mouse("ct", { left: "window" }, { getItem: () => { throw Error(); } }).action("left");
output({
  names: input.map((event) => keyName(event)),
  gestures: [gestureOf({ shiftKey: true }, 0), gestureOf({ ctrlKey: true }), gestureOf({}, 1), gestureOf({}, 9)],
  before, again, broken,
});
"""
    events = [
        {"key": "?", "shiftKey": True},
        {"key": "ArrowUp", "shiftKey": True},
        {"key": "ArrowUp", "altKey": True},
        {"key": "i", "ctrlKey": True},
        {"key": "1"},
    ]
    found = run(script, events)
    assert found["names"] == ["?", "Shift+ArrowUp", "Alt+ArrowUp", "Ctrl+i", "1"]
    assert found["gestures"] == ["shift_left", "ctrl_wheel", "middle", "other"]
    assert found["before"] == ["pan", "zoom", "slice", "zoom", "pan", "nothing"]
    assert (found["again"], found["broken"]) == ("measure", "window")


@pytest.mark.parametrize("name", ["ct.js", "xray.js", "eeg.js", "ahead.js"])
def test_modules_become_one_script_that_a_browser_can_read(name: str) -> None:
    whole = script(name)
    assert "import {" not in whole
    assert whole.count("export ") == whole.count("export default") == 1
    assert run(whole.replace("export default", "const made =") + "\noutput(typeof made);", None) == "function"
