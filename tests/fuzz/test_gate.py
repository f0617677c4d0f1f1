"""The gate itself: it must see what it is there to see."""

import numpy as np
import pytest

from clinic_mm.errors import EvidenceError
from tests.fuzz.gate import Gate, apart, check
from tests.fuzz.mutate import MUTATIONS, mutate

CHILD = "tests.fuzz.test_gate"


def run(n: int, seed: int) -> dict[str, object]:
    """A reader that refuses, passes and raises in turn; seed 0 dies, seed 1 eats memory, seed 2 behaves."""
    gate = Gate()
    if seed == 0:
        import os

        os.abort()
    for number in range(n):
        gate.attempt("nothing", lambda number=number: _reader(number, seed))
    return gate.result()


def _reader(number: int, seed: int) -> tuple[str, str]:
    if seed == 1:
        np.ones((600, 2**17)).sum()
    if number == 1:
        raise EvidenceError("file.empty", "The file has no bytes")
    if number == 2 and seed != 2:
        raise ValueError(number)
    return ("quiet", "no checksum") if number == 3 else ("equal", "")


def test_a_crash_a_raw_exception_and_memory_are_seen() -> None:
    assert "exit code" in apart(CHILD, 1, 0)["died"]
    hungry = apart(CHILD, 4, 1)
    assert hungry["raw"]
    assert hungry["peak_mb"] > 600
    with pytest.raises(AssertionError):
        check(hungry, 4, frozenset({"no checksum"}))


def test_what_behaves_passes_and_an_unlisted_quiet_change_does_not() -> None:
    good = apart(CHILD, 4, 2)
    assert good["refused"] == {"file.empty": 1}
    assert good["equal"] == 2
    check(good, 4, frozenset({"no checksum"}))
    with pytest.raises(AssertionError):
        check(good, 4)


def test_mutations_are_seeded_and_stay_where_they_may() -> None:
    data = np.random.default_rng(3).bytes(4000)
    done = [mutate(np.random.default_rng(seed), data, (1000, 2000)) for seed in range(200)]
    assert done == [mutate(np.random.default_rng(seed), data, (1000, 2000)) for seed in range(200)]
    assert {name for name, _ in done} == set(MUTATIONS)
    assert all(changed.startswith(data[:1000]) for _, changed in done)
    assert all(changed.endswith(data[2100:]) for name, changed in done if name not in {"cut off"})
