"""Low-rank bilinear fusion equals its sum over pairs, and the full bilinear one with the matrices it stands for."""

from itertools import combinations

import torch

from clinic_mm.fusion.base import Fusion
from clinic_mm.fusion.low_rank_bilinear import RANK
from tests.fusion.plain import Said, agrees, doubled, each_number, linear, moved, names_of, numbers
from tests.laws.said import CLASSES, WIDTH, outputs_of, patterns


def _evidence(fusion: Fusion, said: Said) -> list[float]:
    line: list[float] = []
    for m in range(len(fusion.names)):
        line += list(said[m]) if m in said else [0.0] * WIDTH
    word = linear(fusion.linear, line)
    if len(said) < 2:
        return word
    factor, read = numbers(fusion.factor), numbers(fusion.read.weight)
    for i, j in combinations(said, 2):
        for r in range(RANK):
            first = sum(factor[i, d, r] * said[i][d] for d in range(WIDTH))
            second = sum(factor[j, d, r] * said[j][d] for d in range(WIDTH))
            word = [word[c] + read[c, r] * first * second for c in range(CLASSES)]
    return word


@each_number
def test_it_is_the_sum_over_pairs_of_read_products(n: int) -> None:
    agrees("low_rank_bilinear", n, _evidence)


def test_it_is_the_bilinear_fusion_with_matrices_of_low_rank() -> None:
    low, full, present = moved("low_rank_bilinear", 3), moved("bilinear", 3), patterns(3)
    outputs = doubled(outputs_of(names_of(3), len(present)))
    with torch.no_grad():
        full.linear.load_state_dict(low.linear.state_dict())
        for pair, (i, j) in enumerate(combinations(range(3), 2)):
            full.weight[pair] = torch.einsum("dr,cr,er->dce", low.factor[i], low.read.weight, low.factor[j])
    torch.testing.assert_close(low(outputs, present), full(outputs, present))
