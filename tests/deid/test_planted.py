"""No planted token comes out, and the search for them can find them."""

import random
from pathlib import Path

import pytest

from tests.deid.planted import _plant, run, seen_in


def test_none_of_a_thousand_tokens_comes_out() -> None:
    told = run(1000, seed=7)
    assert told["found"] == []
    assert told["planted"] >= 1000
    written = sum(count for name, count in told["by_format"].items() if name.endswith("written"))
    assert written > 0.85 * told["planted"]  # a refused file proves little


def test_the_search_finds_what_is_there(tmp_path: Path) -> None:
    tokens, _ = _plant(500, random.Random(3), tmp_path / "source")
    assert len(seen_in(tokens, tmp_path / "source")) > 0.95 * len(tokens)


@pytest.mark.long
@pytest.mark.parametrize("seed", [11, 12, 13])
def test_none_of_ten_thousand_tokens_comes_out(seed: int) -> None:
    assert run(10_000, seed)["found"] == []
