"""Low-rank tensor fusion equals its equation; every factor is trained and saved."""

import torch

from clinic_mm.fusion.base import Fusion, make_fusion
from clinic_mm.fusion.low_rank_tensor import RANK
from tests.fusion.plain import PRIOR, Said, agrees, each_number, f, names_of, numbers
from tests.laws.said import WIDTH, outputs_of


def _evidence(fusion: Fusion, said: Said) -> list[float]:
    n = len(fusion.names)
    factor, last = numbers(fusion.factor.weight).reshape(n, WIDTH, RANK, WIDTH), numbers(fusion.factor.bias)
    last, share = last.reshape(n, RANK, WIDTH), numbers(fusion.share)
    joined = [0.0] * WIDTH
    for k in range(WIDTH):
        for r in range(RANK):
            product = 1.0
            for m in range(n):
                longer = [*said[m], 1.0] if m in said else [0.0] * WIDTH + [1.0]
                column = [*factor[m, :, r, k], last[m, r, k]]
                product *= sum(w * z for w, z in zip(column, longer, strict=True))
            joined[k] += share[r] * product
    return f(fusion.head, joined)


@each_number
def test_it_is_one_network_over_the_weighted_products_with_a_one_appended(n: int) -> None:
    agrees("low_rank_tensor", n, _evidence)


def test_every_number_of_every_factor_is_trained_and_saved() -> None:
    """Two public libraries kept the factors in a plain list: 324 of 331 parameters were neither."""
    torch.manual_seed(0)
    fusion = make_fusion("low_rank_tensor", names_of(3), WIDTH, PRIOR)
    before = {key: value.clone() for key, value in fusion.state_dict().items()}
    optimiser = torch.optim.SGD(fusion.parameters(), lr=0.1)
    present = torch.ones(32, 3, dtype=torch.bool)
    torch.nn.functional.cross_entropy(fusion(outputs_of(names_of(3), 32), present), torch.arange(32) % 3).backward()
    optimiser.step()
    after = fusion.state_dict()
    assert after["factor.weight"].numel() == 3 * RANK * WIDTH * WIDTH
    assert (after["factor.weight"] != before["factor.weight"]).float().mean() > 0.99
    assert (after["factor.bias"] != before["factor.bias"]).float().mean() > 0.99
    assert (after["share"] != before["share"]).all()
