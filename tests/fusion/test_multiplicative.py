"""The product of factors equals its equation; who is absent is a factor of 1."""

import torch

from clinic_mm.fusion.base import Fusion
from tests.fusion.plain import Said, agrees, doubled, each_number, f, moved, names_of, own
from tests.laws.said import WIDTH, outputs_of


def _evidence(fusion: Fusion, said: Said) -> list[float]:
    product = [1.0] * WIDTH
    for m, z in said.items():
        product = [p * h for p, h in zip(product, own(fusion.factor, m, z), strict=True)]
    return f(fusion.head, product)


@each_number
def test_it_is_one_network_over_the_product_of_the_present(n: int) -> None:
    agrees("multiplicative", n, _evidence)


def test_five_absent_modalities_erase_nothing_of_what_the_sixth_says() -> None:
    fusion, outputs = moved("multiplicative", 6), doubled(outputs_of(names_of(6), 2))
    present = torch.zeros(2, 6, dtype=torch.bool)
    present[:, 4] = True
    word = fusion(outputs, present)
    assert not torch.allclose(word[0], word[1])
