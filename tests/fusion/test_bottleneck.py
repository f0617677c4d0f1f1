"""Attention gives no weight to what is not there, and the correction is nothing where nothing speaks."""

import torch

from clinic_mm.encoders.base import ModalityOutput
from clinic_mm.fusion.base import uniform_prior
from clinic_mm.fusion.bottleneck import Bottleneck
from tests.laws.said import CLASSES, WIDTH, outputs_of, patterns

NAMES = ("ct", "eeg", "note")


def _bottleneck() -> Bottleneck:
    torch.manual_seed(0)
    return Bottleneck(NAMES, WIDTH, uniform_prior(CLASSES)).eval()


def test_an_absent_modality_is_as_if_its_tokens_had_been_taken_away() -> None:
    fusion, outputs, present = _bottleneck(), outputs_of(NAMES, 2), torch.tensor([[True, False, True]] * 2)
    o = outputs["eeg"]
    gone = ModalityOutput(o.tokens[:, :0], o.token_mask[:, :0], o.time_h[:, :0], o.summary, o.logits)
    torch.testing.assert_close(fusion(outputs, present), fusion({**outputs, "eeg": gone}, present))


def test_masked_tokens_are_as_if_taken_away() -> None:
    fusion, outputs, present = _bottleneck(), outputs_of(NAMES, 2), torch.ones(2, 3, dtype=torch.bool)
    cut = {
        name: ModalityOutput(o.tokens[:, :-1], o.token_mask[:, :-1], o.time_h[:, :-1], o.summary, o.logits)
        for name, o in outputs.items()
    }
    torch.testing.assert_close(fusion(outputs, present), fusion(cut, present))


def test_a_correction_of_nothing_is_exactly_nothing() -> None:
    fusion, present = _bottleneck(), patterns(3)
    correction = fusion.correction(outputs_of(NAMES, len(present)), present)
    assert (correction[0] == 0).all()
    assert (correction[1:] != 0).any(dim=1).all()


def test_order_and_number_of_tokens_are_free_within_a_modality() -> None:
    fusion, outputs, present = _bottleneck(), outputs_of(NAMES, 2), torch.ones(2, 3, dtype=torch.bool)
    o, turn = outputs["ct"], torch.tensor([1, 2, 0])
    turned = ModalityOutput(o.tokens[:, turn], o.token_mask[:, turn], o.time_h[:, turn], o.summary, o.logits)
    torch.testing.assert_close(fusion(outputs, present), fusion({**outputs, "ct": turned}, present))


def test_time_and_owner_of_a_token_matter() -> None:
    fusion, outputs, present = _bottleneck(), outputs_of(NAMES, 2), torch.ones(2, 3, dtype=torch.bool)
    before = fusion(outputs, present)
    o = outputs["ct"]
    later = ModalityOutput(o.tokens, o.token_mask, o.time_h + 500, o.summary, o.logits)
    assert not torch.allclose(before, fusion({**outputs, "ct": later}, present), atol=1e-6)
    swapped = {**outputs, "ct": outputs["eeg"], "eeg": outputs["ct"]}
    assert not torch.allclose(before, fusion(swapped, present), atol=1e-6)
