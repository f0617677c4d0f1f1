"""Calibration per pattern: a calibrated model is seen to be so, a wrong one is found where it is wrong."""

from pathlib import Path

import numpy as np
import pytest

from clinic_mm.evaluate.reliability import (
    EVERY,
    MASKED,
    OTHERS,
    Said,
    calibration_table,
    reliability_bins,
    reliability_diagrams,
)


def _said(n: int = 2000, wrong: str = "") -> Said:
    rng = np.random.default_rng(0)
    p = rng.beta(2, 4, n)
    pattern = rng.choice(["ct", "ct+eeg", "note", "eeg+note"], n, p=[0.5, 0.44, 0.03, 0.03])
    labels = (rng.random(n) < p).astype(int)
    said = np.where(pattern == wrong, np.clip(p + 0.2, 0, 1), p)
    return Said("native", np.stack([1 - said, said], axis=1), labels, np.arange(n), pattern)


def test_rare_patterns_are_judged_together_and_every_case_once() -> None:
    table = calibration_table(_said(), draws=50).set_index("pattern")
    assert list(table.index) == ["ct", "ct+eeg", OTHERS, EVERY]
    assert table["n_cases"].drop(EVERY).sum() == table.loc[EVERY, "n_cases"] == 2000


def test_masked_rows_of_one_case_are_never_put_together_and_a_patient_counts_once() -> None:
    one = _said(400)
    names = np.array(["ct", "note", "rare"])
    often = Said(MASKED, *(np.repeat(x, 3, axis=0) for x in (one.probs, one.labels, one.patients)), np.tile(names, 400))
    few = Said(MASKED, often.probs[:90], often.labels[:90], often.patients[:90], often.pattern[:90])
    assert set(calibration_table(often, draws=20)["pattern"]) == set(names)
    assert not list(few.scopes())
    twice = Said("native", *(np.repeat(x, 2, axis=0) for x in (one.probs, one.labels, one.patients, one.pattern)))
    once, again = (reliability_bins(said)[["pattern", "bin", "low", "high"]] for said in (one, twice))
    both = once.merge(again, on=["pattern", "bin"], suffixes=("", "_again"))
    assert len(both) == len(once)
    np.testing.assert_allclose(both[["low", "high"]], both[["low_again", "high_again"]])


def test_a_pattern_that_is_off_is_found_and_the_others_are_not() -> None:
    table = calibration_table(_said(wrong="ct"), draws=100).set_index("pattern")
    assert table.loc["ct", "low"] > 0.1
    assert table.loc["ct", "mean_said"] - table.loc["ct", "mean_seen"] == pytest.approx(0.2, abs=0.05)
    assert table.loc["ct+eeg", "low"] < 0.03
    assert abs(table.loc["ct+eeg", "excess_ece"]) < 0.03


def test_bins_hold_all_cases_and_the_mean_of_what_was_said() -> None:
    bins = reliability_bins(_said())
    counted = bins.groupby("pattern")["n_cases"].sum()
    assert counted[EVERY] == 2000
    assert ((bins["said"] >= bins["bin"] / 10) & (bins["said"] <= (bins["bin"] + 1) / 10)).all()
    assert ((bins["low"] <= bins["seen"]) & (bins["seen"] <= bins["high"])).all()


def test_the_diagrams_are_drawn(tmp_path: Path) -> None:
    said = _said(400)
    reliability_diagrams(reliability_bins(said), calibration_table(said, draws=20), tmp_path / "r.png", simulated=True)
    assert (tmp_path / "r.png").read_bytes()[:4] == b"\x89PNG"
