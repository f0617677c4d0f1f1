"""The mean of the present summaries equals its equation."""

from clinic_mm.fusion.base import Fusion
from tests.fusion.plain import Said, agrees, each_number, f
from tests.laws.said import WIDTH


def _evidence(fusion: Fusion, said: Said) -> list[float]:
    return f(fusion.head, [sum(z[d] for z in said.values()) / len(said) for d in range(WIDTH)])


@each_number
def test_it_is_one_network_over_the_mean_of_the_present(n: int) -> None:
    agrees("additive", n, _evidence)
