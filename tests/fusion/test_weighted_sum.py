"""The weighted sum equals its equation; its weights are those of the present alone."""

from math import exp

import torch

from clinic_mm.fusion.base import Fusion
from clinic_mm.fusion.weighted_sum import WeightedSum
from tests.fusion.plain import PRIOR, Said, agrees, each_number, f, names_of, numbers
from tests.laws.said import WIDTH, patterns


def _evidence(fusion: Fusion, said: Said) -> list[float]:
    score = numbers(fusion.score)
    total = sum(exp(score[m]) for m in said)
    return f(fusion.head, [sum(exp(score[m]) / total * z[d] for m, z in said.items()) for d in range(WIDTH)])


@each_number
def test_it_is_one_network_over_the_weighted_sum_of_the_present(n: int) -> None:
    agrees("weighted_sum", n, _evidence)


def test_weights_sum_to_one_in_every_subset_and_the_absent_have_none() -> None:
    fusion, present = WeightedSum(names_of(4), WIDTH, PRIOR), patterns(4)[1:]
    with torch.no_grad():
        fusion.score.copy_(torch.tensor([3.0, -3.0, 0.0, 50.0]))
    weights = fusion.weights(present)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(len(present)))
    assert (weights[~present] == 0).all()
