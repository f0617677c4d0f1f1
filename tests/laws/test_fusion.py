"""Laws that every way of joining keeps."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from clinic_mm.encoders.base import ModalityOutput
from clinic_mm.errors import TaskError
from clinic_mm.fusion.base import Fusion, make_fusion, registry
from tests.laws.said import CLASSES, JUNK, WIDTH, filled, outputs_of, patterns

NAMES = ("ct", "eeg", "note")
PRIOR = torch.tensor([0.5, 0.3, 0.2])
PRESENT = torch.tensor([[True, True, False], [False, True, True], [True, False, False], [True, True, True]])
each_fusion = pytest.mark.parametrize("name", sorted(registry()))


def _fusion(name: str, names: tuple[str, ...] = NAMES, seed: int = 0) -> Fusion:
    torch.manual_seed(seed)
    return make_fusion(name, names, WIDTH, PRIOR).eval()


def _rows(outputs: dict[str, ModalityOutput], rows: Tensor) -> dict[str, ModalityOutput]:
    return {
        name: ModalityOutput(o.tokens[rows], o.token_mask[rows], o.time_h[rows], o.summary[rows], o.logits[rows])
        for name, o in outputs.items()
    }


@each_fusion
def test_what_stands_in_an_absent_row_reaches_no_output_and_no_gradient(name: str) -> None:
    seen = []
    for junk in JUNK:
        fusion = _fusion(name).train()
        outputs = {n: filled(o, ~PRESENT[:, k], junk) for k, (n, o) in enumerate(outputs_of(NAMES, 4).items())}
        for output in outputs.values():
            output.tokens.requires_grad_()
            output.logits.requires_grad_()
        logits = fusion(outputs, PRESENT)
        logits.square().sum().backward()
        into = [part.grad for o in outputs.values() for part in (o.tokens, o.logits) if part.grad is not None]
        seen.append((logits, *into, *(p.grad for p in fusion.parameters() if p.grad is not None)))
        assert torch.isfinite(logits).all()
    for other in seen[1:]:
        torch.testing.assert_close(other, seen[0], rtol=0, atol=0)


@each_fusion
def test_a_token_that_is_not_real_reaches_no_output_and_no_gradient(name: str) -> None:
    seen = []
    for junk in JUNK:
        fusion, outputs = _fusion(name), outputs_of(NAMES, 4)
        for output in outputs.values():
            output.tokens[:, -1] = junk
            output.time_h[:, -1] = junk
        logits = fusion(outputs, PRESENT)
        if logits.requires_grad:
            logits.square().sum().backward()
        seen.append((logits, *(p.grad for p in fusion.parameters() if p.grad is not None)))
    for other in seen[1:]:
        torch.testing.assert_close(other, seen[0], rtol=0, atol=0)


@each_fusion
def test_permuting_cases_permutes_outputs(name: str) -> None:
    fusion, outputs, order = _fusion(name), outputs_of(NAMES, 4), torch.tensor([2, 0, 3, 1])
    after = fusion(_rows(outputs, order), PRESENT[order])
    torch.testing.assert_close(after, fusion(outputs, PRESENT)[order], rtol=1e-5, atol=1e-6)


@each_fusion
def test_a_batch_of_one_equals_its_row_in_a_batch_of_many(name: str) -> None:
    fusion, outputs = _fusion(name), outputs_of(NAMES, 4)
    many = fusion(outputs, PRESENT)
    for k in range(4):
        one = fusion(_rows(outputs, torch.tensor([k])), PRESENT[k : k + 1])
        torch.testing.assert_close(one[0], many[k], rtol=1e-5, atol=1e-6)


@each_fusion
@pytest.mark.parametrize("n_modalities", [1, 2, 3, 4, 5])
def test_every_pattern_is_answered_and_the_empty_one_with_the_prior(name: str, n_modalities: int) -> None:
    names = tuple(f"m{k}" for k in range(n_modalities))
    present = patterns(n_modalities)
    logits = _fusion(name, names)(outputs_of(names, len(present)), present)
    assert logits.shape == (2**n_modalities, CLASSES)
    assert torch.isfinite(logits).all()
    torch.testing.assert_close(logits[0].softmax(0), PRIOR)
    alone = _fusion(name, names)(outputs_of(names, 1), present[:1])
    torch.testing.assert_close(alone[0], PRIOR.log())


@each_fusion
def test_every_parameter_learns_within_three_steps_and_is_saved(name: str) -> None:
    fusion = _fusion(name).train()
    moved = dict.fromkeys(dict(fusion.named_parameters()), False)
    optimiser = torch.optim.SGD(fusion.parameters(), lr=0.1) if moved else None
    for _ in range(3 * bool(moved)):
        fusion.zero_grad()
        torch.nn.functional.cross_entropy(fusion(outputs_of(NAMES, 4), PRESENT), torch.tensor([0, 1, 2, 0])).backward()
        for key, parameter in fusion.named_parameters():
            moved[key] |= parameter.grad is not None and bool(parameter.grad.any())
        assert optimiser is not None
        optimiser.step()
    assert [key for key, did in moved.items() if not did] == []
    assert {*moved, "prior"} <= set(fusion.state_dict())


@each_fusion
def test_save_and_load_give_the_same_bits(name: str, tmp_path: Path) -> None:
    fusion, other = _fusion(name), _fusion(name, seed=9)
    save_file(fusion.state_dict(), tmp_path / "fusion.safetensors")
    other.load_state_dict(load_file(tmp_path / "fusion.safetensors"))
    outputs = outputs_of(NAMES, 4)
    assert torch.equal(fusion(outputs, PRESENT), other(outputs, PRESENT))


def test_an_unknown_name_is_answered_with_the_nearest_and_the_list() -> None:
    with pytest.raises(TaskError, match=r"Did you mean 'bottleneck'.*average, bottleneck"):
        _fusion("botleneck")
