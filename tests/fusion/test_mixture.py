"""The mixture of experts equals its equation; its residual path and its balance are really used."""

import torch

from clinic_mm.fusion.base import Fusion
from clinic_mm.fusion.mixture import BALANCE, Mixture
from tests.fusion.plain import each_number, gelu, linear, names_of, numbers
from tests.fusion.plain_tokens import Told, Vector, add, agrees, norm, softmax, times
from tests.laws.said import CLASSES, WIDTH, outputs_of, patterns


def _evidence(fusion: Fusion, said: dict[int, Told]) -> Vector:
    n = len(fusion.names)
    slots: Vector = []
    for m in range(n):
        slots += (
            add(norm(fusion.norm, said[m].summary), numbers(fusion.whose)[m].tolist())
            if m in said
            else numbers(fusion.missing)[m].tolist()
        )
    h = linear(fusion.joint, slots)
    flags = [float(m in said) for m in range(n)]
    shares = softmax(linear(fusion.router[2], gelu(linear(fusion.router[0], flags + h))))
    asked = [times(g, linear(e[2], gelu(linear(e[0], h)))) for g, e in zip(shares, fusion.experts, strict=True)]
    return linear(fusion.head[1], norm(fusion.head[0], add(h, *asked)))


@each_number
def test_experts_are_mixed_by_who_is_present_beside_the_slots_themselves(n: int) -> None:
    agrees("mixture", n, _evidence)


def _mixture(n: int = 3) -> Mixture:
    torch.manual_seed(0)
    return Mixture(names_of(n), WIDTH, torch.full((CLASSES,), 1 / CLASSES))


def test_the_way_past_the_experts_is_used() -> None:
    """The trap: a public code computes the residual path and then leaves it out."""
    fusion, outputs, present = _mixture().eval(), outputs_of(names_of(3), 4), torch.ones(4, 3, dtype=torch.bool)
    with torch.no_grad():
        for expert in fusion.experts:
            expert[2].weight.zero_()
            expert[2].bias.zero_()
    logits = fusion(outputs, present)
    assert logits.std(dim=0).min() > 1e-3


def test_the_balance_is_nothing_where_experts_are_asked_alike_and_grows_with_favour() -> None:
    fusion, outputs, present = _mixture().train(), outputs_of(names_of(3), 8), patterns(3)
    assert fusion.penalty() == 0
    with torch.no_grad():
        fusion.router[2].weight.zero_()
        fusion.router[2].bias.zero_()
    fusion(outputs, present)
    torch.testing.assert_close(fusion.penalty(), torch.tensor(0.0))
    with torch.no_grad():
        fusion.router[2].bias[0] = 50.0
    fusion(outputs, present)
    torch.testing.assert_close(fusion.penalty(), torch.tensor(3.0 * BALANCE))  # one of four: variance / mean^2 = 3
    fusion.penalty().backward()


def test_learning_with_the_penalty_spreads_the_shares() -> None:
    fusion, outputs, present = _mixture().train(), outputs_of(names_of(3), 8), patterns(3)
    with torch.no_grad():
        fusion.router[2].bias[0] = 3.0
    optimiser = torch.optim.Adam(fusion.parameters(), lr=0.05)
    seen = []
    for _ in range(40):
        optimiser.zero_grad()
        fusion(outputs, present)
        penalty = fusion.penalty()
        penalty.backward()
        seen.append(float(penalty.detach()))
        optimiser.step()
    assert seen[-1] < 0.1 * seen[0]
