"""Every loss and every filled place beside a plain loop of its equation."""

import math

import pytest
import torch
from torch import Tensor

from clinic_mm.colearning.distill import TEMPERATURE, Distill
from clinic_mm.colearning.missing_tokens import MissingTokens
from clinic_mm.colearning.moment import Moment
from clinic_mm.colearning.prompts import PROMPTS, Prompts
from clinic_mm.colearning.shared_specific import ALIGNMENT, DOMAIN, SharedSpecific
from clinic_mm.colearning.translate import WEIGHT, Cycle, Translate, Translator
from clinic_mm.encoders.base import ModalityOutput
from tests.laws.said import CLASSES, WIDTH, outputs_of, patterns

NAMES = ("ct", "eeg", "note")
PRESENT = torch.tensor([[True, True, False], [False, True, True], [True, False, False], [True, True, True]])
LESS = torch.tensor([[True, False, False], [False, False, True], [True, False, False], [True, False, True]])
TARGET = torch.tensor([0, 1, 2, -1])
CASES, MODALITIES = PRESENT.shape


def _moment(outputs: dict[str, ModalityOutput], full: Tensor, part: Tensor) -> Moment:
    return Moment(outputs, PRESENT, LESS, part, TARGET, lambda _, present: full if present is PRESENT else part)


def _said(seed: int = 0) -> dict[str, ModalityOutput]:
    return outputs_of(NAMES, CASES, seed)


def test_distillation_is_the_divergence_from_the_whole_answer_to_the_part() -> None:
    torch.manual_seed(1)
    full, part = torch.randn(CASES, CLASSES), torch.randn(CASES, CLASSES)
    total, n = 0.0, 0
    for b in range(CASES):
        if torch.equal(PRESENT[b], LESS[b]):
            continue
        teacher = [math.exp(v / TEMPERATURE) for v in full[b].tolist()]
        student = [math.exp(v / TEMPERATURE) for v in part[b].tolist()]
        for t, s in zip(teacher, student, strict=True):
            p, q = t / sum(teacher), s / sum(student)
            total += p * math.log(p / q)
        n += 1
    said = Distill(NAMES, WIDTH)(_moment(_said(), full, part))
    assert said.item() == pytest.approx(TEMPERATURE**2 * total / n, abs=1e-5)


def test_the_teacher_of_a_distillation_learns_nothing_by_it() -> None:
    full, part = torch.randn(CASES, CLASSES, requires_grad=True), torch.randn(CASES, CLASSES, requires_grad=True)
    Distill(NAMES, WIDTH)(_moment(_said(), full, part)).backward()
    assert full.grad is None
    assert part.grad is not None
    assert not part.grad[2].any(), "a case with all it has teaches nothing"


def test_the_shared_feature_of_an_absent_modality_is_the_mean_of_all_that_are_present() -> None:
    bridge, outputs = SharedSpecific(NAMES, WIDTH), _said()
    carried, there = bridge(outputs, PRESENT)
    shared = [bridge.shared(outputs[name].summary) for name in NAMES]
    for b in range(CASES):
        here = [m for m in range(MODALITIES) if PRESENT[b, m]]
        mean = sum(shared[m][b] for m in here) / len(here)
        for m, name in enumerate(NAMES):
            if m in here:
                both = torch.cat([shared[m][b], bridge.specific[m](outputs[name].summary[b])])
                expected = shared[m][b] + bridge.project(both)
            else:
                expected = mean
                torch.testing.assert_close(carried[name].tokens[b, 0], mean)
                assert carried[name].token_mask[b].tolist() == [True, False, False]
                if len(here) > 1:
                    assert not torch.allclose(carried[name].summary[b], shared[here[0]][b]), "the mean, not the first"
            torch.testing.assert_close(carried[name].summary[b], expected, rtol=1e-5, atol=1e-6)
    assert there.all()


def test_shared_features_are_drawn_together_and_specific_ones_told_apart() -> None:
    bridge, outputs = SharedSpecific(NAMES, WIDTH), _said()
    apart, told = [], []
    for b in range(CASES):
        here = [m for m in range(MODALITIES) if PRESENT[b, m]]
        z = [outputs[name].summary[b] for name in NAMES]
        for i in here:
            logits = bridge.whose(bridge.specific[i](z[i])).tolist()
            told.append(math.log(sum(math.exp(v) for v in logits)) - logits[i])
            for j in here:
                if j > i:
                    apart.append((bridge.shared(z[i]) - bridge.shared(z[j])).abs().sum().item() / WIDTH)
    expected = ALIGNMENT * sum(apart) / len(apart) + DOMAIN * sum(told) / len(told)
    said = bridge.loss(_moment(outputs, torch.zeros(CASES, CLASSES), torch.zeros(CASES, CLASSES)))
    assert said.item() == pytest.approx(expected, abs=1e-5)


