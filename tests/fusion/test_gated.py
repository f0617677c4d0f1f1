"""The gated multimodal unit equals its equation."""

from math import exp, tanh

from clinic_mm.fusion.base import Fusion
from tests.fusion.plain import Said, agrees, each_number, f, linear, own
from tests.laws.said import WIDTH


def _evidence(fusion: Fusion, said: Said) -> list[float]:
    side_by_side: list[float] = []
    for m in range(len(fusion.names)):
        side_by_side += list(said[m]) if m in said else [0.0] * WIDTH
    gates = [1 / (1 + exp(-v)) for v in linear(fusion.gate, side_by_side)]
    joined = [0.0] * WIDTH
    for m, z in said.items():
        content = own(fusion.content, m, z)
        joined = [joined[d] + gates[m * WIDTH + d] * tanh(content[d]) for d in range(WIDTH)]
    return f(fusion.head, joined)


@each_number
def test_it_is_one_network_over_the_gated_sum_of_the_present(n: int) -> None:
    agrees("gated", n, _evidence)
