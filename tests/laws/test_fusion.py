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

PRIOR = torch.tensor([0.5, 0.3, 0.2])
each_fusion = pytest.mark.parametrize("name", sorted(registry()))
each_number = pytest.mark.parametrize("n", [2, 3, 4, 5, 6])


def _names(n: int) -> tuple[str, ...]:
    return tuple(f"m{k}" for k in range(n))


def _fusion(name: str, n: int, seed: int = 0) -> Fusion:
    torch.manual_seed(seed)
    return make_fusion(name, _names(n), WIDTH, PRIOR).eval()


def _rows(outputs: dict[str, ModalityOutput], rows: Tensor) -> dict[str, ModalityOutput]:
    return {name: output.rows(rows) for name, output in outputs.items()}


def _said(output: ModalityOutput) -> tuple[Tensor, ...]:
    return output.tokens, output.time_h, output.summary, output.logits


@each_fusion
@each_number
def test_what_stands_in_an_absent_row_reaches_no_output_and_no_gradient(name: str, n: int) -> None:
    seen, present = [], patterns(n)
    for junk in JUNK:
        fusion = _fusion(name, n).train()
        given = outputs_of(_names(n), len(present))
        outputs = {m: filled(o, ~present[:, k], junk) for k, (m, o) in enumerate(given.items())}
        heard = [part.requires_grad_() for o in outputs.values() for part in _said(o)]
        torch.manual_seed(1)
        logits = fusion(outputs, present)
        (logits.square().sum() + fusion.penalty()).backward()
        into = [part.grad for part in heard if part.grad is not None]
        seen.append((logits, *into, *(p.grad for p in fusion.parameters() if p.grad is not None)))
        assert all(torch.isfinite(part).all() for part in seen[-1])
    for other in seen[1:]:
        torch.testing.assert_close(other, seen[0], rtol=0, atol=0)


@each_fusion
@each_number
def test_a_token_that_is_not_real_reaches_no_output_and_no_gradient(name: str, n: int) -> None:
    seen, present = [], patterns(n)
    for junk in JUNK:
        fusion, outputs = _fusion(name, n), outputs_of(_names(n), len(present))
        for output in outputs.values():
            output.tokens[:, -1] = junk
            output.time_h[:, -1] = junk
        logits = fusion(outputs, present)
        if logits.requires_grad:
            logits.square().sum().backward()
        seen.append((logits, *(p.grad for p in fusion.parameters() if p.grad is not None)))
    for other in seen[1:]:
        torch.testing.assert_close(other, seen[0], rtol=0, atol=0)


@each_fusion
@each_number
def test_permuting_cases_permutes_outputs(name: str, n: int) -> None:
    fusion, present = _fusion(name, n), patterns(n)
    outputs, order = outputs_of(_names(n), len(present)), torch.randperm(len(present))
    after = fusion(_rows(outputs, order), present[order])
    torch.testing.assert_close(after, fusion(outputs, present)[order], rtol=1e-5, atol=1e-6)


@each_fusion
@each_number
@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
def test_a_batch_of_one_equals_its_row_in_a_batch_of_many(name: str, n: int, training: bool) -> None:
    fusion, present = _fusion(name, n).train(training), patterns(n)
    outputs = outputs_of(_names(n), len(present))
    many = fusion(outputs, present)
    for k in (0, 1, 2, len(present) // 2, len(present) - 1):
        one = fusion(_rows(outputs, torch.tensor([k])), present[k : k + 1])
        torch.testing.assert_close(one[0], many[k], rtol=1e-5, atol=1e-6)


@each_fusion
@each_number
def test_one_encoding_answers_all_subsets_as_if_each_were_asked_apart(name: str, n: int) -> None:
    """Of three cases, one of which lacks the first modality, in no order and some of them twice."""
    fusion, outputs, everyone = _fusion(name, n), outputs_of(_names(n), 3), patterns(n)
    lacks = torch.tensor([False, True, False])
    outputs["m0"] = filled(outputs["m0"], lacks, float("nan"))
    present = torch.cat([everyone, everyone & (torch.arange(n) > 0), everyone[:3]])
    case = torch.tensor([0] * len(everyone) + [1] * len(everyone) + [2, 0, 2])
    order = torch.randperm(len(case))
    many = fusion(outputs, present[order], case[order])
    apart = fusion(_rows(outputs, case[order]), present[order])
    torch.testing.assert_close(many, apart, rtol=1e-5, atol=1e-6)


@each_fusion
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6])
def test_every_pattern_is_answered_and_the_empty_one_with_the_prior(name: str, n: int) -> None:
    fusion, present = _fusion(name, n), patterns(n)
    logits = fusion(outputs_of(_names(n), len(present)), present)
    assert logits.shape == (2**n, CLASSES)
    assert torch.isfinite(logits).all()
    torch.testing.assert_close(logits[0].softmax(0), PRIOR)
    torch.testing.assert_close(fusion(outputs_of(_names(n), 1), present[:1])[0], PRIOR.log())
    assert fusion(outputs_of(_names(n), 0), present[:0]).shape == (0, CLASSES)


@each_fusion
@each_number
def test_every_present_modality_is_heard(name: str, n: int) -> None:
    fusion, outputs, everyone = _fusion(name, n), outputs_of(_names(n), 1), torch.ones(1, n, dtype=torch.bool)
    before = fusion(outputs, everyone)
    for k, m in enumerate(_names(n)):
        other = outputs_of([m], 1, seed=99)
        assert not torch.allclose(fusion(outputs | other, everyone), before, atol=1e-6), m
        fewer = everyone.clone()
        fewer[0, k] = False
        assert not torch.allclose(fusion(outputs, fewer), before, atol=1e-6), m


@each_fusion
@each_number
def test_every_parameter_learns_within_three_steps_and_is_saved(name: str, n: int) -> None:
    fusion, present = _fusion(name, n).train(), patterns(n)
    moved = dict.fromkeys(dict(fusion.named_parameters()), False)
    target = torch.arange(len(present)) % CLASSES
    for _ in range(3 * bool(moved)):
        fusion.zero_grad()
        logits = fusion(outputs_of(_names(n), len(present)), present)
        torch.nn.functional.cross_entropy(logits, target).backward()
        for key, parameter in fusion.named_parameters():
            if parameter.grad is not None:
                moved[key] |= bool(parameter.grad.any())
                parameter.data -= 0.1 * parameter.grad
    assert [key for key, did in moved.items() if not did] == []
    assert {*moved, "prior"} <= set(fusion.state_dict())


@each_fusion
@each_number
def test_save_and_load_give_the_same_bits(name: str, n: int, tmp_path: Path) -> None:
    fusion, other, present = _fusion(name, n), _fusion(name, n, seed=9), patterns(n)
    save_file(fusion.state_dict(), tmp_path / "fusion.safetensors")
    other.load_state_dict(load_file(tmp_path / "fusion.safetensors"))
    outputs = outputs_of(_names(n), len(present))
    assert torch.equal(fusion(outputs, present), other(outputs, present))


def test_an_unknown_name_is_answered_with_the_nearest_and_the_list() -> None:
    with pytest.raises(TaskError, match=r"Did you mean 'bottleneck'.*Known: .*bottleneck"):
        _fusion("botleneck", 2)
