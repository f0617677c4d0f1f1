"""Montages: the textbook's differences, nothing made up where an electrode is missing."""

import mne
import numpy as np
import pytest

from clinic_mm.errors import TaskError
from clinic_mm.prep.base import plan_prep
from clinic_mm.prep.eeg import CHANNELS, EegPrep
from clinic_mm.prep.montage import MONTAGES, derivations, montage, montage_table
from clinic_mm.signals import EegRecording
from clinic_mm.task import ModalityTask

VOLTS = np.random.default_rng(0).normal(0, 20e-6, (19, 64))
ROW = {name: VOLTS[i] for i, name in enumerate(CHANNELS)}


@pytest.mark.parametrize("name", MONTAGES)
def test_what_all_electrodes_share_is_in_no_derivation_and_its_scale_in_all(name: str) -> None:
    if name != "referential":
        np.testing.assert_allclose(montage(name, CHANNELS).matrix.sum(axis=1), 0, atol=1e-12)
    made = montage(name, CHANNELS)
    np.testing.assert_allclose(made.apply(2 * VOLTS), 2 * made.apply(VOLTS))
    assert len(set(made.names)) == len(made.names)


def test_derivations_are_those_of_the_textbook() -> None:
    for name in ("banana", "transverse"):
        made = montage(name, CHANNELS)
        assert len(made.names) == 18
        for row, pair in zip(made.apply(VOLTS), made.names, strict=True):
            first, _, second = pair.partition("-")
            np.testing.assert_allclose(row, ROW[first] - ROW[second])
    np.testing.assert_allclose(montage("average", CHANNELS).apply(VOLTS), VOLTS - VOLTS.mean(axis=0))
    cz = montage("cz", CHANNELS)
    assert "Cz" not in cz.names
    np.testing.assert_allclose(cz.apply(VOLTS)[cz.names.index("O2")], ROW["O2"] - ROW["Cz"])


def test_a_laplacian_leaves_out_what_is_the_same_all_around_and_keeps_what_is_local() -> None:
    made = montage("laplacian", CHANNELS)
    local = np.zeros((19, 1))
    local[CHANNELS.index("C3")] = 1.0
    peaks = dict(zip(made.names, made.apply(local)[:, 0], strict=True))
    assert peaks["C3"] == 1
    assert peaks["Cz"] == pytest.approx(-1 / 4)
    assert peaks["T8"] == 0


def test_neighbours_lie_nearest_on_the_head_and_see_each_other() -> None:
    at = mne.channels.make_standard_montage("colin27_1020").get_positions()["ch_pos"]
    near = montage_table().neighbours
    assert set(near) == set(CHANNELS)
    for name, close in near.items():
        far = sorted((one for one in CHANNELS if one != name), key=lambda one: np.linalg.norm(at[one] - at[name]))
        assert set(close) <= set(far[:7]), name
        assert all(name in near[one] for one in close), name


@pytest.mark.parametrize("name", MONTAGES)
def test_a_missing_electrode_takes_its_derivations_along_and_changes_no_other_pair(name: str) -> None:
    fewer = [one for one in CHANNELS if one != "C3"]
    rows = [CHANNELS.index(one) for one in fewer]
    gone, full = montage(name, fewer), montage(name, CHANNELS)
    bad = montage(name, CHANNELS, bad=["C3"])
    made = dict(zip(bad.names, bad.apply(VOLTS), strict=True))
    for label, row in zip(gone.names, gone.apply(VOLTS[rows]), strict=True):
        np.testing.assert_allclose(row, made[label])  # a bad electrode is an absent one
    lost = {label for label, row in made.items() if np.isnan(row).all()}
    expected = {"referential": {"C3"}, "average": {"C3"}, "cz": {"C3"},
                "banana": {"F3-C3", "C3-P3"}, "transverse": {"T7-C3", "C3-Cz"},
                "laplacian": {"C3", "F3", "T7", "Cz", "P3"}}  # fmt: skip
    assert lost == expected[name]
    if name in {"banana", "transverse", "laplacian"}:
        whole = dict(zip(full.names, full.apply(VOLTS), strict=True))
        for label in set(made) - lost:
            np.testing.assert_allclose(made[label], whole[label])


def test_without_cz_there_is_no_cz_reference() -> None:
    assert np.isnan(montage("cz", ["Fp1", "O2"]).matrix).all()


def test_a_file_may_hold_the_derivations_themselves() -> None:
    made = montage("banana", ["Fp1-F7", "F3", "C3"])
    assert [name for name, there in zip(made.names, made.there, strict=True) if there] == ["Fp1-F7", "F3-C3"]


def test_a_misspelt_montage_is_answered_with_the_nearest() -> None:
    with pytest.raises(TaskError, match="'banana'"):
        plan_prep("eeg", "tiny", ModalityTask(kind="eeg", montage="bananna"))


@pytest.mark.parametrize("name", MONTAGES)
def test_a_task_may_ask_for_any_montage(name: str) -> None:
    prep = plan_prep("eeg", "tiny", ModalityTask(kind="eeg", montage=name))
    assert isinstance(prep, EegPrep)
    volts = np.random.default_rng(0).normal(0, 20e-6, (19, 1280)).astype(np.float32)
    made = prep(EegRecording(volts, CHANNELS, 128.0))
    assert made.x.shape == prep.shape == (8, len(derivations(name)), 512)
    assert np.isfinite(made.x).all()
    assert np.isfinite(made.plain).all() or name in {"banana", "transverse", "cz"}
    assert len(made.plain) == len(prep.plain_names)