def test_a_prompt_is_the_sum_of_one_for_each_absent_modality() -> None:
    bridge, outputs = Prompts(NAMES, WIDTH), _said()
    carried, there = bridge(outputs, PRESENT)
    assert torch.equal(there, PRESENT), "a prompt fills no place"
    for b in range(CASES):
        prompt = bridge.always.clone()
        for m in range(MODALITIES):
            if not PRESENT[b, m]:
                prompt = prompt + bridge.absent[m]
        for m, name in enumerate(NAMES):
            if PRESENT[b, m]:
                torch.testing.assert_close(carried[name].tokens[b, :PROMPTS], prompt)
                torch.testing.assert_close(carried[name].tokens[b, PROMPTS:-1], outputs[name].tokens[b, :-1])
                torch.testing.assert_close(carried[name].summary[b], outputs[name].summary[b] + prompt.mean(dim=0))
            else:
                assert not carried[name].token_mask[b].any()
    torch.testing.assert_close(bridge.prompt(patterns(MODALITIES)).unique(dim=0).shape[0], 2**MODALITIES)


def test_a_missing_token_is_the_same_for_every_case_and_its_opinion_is_that_of_the_others() -> None:
    bridge, outputs = MissingTokens(NAMES, WIDTH), _said()
    carried, _ = bridge(outputs, PRESENT)
    for b, m in (~PRESENT).nonzero().tolist():
        torch.testing.assert_close(carried[NAMES[m]].summary[b], bridge.token[m])
        others = [outputs[name].logits[b] for k, name in enumerate(NAMES) if PRESENT[b, k]]
        torch.testing.assert_close(carried[NAMES[m]].logits[b], sum(others) / len(others))


def _translated(translator: Translator, z: list[Tensor], into: int) -> Tensor:
    """Plain loop: `z` by modality, None where it is not there."""
    spoken = [translator.source[j](one) for j, one in enumerate(z) if one is not None]
    c = sum(spoken) / len(spoken)
    return translator.target[into](torch.tensor([0.5 * v * (1 + math.erf(v / math.sqrt(2))) for v in c.tolist()]))


def test_an_absent_modality_is_translated_from_those_that_are_there() -> None:
    bridge, outputs = Translate(NAMES, WIDTH), _said()
    carried, _ = bridge(outputs, PRESENT)
    for b, m in (~PRESENT).nonzero().tolist():
        z = [outputs[name].summary[b] if PRESENT[b, k] else None for k, name in enumerate(NAMES)]
        expected = _translated(bridge.translator, z, m)
        torch.testing.assert_close(carried[NAMES[m]].summary[b], expected, rtol=1e-5, atol=1e-5)


def _distances(there: Translator, back: Translator | None, outputs: dict[str, ModalityOutput]) -> list[float]:
    """Mean squared distance of what was dropped, and, there and back, of what was left."""
    forth, returned = [], []
    for b in range(CASES):
        z = [outputs[name].summary[b] for name in NAMES]
        gone = [m for m in range(MODALITIES) if PRESENT[b, m] and not LESS[b, m]]
        left = [z[m] if LESS[b, m] else None for m in range(MODALITIES)]
        if not gone:
            continue
        guessed = [_translated(there, left, m) if m in gone else None for m in range(MODALITIES)]
        forth += [(guessed[m] - z[m]).square().mean().item() for m in gone]
        if back is not None:
            returned += [
                (_translated(back, guessed, m) - z[m]).square().mean().item() for m in range(MODALITIES) if LESS[b, m]
            ]
    return [sum(part) / len(part) for part in (forth, returned) if part]


def test_a_translator_is_judged_by_what_dropout_took_away() -> None:
    bridge, outputs = Translate(NAMES, WIDTH), _said()
    nothing = torch.zeros(CASES, CLASSES)
    (expected,) = _distances(bridge.translator, None, outputs)
    assert bridge.loss(_moment(outputs, nothing, nothing)).item() == pytest.approx(expected, abs=1e-5)


def test_a_cycle_is_there_and_back() -> None:
    term, outputs = Cycle(NAMES, WIDTH), _said()
    nothing = torch.zeros(CASES, CLASSES)
    expected = WEIGHT * sum(_distances(term.there, term.back, outputs))
    assert term(_moment(outputs, nothing, nothing)).item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("made", [Translate, Cycle])
def test_no_modality_is_pulled_toward_being_easy_to_guess(made: type) -> None:
    module, outputs = made(NAMES, WIDTH), _said()
    for output in outputs.values():
        output.summary.requires_grad_()
    moment = _moment(outputs, torch.zeros(CASES, CLASSES), torch.zeros(CASES, CLASSES))
    (module.loss(moment) if made is Translate else module(moment)).backward()
    for k, name in enumerate(NAMES):
        pulled = outputs[name].summary.grad
        dropped = PRESENT[:, k] & ~LESS[:, k]
        assert pulled is None or not pulled[dropped].any()
        if made is Cycle and (LESS[:, k] & (PRESENT & ~LESS).any(dim=1)).any():
            assert pulled is not None
            assert pulled.any(), "sources learn by the cycle"
