"""Gaps inside a modality: cells of a record and channels of an EEG that are not there."""

import numpy as np
import pytest
import torch

from clinic_mm.encoders.run import run_encoder
from tests.laws.said import encoder_of, rows_of


@pytest.mark.parametrize("gap", ["one feature", "all cells"])
def test_a_record_with_missing_cells_is_finite_and_says_something_else(gap: str) -> None:
    encoder, full = encoder_of("record"), rows_of("record", 3).nan_to_num(0.5)
    x = full.clone()
    x[:, 1 if gap == "one feature" else slice(None)] = torch.nan
    said = run_encoder(encoder, x.numpy())
    assert torch.isfinite(said.tokens).all()
    assert not torch.allclose(said.logits, run_encoder(encoder, full.numpy()).logits)


def test_a_missing_cell_is_not_the_same_as_an_average_one() -> None:
    encoder, x = encoder_of("record"), torch.rand(8, 4, 6)
    encoder.fit_input(x)
    average, missing = encoder.centre[None].clone(), encoder.centre[None].clone()
    missing[0, 2] = torch.nan
    assert not torch.equal(run_encoder(encoder, average.numpy()).logits, run_encoder(encoder, missing.numpy()).logits)


def test_the_record_encoder_learns_its_scale_from_what_is_known() -> None:
    encoder, x = encoder_of("record"), torch.rand(50, 4, 6)
    x[:, 0] = 1e6 * x[:, 0] + 7
    x[::2, 1] = torch.nan
    x[:, 2] = torch.nan
    x[:, 3] = 4.0
    encoder.fit_input(x)
    assert torch.isfinite(encoder.centre).all()
    assert (encoder.spread > 0).all()
    assert (encoder.centre[2] == 0).all()
    assert (encoder.spread[2:] == 1).all()
    scaled = encoder_of("record")
    scaled.fit_input(3 * x - 100)
    one, other = run_encoder(encoder, x.numpy()), run_encoder(scaled, (3 * x - 100).numpy())
    torch.testing.assert_close(one.logits, other.logits, rtol=1e-3, atol=1e-4)


def test_a_wild_value_counts_no_more_than_five_spreads() -> None:
    encoder, x = encoder_of("record"), torch.rand(20, 4, 6)
    encoder.fit_input(x)
    x[0], x[1] = 1e3, 1e9
    said = run_encoder(encoder, x.numpy())
    assert torch.equal(said.logits[0], said.logits[1])


def test_what_a_missing_channel_would_have_held_changes_nothing() -> None:
    encoder, x = encoder_of("eeg"), torch.rand(2, 2, 19, 128)
    x[:, :, 7, 3] = torch.nan  # one sample that is no number takes its channel out of the window
    y = x.clone()
    y[:, :, 7] = torch.nan
    assert torch.equal(run_encoder(encoder, x.numpy()).tokens, run_encoder(encoder, y.numpy()).tokens)


@pytest.mark.parametrize("kept", [0, 1, 18])
def test_an_eeg_speaks_from_any_number_of_channels(kept: int) -> None:
    encoder, x = encoder_of("eeg"), np.random.default_rng(0).normal(size=(3, 2, 19, 128)).astype(np.float32)
    x[1:, :, kept:] = np.nan
    assert torch.isfinite(run_encoder(encoder, x).logits).all()
    encoder.train()
    logits = encoder(torch.from_numpy(x), torch.ones(3, dtype=torch.bool)).logits
    logits.square().sum().backward()
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in encoder.parameters())


def test_eeg_augmentation_never_loses_the_whole_recording() -> None:
    torch.manual_seed(0)
    encoder, x = encoder_of("eeg"), torch.rand(400, 2, 19, 128)
    x[:, :, 1:] = torch.nan  # one electrode was placed
    assert torch.isfinite(encoder.augment(x)).any(dim=(1, 2, 3)).all()
