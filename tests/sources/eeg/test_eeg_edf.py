"""Our own reader of EDF and BDF: what MNE gives, page by page, with gaps where there are gaps."""

from pathlib import Path

import edfio
import mne
import numpy as np
import pytest

from clinic_mm.errors import EvidenceError
from clinic_mm.sources.eeg import edf_samples
from clinic_mm.sources.eeg import recording as eeg
from clinic_mm.sources.eeg.edf_header import read_edf_header
from clinic_mm.sources.eeg.opening import open_recording
from tests.sources.eeg.edf_files import TEN_TWENTY, move_records, parts_of, patch, write_edf

REAL = (
    "edf/eegmmidb_64ch_T0T1T2.edf",
    "edf/mne_test_139ch.edf",
    "edf/natus_xlspike_3ch.edf",
    "edf/nk_MB0400FU.edf",
    "edf/nk_chtypes_42ch.edf",
    "bdf/biosemi_73ch.bdf",
    "bdf/psg_19ch_annotations.bdf",
)


def code_of(path: Path) -> str:
    with pytest.raises(EvidenceError) as caught:
        eeg.load([path])
    return caught.value.code


def field(path: Path, name: str, signal: int, content: bytes) -> Path:
    low, high = parts_of(path.read_bytes()).field(name, signal)
    return patch(path, low, content.ljust(high - low))


@pytest.mark.realdata
@pytest.mark.parametrize("name", REAL)
def test_every_sample_is_what_mne_reads(data: Path, name: str) -> None:
    path = data / "eeg/formats" / name
    opened = open_recording(path)
    labels = [signal.label for signal in opened.pages.signals]  # type: ignore[attr-defined]
    read = mne.io.read_raw_bdf if path.suffix == ".bdf" else mne.io.read_raw_edf
    raw = read(path, verbose="ERROR")
    theirs = raw.get_data(picks=labels)
    np.testing.assert_allclose(np.asarray(opened.pages), theirs, rtol=3e-7, atol=2e-9)
    assert opened.sfreq_hz == raw.info["sfreq"]
    assert len(opened.annotations) == len(raw.annotations)
    np.testing.assert_allclose([one[0] for one in opened.annotations], raw.annotations.onset, atol=1e-6)
    assert [one[2] for one in opened.annotations] == list(raw.annotations.description)


@pytest.mark.parametrize("wide", [False, True])
def test_any_page_is_a_part_of_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wide: bool) -> None:
    pages = open_recording(write_edf(tmp_path / "a.edf", seconds=9, sfreq_hz=100, wide=wide)).pages
    whole, rng = np.asarray(pages), np.random.default_rng(0)
    for batch_bytes, wide_bytes in ((4 << 20, 4 << 20), (1, 4 << 20), (1, 1)):
        monkeypatch.setattr(edf_samples, "BATCH_BYTES", batch_bytes)
        monkeypatch.setattr(edf_samples, "WIDE_BYTES", wide_bytes)
        for start, stop in np.sort(rng.integers(0, 901, (20, 2)), axis=1):
            rows = rng.permutation(19)[:3].tolist()
            np.testing.assert_array_equal(pages[rows, start:stop], whole[rows, start:stop])


def test_a_gap_keeps_its_place_in_time(tmp_path: Path) -> None:
    path = write_edf(tmp_path / "a.edf", seconds=6, annotations=((1.5, 0.5, "spike"), (21.0, 0.0, "seizure")))
    straight = eeg.load([path])
    broken = eeg.load([move_records(path, [0, 1, 2, 20, 21, 40.5])])
    assert broken.gaps == ((3.0, 17.0), (22.0, 18.5))
    assert broken.segments == ((0, 384), (2560, 2816), (5184, 5312))
    assert [flag.code for flag in broken.flags] == ["eeg.gaps"]
    volts = np.asarray(broken.volts)
    kept = np.concatenate([volts[:, a:b] for a, b in broken.segments], axis=1)
    np.testing.assert_array_equal(kept, straight.volts)
    assert np.isnan(volts).sum() == volts.size - kept.size
    assert (1.5, 0.5, "spike") in broken.annotations
    assert (21.0, 0.0, "seizure") in broken.events


