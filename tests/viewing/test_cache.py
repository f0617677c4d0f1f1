"""The cache of views: what was written, nothing else, within the bound, whatever is killed or damaged."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clinic_mm.viewing.cache import DamagedError, ViewCache

MOST = 100_000


def name(of: object) -> str:
    return hashlib.sha256(str(of).encode()).hexdigest()


def voxels(seed: int, shape: tuple[int, ...] = (5, 20, 30)) -> np.ndarray:
    return np.random.default_rng(seed).integers(-32768, 32768, shape).astype(np.int16)


def on_disk(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_what_was_kept_comes_back_bit_for_bit_in_another_process_too(tmp_path: Path) -> None:
    made = voxels(1)
    kept = ViewCache(tmp_path, MOST).keep(name(1), {"unit": "HU"}, made.shape, iter(made))
    again = ViewCache(tmp_path, MOST).get(name(1))
    for view in (kept, again):
        assert view is not None
        assert view.told == {"unit": "HU"}
        np.testing.assert_array_equal(view.read(2, 4), made[2:4])
        np.testing.assert_array_equal(view.whole(), made)
        assert not view.blocks.flags.writeable


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9)), max_size=25))
def test_the_bound_is_never_passed_and_a_name_has_its_own_bytes_or_none(
    tmp_path_factory: pytest.TempPathFactory, asked: list[tuple[int, int]]
) -> None:
    folder = tmp_path_factory.mktemp("views")
    cache = ViewCache(folder, MOST)
    for seed, blocks in asked:
        made = voxels(seed, (blocks, 60, 70))
        cache.keep(name((seed, blocks)), {"seed": seed}, made.shape, iter(made))
        assert on_disk(folder) <= MOST
    for seed, blocks in asked:
        if view := cache.get(name((seed, blocks))):
            assert view.told["seed"] == seed
            np.testing.assert_array_equal(view.whole(), voxels(seed, (blocks, 60, 70)))


def test_what_was_not_used_longest_goes_first(tmp_path: Path) -> None:
    cache = ViewCache(tmp_path, MOST)
    for one in range(3):
        cache.keep(name(one), {}, (1, 100, 100), iter(voxels(one, (1, 100, 100))))
        time.sleep(0.01)
    assert cache.get(name(0))
    time.sleep(0.01)
    cache.keep(name(3), {}, (2, 100, 100), iter(voxels(3, (2, 100, 100))))
    assert [bool(cache.get(name(one))) for one in range(4)] == [True, False, True, True]


def test_what_is_larger_than_the_bound_is_not_kept_and_costs_nothing_else(tmp_path: Path) -> None:
    cache = ViewCache(tmp_path, MOST)
    made = voxels(1, (6, 100, 100))
    assert cache.keep(name(1), {}, made.shape, iter(made)) is None
    assert cache.get(name(1)) is None
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize("at", ["head", "block", "end", "tail"])
def test_a_damaged_file_is_never_served(tmp_path: Path, at: str) -> None:
    made = voxels(1)
    ViewCache(tmp_path, MOST).keep(name(1), {}, made.shape, iter(made))
    (path,) = tmp_path.rglob("*.view")
    whole = bytearray(path.read_bytes())
    if at == "tail":
        path.write_bytes(whole[:-1])
    else:
        whole[{"head": 20, "block": 4096 + 700, "end": -1}[at]] ^= 1
        path.write_bytes(whole)
    view = ViewCache(tmp_path, MOST).get(name(1))
    if view is not None:
        with pytest.raises(DamagedError):
            view.whole()


def test_a_file_under_a_foreign_name_is_not_served(tmp_path: Path) -> None:
    made, cache = voxels(1), ViewCache(tmp_path, MOST)
    cache.keep(name(1), {}, made.shape, iter(made))
    (path,) = tmp_path.rglob("*.view")
    other = tmp_path / name(2)[:2] / f"{name(2)}.view"
    other.parent.mkdir(exist_ok=True)
    path.rename(other)
    assert cache.get(name(2)) is None
    assert cache.get(name(1)) is None


KILLED = """
import sys, time
import numpy as np
from pathlib import Path
from clinic_mm.viewing.cache import ViewCache

def blocks():
    yield np.ones((100, 100), np.int16)
    print("half", flush=True)
    time.sleep(60)

ViewCache(Path(sys.argv[1]), 100_000).keep("a" * 64, {}, (2, 100, 100), blocks())
"""


def test_a_writer_that_is_killed_leaves_nothing_that_is_served_or_takes_room(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    writer = subprocess.Popen(command, stdout=subprocess.PIPE)  # noqa: S603 - our own code
    assert writer.stdout is not None
    assert writer.stdout.readline() == b"half\n"
    cache = ViewCache(tmp_path, MOST)
    assert len(list(tmp_path.rglob("*.part"))) == 1, "what a living process writes is left alone, and counts"
    assert not cache.make_room(MOST - 30_000)
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait()
    writer.stdout.close()
    assert cache.make_room(MOST - 30_000)
    assert not list(tmp_path.rglob("*.part"))
    assert cache.get("a" * 64) is None
