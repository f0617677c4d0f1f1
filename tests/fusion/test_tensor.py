"""Tensor fusion equals its equation, keeps the lower orders, and refuses what cannot fit before it allocates it."""

import tracemalloc
from itertools import product
from math import prod

import pytest
import torch

from clinic_mm.errors import TaskError
from clinic_mm.fusion.base import Fusion, make_fusion
from clinic_mm.fusion.tensor import COMFORTABLE, LARGEST, TensorFusion, chosen_width
from tests.fusion.plain import PRIOR, Said, agrees, f, names_of, own


def _evidence(fusion: Fusion, said: Said) -> list[float]:
    factors = [
        [*own(fusion.project, m, said[m]), 1.0] if m in said else [0.0] * fusion.narrow + [1.0]
        for m in range(len(fusion.names))
    ]
    return f(fusion.head, [prod(numbers) for numbers in product(*factors)])


@pytest.mark.parametrize("n", [1, 2, 3])
def test_it_is_one_network_over_all_products_of_all_orders(n: int) -> None:
    agrees("tensor", n, _evidence)


@pytest.mark.parametrize(("n", "expected"), [(1, 31), (2, 31), (3, 11), (4, 5), (5, 3), (6, 3), (8, 3)])
def test_summaries_are_made_narrow_enough_for_the_number_of_modalities(n: int, expected: int) -> None:
    assert chosen_width(n, 64) == expected
    assert (expected + 1) ** n <= (COMFORTABLE if n <= 5 else LARGEST)


def test_nine_modalities_are_refused_with_the_size_and_a_way_out() -> None:
    with pytest.raises(TaskError, match=r"9 modalities needs \(3 \+ 1\)\^9 = 262,144 numbers.*low_rank_tensor"):
        make_fusion("tensor", names_of(9), 64, PRIOR)


def test_a_size_that_no_memory_holds_is_refused_before_anything_is_allocated() -> None:
    tracemalloc.start()
    with pytest.raises(TaskError, match=r"\(64 \+ 1\)\^12 = 5,688,009,063,105,712,890,625 numbers a case"):
        TensorFusion(names_of(12), 64, PRIOR, narrow=64)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1e6


def test_every_usual_number_of_modalities_can_be_made_and_asked() -> None:
    for n in range(1, 9):
        fusion = make_fusion("tensor", names_of(n), 64, PRIOR)
        assert sum(p.numel() for p in fusion.parameters()) < 3e6
        assert torch.isfinite(fusion.prior).all()
