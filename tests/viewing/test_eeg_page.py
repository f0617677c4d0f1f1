"""A page is what the reader gives; montages as sent are the montages; no text turns into anything but text."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clinic_mm.errors import InputError
from clinic_mm.prep.montage import MONTAGES, montage, montage_table
from clinic_mm.signals import EegRecording
from clinic_mm.sources.eeg.quality import Quality
from clinic_mm.sources.eeg.recording import load, open_eeg
from clinic_mm.viewing.eeg import PAGE_VALUES, montages, page, sparse, told

NAMES = montage_table().electrodes
FORMATS = (
    "edf/eegmmidb_64ch_T0T1T2.edf",
    "edf/natus_xlspike_3ch.edf",
    "bdf/psg_19ch_annotations.bdf",
    "brainvision/test.vhdr",
    "eeglab/eeglab_data.set",
    "fif/test_bin_raw.fif",
    "nihonkohden/MB0400FU.EEG",
)


def made(seconds: float = 20.0, channels: tuple[str, ...] = NAMES) -> EegRecording:
    rng = np.random.default_rng(7)
    return EegRecording(rng.normal(0, 2e-5, (len(channels), round(128 * seconds))).astype(np.float32), channels, 128.0)


def shown(row: dict[str, Any], common: list[tuple[int, float]], volts: np.ndarray) -> np.ndarray:
    """What the browser makes of a row."""
    pairs = [*row["pairs"], *(common if row["common"] else [])]
    return sum((weight * volts[channel] for channel, weight in pairs), np.zeros(volts.shape[1]))


@pytest.mark.realdata
@pytest.mark.parametrize("name", FORMATS)
def test_a_page_is_what_the_reader_gives(data: Path, name: str) -> None:
    path = data / "eeg" / "formats" / name
    whole = np.asarray(load([path]).volts)
    opened = open_eeg([path])
    samples = whole.shape[1]
    for start, stop in ((0, 64), (samples // 3, samples // 3 + 301), (samples - 10, samples + 500)):
        sent = np.frombuffer(page(opened, start, stop), "<f4").reshape(len(whole), -1)
        np.testing.assert_array_equal(sent, whole[:, start:stop])


@pytest.mark.parametrize("name", MONTAGES)
@pytest.mark.parametrize("bad", [(), ("Cz", "T8")])
def test_sparse_rows_add_up_to_the_montage(name: str, bad: tuple[str, ...]) -> None:
    matrix = montage(name, NAMES, bad).matrix
    rows, common = sparse(matrix)
    for row, (pairs, with_common) in zip(matrix, rows, strict=True):
        dense = np.zeros(len(NAMES))
        for channel, weight in [*pairs, *(common if with_common else [])]:
            dense[channel] += weight
        if np.isfinite(row).all():
            np.testing.assert_allclose(dense, row, atol=1e-12)
        else:
            assert not pairs
    if name == "average":
        assert all(len(pairs) <= 1 for pairs, _ in rows)


def test_derivations_by_hand() -> None:
    recording = made()
    volts = np.asarray(recording.volts, float)
    at = {name: volts[row] for row, name in enumerate(NAMES)}
    sent = {one["name"]: one for one in told(recording, Quality((), ()))["montages"]}
    by_hand = {
        ("banana", "Fp1-F7"): at["Fp1"] - at["F7"],
        ("transverse", "C3-Cz"): at["C3"] - at["Cz"],
        ("average", "O2"): at["O2"] - volts.mean(axis=0),
        ("cz", "F3"): at["F3"] - at["Cz"],
        ("laplacian", "Cz"): at["Cz"] - (at["Fz"] + at["C3"] + at["C4"] + at["Pz"]) / 4,
        ("referential", "T7"): at["T7"],
    }
    for (name, derivation), expected in by_hand.items():
        row = next(row for row in sent[name]["rows"] if row["name"] == derivation)
        np.testing.assert_allclose(shown(row, sent[name]["common"], volts), expected, atol=1e-15)


def test_a_bad_channel_is_shown_as_recorded_told_elsewhere_and_in_no_average() -> None:
    sent = {one["name"]: one for one in montages(NAMES, ("F7",))}
    as_recorded = {row["name"]: row for row in sent["referential"]["rows"]}
    assert as_recorded["F7"]["bad"]
    assert as_recorded["F7"]["pairs"]
    assert not as_recorded["F3"]["bad"]
    lost = [row["name"] for row in sent["banana"]["rows"] if not row["pairs"]]
    assert lost == ["Fp1-F7", "F7-T7"]
    assert NAMES.index("F7") not in {channel for channel, _ in sent["average"]["common"]}


def test_montages_that_cannot_be_had_are_not_offered() -> None:
    assert [one["name"] for one in montages(("X1", "X2", "X3"), ())] == ["referential", "average"]


def test_annotations_go_as_the_reader_masked_them() -> None:
    hostile = ((1.0, 0.0, "<img src=x onerror=alert(1)>"), (2.0, 0.5, "spike"))
    recording = replace(made(), annotations=hostile, events=((2.0, 0.5, "spike"),))
    sent = json.loads(json.dumps(told(recording, None)))
    assert sent["annotations"] == [[1.0, 0.0, hostile[0][2], ""], [2.0, 0.5, "spike", "spike"]]
    assert not sent["judged"]
    assert sent["bad"] == []


@pytest.mark.parametrize(("start", "stop"), [(-1, 5), (5, 5), (10**9, 10**9 + 1), (0, PAGE_VALUES)])
def test_spans_that_are_none_are_refused(start: int, stop: int) -> None:
    recording = replace(made(), volts=np.zeros((19, PAGE_VALUES // 10), np.float32))
    with pytest.raises(InputError, match="page"):
        page(recording, start, stop)