def test_a_file_that_calls_itself_continuous_and_is_not_is_refused(tmp_path: Path) -> None:
    path = move_records(write_edf(tmp_path / "a.edf", seconds=4), [0, 1, 7, 8])
    assert code_of(patch(path, 192, b"EDF+C")) == "eeg.times"


@pytest.mark.parametrize(
    ("unit", "volts"), [(b"mV", 1e-3), (b"V", 1.0), (b"nV", 1e-9), (b"\xb5V", 1e-6), (b"uV", 1e-6)]
)
def test_every_unit_of_voltage_comes_out_in_volts(tmp_path: Path, unit: bytes, volts: float) -> None:
    path = write_edf(tmp_path / "a.edf", ["Cz", "Pz"], scale=30e-6 / volts)
    plain = 30e-6 / volts * np.random.default_rng(0).standard_normal(512)
    for signal in (0, 1):
        field(path, "unit", signal, unit)
    np.testing.assert_allclose(np.asarray(eeg.load([path]).volts)[0], plain * volts, atol=2e-8)


def test_channels_of_another_rate_are_left_out_and_said(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).standard_normal
    rates = {"C3": 256, "C4": 256, "Cz": 512, "EOG": 128}
    signals = [edfio.EdfSignal(30 * noise(4 * hz), hz, label=label, physical_dimension="uV", physical_range=(-300, 300))
               for label, hz in rates.items()]  # fmt: skip
    edfio.Edf(signals).write(tmp_path / "a.edf")
    signal = eeg.load([tmp_path / "a.edf"])
    assert (signal.channels, signal.sfreq_hz, signal.others) == (("C3", "C4"), 256.0, (("EOG", "eog"),))
    assert [flag.code for flag in signal.flags] == ["eeg.mixed_rates"]


def test_a_channel_of_another_scale_than_all_others_is_said(tmp_path: Path) -> None:
    path = field(write_edf(tmp_path / "a.edf"), "physical_max", 3, b"303")
    (flag,) = eeg.load([path]).flags
    assert (flag.code, flag.why.partition(":")[0]) == ("eeg.odd_range", "F3")


def test_two_start_dates_that_disagree_are_both_dropped(tmp_path: Path) -> None:
    path = patch(write_edf(tmp_path / "a.edf"), 168, b"05.03.21")
    opened = open_recording(path)
    assert opened.start is None
    assert [flag.code for flag in opened.flags] == ["eeg.start_disagrees"]


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = write_edf(tmp_path / "a.edf")
    pages = open_recording(path).pages
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(EvidenceError) as caught:
        pages[:, 0:10]
    assert caught.value.code == "eeg.changed"


def test_a_recording_that_was_not_closed_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = patch(write_edf(tmp_path / "a.edf"), 236, b"-1      ")
    path.write_bytes(path.read_bytes()[:-100])
    signal = eeg.load([path])
    assert signal.volts.shape == (19, 384)
    assert [flag.code for flag in signal.flags] == ["eeg.not_closed"]


def test_too_many_records_and_too_many_values_are_refused_at_once(tmp_path: Path) -> None:
    path = write_edf(tmp_path / "a.edf")
    data = path.read_bytes()
    parts = parts_of(data)
    records = 600_000
    path.write_bytes(patch(path, 236, b"%-8d" % records).read_bytes()[: parts.header])
    with path.open("r+b") as file:
        file.truncate(parts.header + records * parts.record)  # a file of holes
    assert read_edf_header(path).n_records == records
    assert code_of(path) == "eeg.too_long"


def test_the_names_of_a_file_are_in_its_own_order(tmp_path: Path) -> None:
    labels = TEN_TWENTY[::-1]
    assert len(eeg.load([write_edf(tmp_path / "a.edf", labels)]).channels) == 19
    assert eeg.load([tmp_path / "a.edf"]).channels[-1] == "Fp1"
