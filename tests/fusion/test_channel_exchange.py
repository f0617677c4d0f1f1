"""Channel exchange equals its equation, works with a batch of one, and exchanges what training finds useless."""

from math import exp, sqrt

import numpy as np
import torch
from numpy import ndarray as Array

from clinic_mm.encoders.base import ModalityOutput
from clinic_mm.fusion.base import Fusion
from clinic_mm.fusion.channel_exchange import SPARSITY, THRESHOLD, ChannelExchange
from tests.fusion.plain import PRIOR, doubled, each_number, gelu, linear, moved, names_of, numbers
from tests.laws.said import CLASSES, WIDTH, outputs_of, patterns


def _half_exchanged(n: int) -> Fusion:
    fusion = moved("channel_exchange", n)
    with torch.no_grad():
        fusion.scale[:, ::2] = 0.5 * THRESHOLD * torch.sign(fusion.scale[:, ::2])
    return fusion


def _mean(rows: list[list[float]]) -> list[float]:
    return [sum(column) / len(rows) for column in zip(*rows, strict=True)]


def _evidence(fusion: Fusion, tokens: dict[int, Array]) -> list[float]:
    """Real tokens [T, D] of the present modalities of one case."""
    n, adapted = len(fusion.names), {}
    scale, shift, vote = numbers(fusion.scale), numbers(fusion.shift), numbers(fusion.vote)
    for m, rows in tokens.items():
        adapted[m] = []
        for row in rows:
            mean = sum(row) / WIDTH
            spread = sqrt(sum((v - mean) ** 2 for v in row) / WIDTH + 1e-5)
            adapted[m].append([(row[c] - mean) / spread * scale[m, c] + shift[m, c] for c in range(WIDTH)])
    word, total = [0.0] * CLASSES, sum(exp(vote[m]) for m in tokens)
    for m, rows in adapted.items():
        heard = [list(row) for row in rows]
        for c in range(WIDTH):
            others = [_mean(adapted[k])[c] for k in tokens if k != m]
            if abs(scale[m, c]) < THRESHOLD and c * n // WIDTH == m and others:
                for row in heard:
                    row[c] = sum(others) / len(others)
        said = linear(fusion.opinion, _mean([gelu(linear(fusion.think[0], row)) for row in heard]))
        word = [word[c] + exp(vote[m]) / total * said[c] for c in range(CLASSES)]
    return word


@each_number
def test_it_is_the_vote_of_the_present_after_the_exchange(n: int) -> None:
    fusion, present = _half_exchanged(n), patterns(n)[1:]
    assert fusion.exchanged.any() == (n > 1)
    outputs = doubled(outputs_of(names_of(n), len(present)))
    with torch.no_grad():
        word = (fusion(outputs, present) - fusion.prior).numpy()
    for row, here in enumerate(present):
        said = [(m, outputs[f"m{m}"]) for m in range(n) if here[m]]
        tokens = {m: o.tokens[row][o.token_mask[row]].numpy() for m, o in said}
        np.testing.assert_allclose(word[row], _evidence(fusion, tokens), rtol=1e-5, atol=1e-8)


def test_an_exchanged_channel_carries_the_others_where_there_are_others() -> None:
    fusion, outputs = _half_exchanged(2).float(), outputs_of(names_of(2), 1)
    fusion.vote.data.copy_(torch.tensor([0.0, -50.0]))  # only the first is asked; it hears the second by exchange alone
    other = outputs | outputs_of(["m1"], 1, seed=5)
    both, alone = torch.tensor([[True, True]]), torch.tensor([[True, False]])
    assert not torch.allclose(fusion(outputs, both), fusion(other, both))
    assert torch.equal(fusion(outputs, alone), fusion(other, alone))


def test_no_two_modalities_exchange_the_same_channel() -> None:
    for n in range(2, 7):
        part = ChannelExchange(names_of(n), 64, PRIOR).part
        assert (part.sum(dim=0) == 1).all()
        assert part.sum(dim=1).min() >= 64 // n


def test_the_penalty_is_the_sum_of_the_scales_in_their_own_parts() -> None:
    fusion = ChannelExchange(names_of(2), 4, PRIOR)
    with torch.no_grad():
        fusion.scale.copy_(torch.tensor([[-1.0, 2.0, 9.0, 9.0], [9.0, 9.0, -3.0, 4.0]]))
    torch.testing.assert_close(fusion.penalty().item(), SPARSITY * 10)
    assert ChannelExchange(names_of(1), 4, PRIOR).penalty().item() == 0


def test_training_exchanges_the_channels_of_a_modality_that_says_nothing() -> None:
    """m0 tells the class, m1 is noise: 300 steps with the penalty must press the scales of m1, and not those of m0."""
    torch.manual_seed(0)
    fusion, present = ChannelExchange(names_of(2), WIDTH, PRIOR), torch.ones(64, 2, dtype=torch.bool)
    optimiser, teller = torch.optim.Adam(fusion.parameters(), lr=2e-3), 2 * torch.randn(CLASSES, WIDTH)
    for _ in range(300):
        y = torch.randint(CLASSES, (64,))
        says = {"m0": teller[y] + torch.randn(64, WIDTH), "m1": torch.randn(64, WIDTH)}
        outputs = {
            m: ModalityOutput(z[:, None], present[:, :1], torch.zeros(64, 1), z, torch.zeros(64, CLASSES))
            for m, z in says.items()
        }
        optimiser.zero_grad()
        (torch.nn.functional.cross_entropy(fusion(outputs, present), y) + fusion.penalty()).backward()
        optimiser.step()
    exchanged = fusion.exchanged.sum(dim=1)
    assert exchanged[1] >= WIDTH // 2 - 1, exchanged
    assert exchanged[0] <= WIDTH // 2 - 3, exchanged
