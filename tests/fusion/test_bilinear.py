"""Bilinear fusion equals [z_i; 1]ᵀ W [z_j; 1] summed over pairs, with one number per case and class."""

from itertools import combinations

import numpy as np
import pytest
import torch
from numpy import ndarray as Array

from clinic_mm.fusion.base import Fusion
from tests.fusion.plain import Said, agrees, each_number, linear, moved, names_of, numbers
from tests.laws.said import CLASSES, WIDTH, outputs_of

WITH_ONE = WIDTH + 1


def _of_classes(fusion: Fusion, i: int, j: int, pair: int) -> Array:
    """W̃ [C, D + 1, D + 1] of one pair: its own products, and its part of the linear terms and of the constant."""
    n = len(fusion.names)
    weight, bias = numbers(fusion.linear.weight).reshape(CLASSES, n, WIDTH), numbers(fusion.linear.bias)
    out = np.zeros((CLASSES, WITH_ONE, WITH_ONE))
    out[:, :WIDTH, :WIDTH] = numbers(fusion.weight)[pair].transpose(1, 0, 2)
    out[:, :WIDTH, WIDTH], out[:, WIDTH, :WIDTH] = weight[:, i] / (n - 1), weight[:, j] / (n - 1)
    out[:, WIDTH, WIDTH] = bias / (n * (n - 1) / 2)
    return out


def _evidence(fusion: Fusion, said: Said) -> list[float]:
    n, word = len(fusion.names), [0.0] * CLASSES
    if n == 1:
        return linear(fusion.linear, list(said[0]))
    longer = [[*said[m], 1.0] if m in said else [0.0] * WIDTH + [1.0] for m in range(n)]
    for pair, (i, j) in enumerate(combinations(range(n), 2)):
        matrix = _of_classes(fusion, i, j, pair)
        for c in range(CLASSES):
            for d in range(WITH_ONE):
                for e in range(WITH_ONE):
                    word[c] += longer[i][d] * matrix[c, d, e] * longer[j][e]
    return word


@each_number
def test_it_is_the_sum_over_pairs_with_a_one_appended(n: int) -> None:
    agrees("bilinear", n, _evidence)


@pytest.mark.parametrize("name", ["bilinear", "low_rank_bilinear"])
def test_no_case_meets_another_and_every_class_gets_one_number(name: str) -> None:
    fusion, present = moved(name, 3).float(), torch.ones(5, 3, dtype=torch.bool)
    assert fusion(outputs_of(names_of(3), 5), present).shape == (5, CLASSES)
