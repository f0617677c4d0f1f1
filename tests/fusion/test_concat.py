"""Concatenation equals its equation."""

import torch

from clinic_mm.fusion.base import Fusion
from tests.fusion.plain import Said, agrees, doubled, each_number, f, moved, names_of
from tests.laws.said import WIDTH, outputs_of


def _evidence(fusion: Fusion, said: Said) -> list[float]:
    line: list[float] = []
    for m in range(len(fusion.names)):
        line += list(said[m]) if m in said else [0.0] * WIDTH
    return f(fusion.head, line + [float(m in said) for m in range(len(fusion.names))])


@each_number
def test_it_is_one_network_over_summaries_and_flags(n: int) -> None:
    agrees("concat", n, _evidence)


def test_an_absent_modality_is_not_one_that_says_zero() -> None:
    fusion, outputs = moved("concat", 2), doubled(outputs_of(names_of(2), 1))
    outputs["m1"].summary[:] = 0.0
    both, one = torch.tensor([[True, True]]), torch.tensor([[True, False]])
    assert not torch.allclose(fusion(outputs, both), fusion(outputs, one))
