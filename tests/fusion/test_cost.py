"""Counts equal counts by hand; those of the default are linear in the number of modalities."""

from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch import nn

from clinic_mm.fusion.base import make_fusion, registry
from clinic_mm.fusion.cost import fusion_cost, multiply_adds, parameters
from tests.fusion.plain import PRIOR, names_of

A, B = torch.randn(5, 7), torch.randn(7, 3)
HEADS, QUERIES, KEYS, D = 2, 4, 6, 8


def _attend() -> torch.Tensor:
    q, k = torch.randn(1, HEADS, QUERIES, D), torch.randn(1, HEADS, KEYS, D)
    return nn.functional.scaled_dot_product_attention(q, k, k, attn_mask=torch.ones(QUERIES, KEYS, dtype=torch.bool))


@pytest.mark.parametrize(
    ("run", "by_hand"),
    [
        (lambda: A @ B, 5 * 7 * 3),
        (lambda: nn.Linear(7, 3)(A), 5 * 7 * 3),
        (lambda: torch.einsum("bi,bj->bij", A, A[:, :2]), 5 * 7 * 2),
        (lambda: torch.einsum("bi,ij,bj->b", A, torch.randn(7, 7), A), 5 * 7 * 7 + 5 * 7),
        (lambda: A[:, :, None] * A[:, None], 5 * 7 * 7),
        (lambda: A.prod(dim=1), 5 * 6),
        (lambda: nn.Conv1d(7, 3, 3, padding=1)(A.T[None]), 5 * 7 * 3 * 3),
        (_attend, 2 * HEADS * QUERIES * KEYS * D),
        (lambda: nn.GRU(7, 3, batch_first=True)(A[None]), 5 * (3 * 3 * (7 + 3) + 2 * 3)),
        (lambda: A.sum(dim=1) + 1.0, 0),
    ],
    ids=["matrices", "linear", "outer", "bilinear", "numbers", "product", "convolution", "attention", "gru", "sum"],
)
def test_counts_equal_counts_by_hand(run: Callable[[], object], by_hand: int) -> None:
    assert multiply_adds(run) == by_hand


def test_counting_needs_no_gradients_of_the_caller() -> None:
    with torch.inference_mode():
        assert multiply_adds(lambda: torch.zeros(5, 7) @ torch.zeros(7, 3)) == 5 * 7 * 3


def test_a_fusion_costs_what_its_equation_says() -> None:
    width, classes, n = 16, 3, 4
    made = fusion_cost(make_fusion("concat", names_of(n), width, PRIOR), dict.fromkeys(names_of(n), 2))
    assert made.parameters == (n * (width + 1) + 1) * width + (width + 1) * classes
    assert made.multiply_adds == n * (width + 1) * width + width * classes


def _growth(name: str) -> tuple[set[int], set[int]]:
    """Second differences of parameters and multiply-adds from 2 to 8 modalities of 10 tokens each."""
    costs = [
        fusion_cost(make_fusion(name, names_of(n), 64, PRIOR), dict.fromkeys(names_of(n), 10)) for n in range(2, 9)
    ]
    out = []
    for counts in ([c.parameters for c in costs], [c.multiply_adds for c in costs]):
        steps = [b - a for a, b in pairwise(counts)]
        out.append({b - a for a, b in pairwise(steps)})
    return out[0], out[1]


LINEAR = ["bottleneck", "concat", "additive", "weighted_sum", "multiplicative", "low_rank_bilinear", "low_rank_tensor"]
LINEAR += ["perceiver", "mbt", "recurrent", "mixture", "hybrid"]


@pytest.mark.parametrize("name", [*LINEAR, "channel_exchange"])
def test_the_cost_is_linear_in_the_number_of_modalities(name: str) -> None:
    assert _growth(name) == ({0}, {0})


def test_the_cost_of_gates_and_pairs_is_not_linear() -> None:
    """So that the law above is known to be able to fail."""
    for name in ("gated", "bilinear"):
        assert _growth(name) != ({0}, {0})


@pytest.mark.parametrize("name", sorted(registry()))
def test_every_way_of_joining_can_be_counted(name: str) -> None:
    fusion = make_fusion(name, names_of(3), 64, PRIOR).eval()
    cost = fusion_cost(fusion, {"m0": 1, "m1": 4, "m2": 9})
    assert cost.parameters == parameters(fusion)
    assert (cost.multiply_adds > 0) or not cost.parameters
