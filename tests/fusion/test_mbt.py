"""The multimodal bottleneck transformer equals its equation; latents are all that its modalities hear of each other."""

import pytest
import torch

from clinic_mm.fusion.base import Fusion
from clinic_mm.fusion.mbt import HEADS, MBT
from tests.fusion.plain import linear, names_of, numbers
from tests.fusion.plain_tokens import Told, Vector, agrees, layer, marked, mean, norm
from tests.laws.said import WIDTH, outputs_of


def _evidence(fusion: Fusion, said: dict[int, Told]) -> Vector:
    parts = {
        m: [numbers(fusion.cls)[m].tolist(), *(linear(fusion.narrow, token) for token in marked(fusion, m, told))]
        for m, told in said.items()
    }
    latents = numbers(fusion.latents).tolist()
    for blocks in fusion.layers:
        spoken = []
        for m, part in parts.items():
            whole = part + latents
            after = [layer(blocks[m], HEADS, query, whole) for query in whole]
            parts[m], own = after[: len(part)], after[len(part) :]
            spoken.append(own)
        latents = [mean([own[k] for own in spoken]) for k in range(len(latents))]
    return mean([linear(fusion.head[1], norm(fusion.head[0], part[0])) for part in parts.values()])


@pytest.mark.parametrize("n", [1, 2, 3])
def test_tokens_attend_within_their_modality_and_latents_are_averaged_over_the_present(n: int) -> None:
    agrees("mbt", n, _evidence)


def test_what_one_modality_says_reaches_another_through_the_latents_alone() -> None:
    torch.manual_seed(0)
    fusion, present = MBT(names_of(2), WIDTH, torch.tensor([0.5, 0.5])).eval(), torch.ones(1, 2, dtype=torch.bool)
    said, other = outputs_of(names_of(2), 1), outputs_of(["m1"], 1, seed=5)
    seen: list[torch.Tensor] = []
    fusion.layers[1][0].register_forward_hook(lambda _, __, out: seen.append(out.detach()))
    for outputs in (said, said | other):
        fusion(outputs, present)
    assert not torch.allclose(seen[0], seen[1])
    with torch.no_grad():  # without its word to the latents, the other modality is not heard
        for layer_of_other in fusion.layers[0]:
            layer_of_other.register_forward_hook(lambda _, __, out: torch.zeros_like(out))
    for outputs in (said, said | other):
        fusion(outputs, present)
    assert torch.equal(seen[2], seen[3])
