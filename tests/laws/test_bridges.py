"""Laws that every bridge and every loss term of co-learning keeps, alone and before a fusion."""

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from clinic_mm.colearning.bridge import Bridge
from clinic_mm.colearning.moment import Answer, Moment
from clinic_mm.colearning.registry import BRIDGES, TERMS, make_bridge, make_term
from clinic_mm.encoders.base import ModalityOutput
from clinic_mm.errors import TaskError
from clinic_mm.fusion.base import make_fusion
from tests.laws.said import CLASSES, JUNK, WIDTH, filled, outputs_of, patterns

NAMES = ("ct", "eeg", "note")
PRIOR = torch.tensor([0.5, 0.3, 0.2])
PRESENT = torch.tensor([[True, True, False], [False, True, True], [True, False, False], [True, True, True]])
LESS = torch.tensor([[True, False, False], [False, False, True], [True, False, False], [True, False, True]])
TARGET = torch.tensor([0, 1, 2, 0])
FUSIONS = ("gated", "perceiver")
each_bridge = pytest.mark.parametrize("name", sorted(BRIDGES))
each_term = pytest.mark.parametrize("name", sorted(TERMS))


class Joined(nn.Module):
    """A bridge before a fusion, as the deployed network has them."""

    def __init__(self, name: str, names: tuple[str, ...], fusion: str, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.bridge = make_bridge(name, names, WIDTH)
        self.fusion = make_fusion(fusion, names, WIDTH, PRIOR)

    def forward(self, outputs: dict[str, ModalityOutput], present: Tensor) -> Tensor:
        return self.fusion(*self.bridge(outputs, present))


def _rows(outputs: dict[str, ModalityOutput], rows: Tensor) -> dict[str, ModalityOutput]:
    return {
        name: ModalityOutput(o.tokens[rows], o.token_mask[rows], o.time_h[rows], o.summary[rows], o.logits[rows])
        for name, o in outputs.items()
    }


def _moment(outputs: dict[str, ModalityOutput], answer: Answer) -> Moment:
    return Moment(outputs, PRESENT, LESS, answer(outputs, LESS), TARGET, answer)


def _with_junk(junk: float, present: Tensor = PRESENT) -> dict[str, ModalityOutput]:
    outputs = {n: filled(o, ~present[:, k], junk) for k, (n, o) in enumerate(outputs_of(NAMES, 4).items())}
    for output in outputs.values():
        for part in (output.tokens, output.summary, output.logits):
            part.requires_grad_()
    return outputs


def _gradients(outputs: dict[str, ModalityOutput], module: nn.Module) -> list[Tensor]:
    into = [part.grad for o in outputs.values() for part in (o.tokens, o.summary, o.logits) if part.grad is not None]
    return [*into, *(p.grad for p in module.parameters() if p.grad is not None)]


@each_bridge
@pytest.mark.parametrize("fusion", FUSIONS)
def test_what_stands_in_an_absent_row_reaches_no_answer_no_loss_and_no_gradient(name: str, fusion: str) -> None:
    seen = []
    for junk in JUNK:
        joined, outputs = Joined(name, NAMES, fusion), _with_junk(junk)
        logits = joined(outputs, PRESENT)
        loss = logits.square().sum() + joined.bridge.loss(_moment(outputs, joined))
        loss.backward()
        assert torch.isfinite(loss)
        seen.append((logits, loss, *_gradients(outputs, joined)))
    for other in seen[1:]:
        torch.testing.assert_close(other, seen[0], rtol=0, atol=0)


@each_bridge
def test_what_dropout_took_away_is_as_absent_as_what_never_was(name: str) -> None:
    joined = Joined(name, NAMES, "perceiver")
    whole, less = (joined(_with_junk(junk, LESS), LESS) for junk in (0.5, float("nan")))
    torch.testing.assert_close(whole, less, rtol=0, atol=0)


@each_bridge
def test_rows_do_not_look_at_each_other(name: str) -> None:
    joined, outputs, order = Joined(name, NAMES, "perceiver").eval(), outputs_of(NAMES, 4), torch.tensor([2, 0, 3, 1])
    many = joined(outputs, PRESENT)
    torch.testing.assert_close(joined(_rows(outputs, order), PRESENT[order]), many[order], rtol=1e-5, atol=1e-6)
    for k in range(4):
        one = joined(_rows(outputs, torch.tensor([k])), PRESENT[k : k + 1])
        torch.testing.assert_close(one[0], many[k], rtol=1e-5, atol=1e-6)


@each_bridge
@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("n_modalities", [2, 3, 4, 5, 6])
def test_every_pattern_is_answered_and_the_empty_one_with_the_prior(name: str, fusion: str, n_modalities: int) -> None:
    names = tuple(f"m{k}" for k in range(n_modalities))
    present = patterns(n_modalities)
    logits = Joined(name, names, fusion)(outputs_of(names, len(present)), present)
    assert logits.shape == (2**n_modalities, CLASSES)
    assert torch.isfinite(logits).all()
    torch.testing.assert_close(logits[0].softmax(0), PRIOR)


@each_bridge
def test_nothing_is_filled_where_nobody_is_and_nobody_is_counted_who_is_not_there(name: str) -> None:
    given = patterns(3)
    before = given.clone()
    _, there = make_bridge(name, NAMES, WIDTH)(outputs_of(NAMES, len(given)), given)
    assert torch.equal(given, before), "the caller's own presence is not touched"
    assert not there[0].any()
    assert (there | ~given).all(), "who is present stays present"


@each_bridge
def test_every_parameter_learns_within_three_steps_and_is_saved(name: str) -> None:
    joined = Joined(name, NAMES, "perceiver").train()
    moved = dict.fromkeys(dict(joined.named_parameters()), False)
    optimiser = torch.optim.SGD(joined.parameters(), lr=0.1)
    for _ in range(3):
        joined.zero_grad()
        outputs = outputs_of(NAMES, 4)
        loss = cross_entropy(joined(outputs, PRESENT), TARGET) + joined.bridge.loss(_moment(outputs, joined))
        loss.backward()
        for key, parameter in joined.named_parameters():
            moved[key] |= parameter.grad is not None and bool(parameter.grad.any())
        optimiser.step()
    assert [key for key, did in moved.items() if not did] == []
    assert set(moved) <= set(joined.state_dict())


@each_bridge
def test_save_and_load_give_the_same_bits(name: str, tmp_path: Path) -> None:
    joined, other = Joined(name, NAMES, "perceiver"), Joined(name, NAMES, "perceiver", seed=9)
    save_file(joined.state_dict(), tmp_path / "joined.safetensors")
    other.load_state_dict(load_file(tmp_path / "joined.safetensors"))
    outputs = outputs_of(NAMES, 4)
    assert torch.equal(joined(outputs, PRESENT), other(outputs, PRESENT))


@each_bridge
def test_parameters_grow_by_the_same_number_with_each_modality(name: str) -> None:
    sizes = [
        sum(p.numel() for p in make_bridge(name, tuple(f"m{k}" for k in range(m)), WIDTH).parameters())
        for m in range(2, 7)
    ]
    assert len({later - earlier for earlier, later in pairwise(sizes)}) == 1


@each_term
def test_a_term_sees_nothing_of_an_absent_row_and_is_finite(name: str) -> None:
    seen = []
    for junk in JUNK:
        torch.manual_seed(0)
        term, joined = make_term(name, NAMES, WIDTH), Joined("missing_tokens", NAMES, "perceiver")
        outputs = _with_junk(junk)
        loss = term(_moment(outputs, joined))
        loss.backward()
        assert loss.shape == ()
        assert torch.isfinite(loss)
        assert loss.item() > 0
        seen.append((loss, *_gradients(outputs, term)))
    for other in seen[1:]:
        torch.testing.assert_close(other, seen[0], rtol=0, atol=0)


@pytest.mark.parametrize("name", sorted(set(TERMS) - {"align"}))  # which asks of the present what they share
def test_a_term_asks_for_nothing_where_nothing_was_dropped(name: str) -> None:
    term, joined, outputs = make_term(name, NAMES, WIDTH), Joined("prompts", NAMES, "perceiver"), outputs_of(NAMES, 4)
    whole = Moment(outputs, LESS, LESS, joined(outputs, LESS), TARGET, joined)
    assert term(whole).item() == 0


def test_every_bridge_is_a_bridge() -> None:
    assert all(isinstance(make_bridge(name, NAMES, WIDTH), Bridge) for name in BRIDGES)


def test_an_unknown_name_is_answered_with_the_nearest_and_the_list() -> None:
    with pytest.raises(TaskError, match=r"Did you mean 'distill'.*missing_tokens"):
        make_term("distil", NAMES, WIDTH)
