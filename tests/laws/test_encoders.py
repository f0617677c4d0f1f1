"""Laws that every encoder of the modality table keeps."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from clinic_mm.encoders.base import ModalityOutput
from clinic_mm.encoders.run import run_encoder
from tests.laws.said import CLASSES, ENCODERS, JUNK, encoder_of, rows_of

PRESENT = torch.tensor([True, False, True, True])
each_encoder = pytest.mark.parametrize("kind", ENCODERS)


def _numbers(said: ModalityOutput) -> tuple[Tensor, ...]:
    return said.tokens, said.token_mask, said.time_h, said.summary, said.logits


@each_encoder
@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
def test_what_stands_in_an_absent_row_reaches_no_output_and_no_gradient(kind: str, training: bool) -> None:
    seen = []
    for junk in JUNK:
        encoder, x = encoder_of(kind).train(training), rows_of(kind, 4)
        x[1] = junk
        torch.manual_seed(1)  # the same dropout
        said = encoder(x, PRESENT, torch.tensor([1.0, junk, 3.0, 4.0]))
        (said.tokens.square().sum() + said.summary.sum() + said.logits.square().sum()).backward()
        seen.append((*_numbers(said), *(p.grad for p in encoder.parameters() if p.grad is not None)))
    for other in seen[1:]:
        torch.testing.assert_close(other, seen[0], rtol=0, atol=0)
    for part in _numbers(said):
        assert not part[1].any(), "an absent row is zeros, and none of its tokens is real"


@each_encoder
def test_permuting_cases_permutes_outputs(kind: str) -> None:
    encoder, x, order = encoder_of(kind), rows_of(kind, 4), torch.tensor([2, 0, 3, 1])
    with torch.no_grad():
        before, after = encoder(x, PRESENT), encoder(x[order], PRESENT[order])
    for one, other in zip(_numbers(before), _numbers(after), strict=True):
        torch.testing.assert_close(other, one[order], rtol=1e-5, atol=1e-6)


@each_encoder
def test_a_batch_of_one_equals_its_row_in_a_batch_of_many(kind: str) -> None:
    encoder, x = encoder_of(kind), rows_of(kind, 4)
    many = run_encoder(encoder, x.numpy())
    one = run_encoder(encoder, x[2:3].numpy())
    torch.testing.assert_close((one.summary[0], one.logits[0]), (many.summary[2], many.logits[2]), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(one.tokens[0], many.tokens[2], rtol=1e-5, atol=1e-6)


@each_encoder
def test_no_statistic_crosses_cases(kind: str) -> None:
    encoder, x = encoder_of(kind).train(), rows_of(kind, 4)
    before = {name: buffer.clone() for name, buffer in encoder.named_buffers()}
    with torch.no_grad():
        for module in encoder.modules():
            module.training = module.training and not isinstance(module, torch.nn.Dropout)
        many, one = encoder.speak(x), encoder.speak(x[:1])
    if kind != "record":  # its transformer layer drops inside the attention
        torch.testing.assert_close(one[2][0], many[2][0], rtol=1e-4, atol=1e-5)
    assert all(torch.equal(buffer, before[name]) for name, buffer in encoder.named_buffers())
    assert not any(isinstance(m, torch.nn.modules.batchnorm._NormBase) for m in encoder.modules())


@each_encoder
def test_a_batch_in_which_nobody_has_the_modality_is_silent(kind: str) -> None:
    encoder = encoder_of(kind)
    said = encoder(rows_of(kind, 2) * torch.nan, torch.tensor([False, False]))
    assert not any(part.any() for part in _numbers(said))
    assert said.tokens.shape == (2, encoder.n_tokens, encoder.width)
    nobody = run_encoder(encoder, np.zeros((0, *encoder.shape), np.float32))
    spread = nobody.output(np.array([-1, -1]), np.array([np.nan, np.nan]))
    assert spread.tokens.shape == said.tokens.shape
    assert spread.logits.shape == (2, CLASSES)


@each_encoder
def test_every_parameter_learns_within_three_steps_and_is_saved(kind: str) -> None:
    encoder, x = encoder_of(kind).train(), rows_of(kind, 6)
    optimiser = torch.optim.SGD(encoder.parameters(), lr=0.1)
    moved = dict.fromkeys(dict(encoder.named_parameters()), False)
    for _ in range(3):
        optimiser.zero_grad()
        said = encoder(x, torch.ones(6, dtype=torch.bool))
        torch.nn.functional.cross_entropy(said.logits, torch.arange(6) % CLASSES).backward()
        for name, parameter in encoder.named_parameters():
            moved[name] |= parameter.grad is not None and bool(parameter.grad.any())
        optimiser.step()
    assert [name for name, did in moved.items() if not did] == []
    assert set(moved) <= set(encoder.state_dict())


@each_encoder
def test_save_and_load_give_the_same_bits(kind: str, tmp_path: Path) -> None:
    encoder, x = encoder_of(kind), rows_of(kind, 3)
    encoder.fit_input(x)
    save_file(encoder.state_dict(), tmp_path / "encoder.safetensors")
    other = encoder_of(kind, seed=9)
    other.load_state_dict(load_file(tmp_path / "encoder.safetensors"))
    before, after = run_encoder(encoder, x.numpy()), run_encoder(other, x.numpy())
    for part in ("tokens", "summary", "logits"):
        assert torch.equal(getattr(before, part), getattr(after, part))


@each_encoder
def test_augmentation_keeps_shape_and_original(kind: str) -> None:
    encoder, x = encoder_of(kind), rows_of(kind, 5)
    kept = x.clone()
    assert encoder.augment(x).shape == x.shape
    torch.testing.assert_close(x, kept, rtol=0, atol=0, equal_nan=True)
