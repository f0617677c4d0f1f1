"""The hybrid equals its equation, and starts as the log-pool that every pool is shrunk toward."""

from math import exp

import numpy as np
import torch

from clinic_mm.fusion.base import Fusion
from clinic_mm.fusion.hybrid import Hybrid
from clinic_mm.fusion.pool import unfitted
from tests.fusion.plain import each_number, names_of, numbers
from tests.fusion.plain_tokens import Told, Vector, add, agrees, times
from tests.fusion.test_perceiver import _evidence as perceiver
from tests.laws.said import CLASSES, WIDTH, outputs_of, patterns


def _evidence(fusion: Fusion, said: dict[int, Told]) -> Vector:
    trust, size, log_prior = numbers(fusion.trust), numbers(fusion.size), numbers(fusion.prior).tolist()
    late = [
        times(exp(trust[m] + size[len(said) - 1]), add(told.log_p, times(-1.0, log_prior))) for m, told in said.items()
    ]
    return add(*late, times(exp(float(fusion.joint.log_gate.detach())), perceiver(fusion.joint, said)))


@each_number
def test_it_is_a_pool_of_opinions_and_gated_latents(n: int) -> None:
    agrees("hybrid", n, _evidence)


def test_its_late_part_starts_as_the_unfitted_pool() -> None:
    prior, present = np.array([0.5, 0.3, 0.2]), patterns(3)[1:]
    fusion = Hybrid(names_of(3), WIDTH, torch.tensor(prior, dtype=torch.float32))
    outputs = outputs_of(names_of(3), len(present))
    opinions = torch.stack([outputs[name].logits.softmax(1) for name in names_of(3)], dim=1)
    pooled = unfitted(names_of(3), prior).logits(opinions.double().numpy(), present.numpy())
    late = fusion.late(outputs, present).detach() + fusion.prior
    assert late.shape == (len(present), CLASSES)
    np.testing.assert_allclose(late.numpy(), pooled, rtol=1e-5, atol=1e-6)
