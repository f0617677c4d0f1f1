"""Perceiver latents, and the same behind a gate, equal their equation."""

from math import exp

from clinic_mm.fusion.base import Fusion
from clinic_mm.fusion.tokens import HEADS
from tests.fusion.plain import each_number, linear, numbers
from tests.fusion.plain_tokens import Told, Vector, agrees, layer, marked, mean, times


def _evidence(fusion: Fusion, said: dict[int, Told]) -> Vector:
    tokens = [token for m, told in said.items() for token in marked(fusion, m, told)]
    latents = numbers(fusion.latents).tolist()
    for block in fusion.layers:
        latents = [layer(block, HEADS, latent, latents + tokens) for latent in latents]
    return linear(fusion.head, mean(latents))


@each_number
def test_latents_read_themselves_and_the_real_tokens_of_the_present(n: int) -> None:
    agrees("perceiver", n, _evidence)


@each_number
def test_the_residual_is_the_same_behind_a_gate(n: int) -> None:
    agrees("bottleneck", n, lambda fusion, said: times(exp(float(fusion.log_gate.detach())), _evidence(fusion, said)))
