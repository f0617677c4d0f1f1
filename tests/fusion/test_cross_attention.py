"""Cross-attention equals its equation: one softmax for each ordered pair, none over what is not there."""

from itertools import pairwise

import torch

from clinic_mm.encoders.base import ModalityOutput
from clinic_mm.fusion.base import Fusion
from clinic_mm.fusion.cross_attention import CrossAttention
from clinic_mm.fusion.tokens import HEADS
from tests.fusion.plain import each_number, linear, names_of, numbers
from tests.fusion.plain_tokens import Told, Vector, add, agrees, attention, marked, mean, norm, think
from tests.laws.said import WIDTH, outputs_of


def _evidence(fusion: Fusion, said: dict[int, Told]) -> Vector:
    tokens = {m: marked(fusion, m, told) for m, told in said.items()}
    normed = {m: [norm(fusion.norm, x) for x in own] for m, own in tokens.items()}
    projection = (numbers(fusion.project.weight), numbers(fusion.project.bias))
    spoken = []
    for i, own in tokens.items():
        after = []
        for x, query in zip(own, normed[i], strict=True):
            pairs = [attention(projection, HEADS, query, keys) for j, keys in normed.items() if j != i]
            heard = add(x, linear(fusion.out, mean(pairs))) if pairs else x
            after.append(think(fusion.mlp_norm, fusion.mlp, heard))
        spoken.append(mean(after))
    return linear(fusion.head, norm(fusion.head_norm, mean(spoken)))


@each_number
def test_every_modality_listens_to_every_other_one_pair_at_a_time(n: int) -> None:
    agrees("cross_attention", n, _evidence)


def _fusion(n: int) -> CrossAttention:
    torch.manual_seed(0)
    return CrossAttention(names_of(n), WIDTH, torch.tensor([0.5, 0.3, 0.2])).eval()


def test_zero_tokens_are_not_a_mask() -> None:
    """The trap: a token of zeros draws attention to itself; a masked one does not."""
    fusion, outputs, present = _fusion(2), outputs_of(names_of(2), 1), torch.ones(1, 2, dtype=torch.bool)
    o = outputs["m1"]
    zeros = torch.cat([o.tokens[:, :-1], torch.zeros(1, 1, WIDTH)], dim=1)
    masked = ModalityOutput(zeros, o.token_mask, o.time_h, o.summary, o.logits)
    counted = ModalityOutput(zeros, torch.ones_like(o.token_mask), o.time_h, o.summary, o.logits)
    torch.testing.assert_close(fusion(outputs | {"m1": masked}, present), fusion(outputs, present))
    assert not torch.allclose(fusion(outputs | {"m1": counted}, present), fusion(outputs, present), atol=1e-4)


def test_a_present_modality_without_one_real_token_is_heard_by_nobody_and_gives_no_nan() -> None:
    fusion, outputs, present = _fusion(3), outputs_of(names_of(3), 2), torch.ones(2, 3, dtype=torch.bool)
    o = outputs["m1"]
    silent = ModalityOutput(o.tokens, torch.zeros_like(o.token_mask), o.time_h, o.summary, o.logits)
    logits = fusion(outputs | {"m1": silent}, present)
    logits.sum().backward()
    assert torch.isfinite(logits).all()
    assert all(torch.isfinite(p.grad).all() for p in fusion.parameters() if p.grad is not None)


def test_parameters_are_linear_in_modalities() -> None:
    sizes = [sum(p.numel() for p in _fusion(n).parameters()) for n in (2, 3, 4, 5, 6)]
    assert len({b - a for a, b in pairwise(sizes)}) == 1
