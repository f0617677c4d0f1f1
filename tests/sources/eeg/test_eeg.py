from datetime import UTC, date, datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo

import edfio
import numpy as np
import pytest

from clinic_mm.errors import EvidenceError
from clinic_mm.sources.eeg import recording as eeg
from clinic_mm.sources.eeg import vendor as eeg_vendor
from clinic_mm.sources.walk import FileKind, sniff, walk
from clinic_mm.types import Evidence, Rejected
from tests.sources.eeg.edf_files import TEN_TWENTY, patch, write_edf

BERLIN = ZoneInfo("Europe/Berlin")
NEW_NAMES = {"T3": "T7", "T4": "T8", "T5": "P7", "T6": "P8"}
FORMATS = {  # file: EEG channels, rate in Hz, duration in s, annotations
    "bdf/biosemi_73ch.bdf": (66, 2048, 1.0, 0),
    "bdf/psg_19ch_annotations.bdf": (12, 125, 247.0, 10),
    "brainvision/test.vhdr": (26, 1000, 7.9, 13),
    "edf/eegmmidb_64ch_T0T1T2.edf": (64, 128, 124.0, 38),
    "edf/mne_test_139ch.edf": (136, 512, 6.0, 5),
    "edf/natus_xlspike_3ch.edf": (3, 512, 5.0, 2),
    "edf/nk_MB0400FU.edf": (21, 200, 29.0, 2),
    "edf/nk_chtypes_42ch.edf": (29, 200, 5.0, 5),
    "eeglab/eeglab_data.set": (30, 128, 238.312, 154),
    "fif/test_bin_raw.fif": (32, 1000, 7.9, 0),
    "nihonkohden/MB0400FU.EEG": (21, 200, 29.0, 2),
}


def code_of_loading(path: Path) -> str:
    with pytest.raises(EvidenceError) as caught:
        eeg.load([path])
    assert str(path.parent) not in str(caught.value)
    return caught.value.code


@pytest.mark.realdata
def test_every_format_of_a_folder_is_found_and_opens_as_its_source_says(data: Path) -> None:
    root = data / "eeg" / "formats"
    files = [path for path in walk(root) if sniff(path) in {FileKind.EEG, FileKind.SIDE}]
    found = {}
    for one in eeg.find_eeg(root, "formats", files, BERLIN):
        assert isinstance(one.finding, Evidence)
        signal = eeg.load([root / path for path in one.finding.paths])
        assert one.finding.meta["n_channels"] == len(signal.channels) == len(signal.volts)
        assert signal.volts.dtype == np.float32
        assert 1e-6 < np.median(signal.volts.std(axis=1)) < 1e-3
        length_s = signal.volts.shape[1] / signal.sfreq_hz
        found[one.finding.paths[0]] = (
            len(signal.channels), signal.sfreq_hz, pytest.approx(length_s, abs=1e-3), len(signal.annotations)
        )  # fmt: skip
    assert found == FORMATS


@pytest.mark.realdata
def test_nihon_kohdens_own_files_and_its_edf_export_agree(data: Path) -> None:
    root = data / "eeg" / "formats"
    native = eeg.load(sorted((root / "nihonkohden").iterdir()))
    export = eeg.load([root / "edf" / "nk_MB0400FU.edf"])
    assert native.channels == export.channels
    assert native.sfreq_hz == export.sfreq_hz
    np.testing.assert_allclose(native.volts, export.volts, atol=2e-8)  # the export rounds to 0.01 µV
    assert native.annotations[1] == export.annotations[1] == (pytest.approx(1.14), 0.0, "A1+A2 OFF")


@pytest.mark.realdata
def test_amplifier_plugs_are_not_taken_for_positions(data: Path) -> None:
    signal = eeg.load([data / "eeg" / "formats" / "edf" / "mne_test_139ch.edf"])
    assert not {"C3", "F3", "A1"} & set(signal.channels)
    codes = [flag.code for flag in signal.flags]
    assert codes == ["eeg.bank_labels", "eeg.beyond_range", "eeg.line_noise"]  # its header says 0 to 100 of all values


def test_volts_names_and_annotations_come_back_as_written(tmp_path: Path) -> None:
    path = write_edf(tmp_path / "a.edf", [f"EEG {name.upper()}-REF" for name in TEN_TWENTY] + ["ECG EKG", "SpO2"])
    signal = eeg.load([path])
    assert signal.channels == tuple(NEW_NAMES.get(name, name) for name in TEN_TWENTY)
    written = edfio.read_edf(path)
    np.testing.assert_allclose(signal.volts[3] * 1e6, written.signals[3].data, atol=1e-3)
    assert signal.annotations == ((1.5, 0.5, "spike"),)
    assert signal.flags == ()


def test_a_faster_ecg_does_not_force_the_eeg_to_its_rate(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).standard_normal
    signals = [edfio.EdfSignal(30 * noise(4 * hz), hz, label=label, physical_dimension="uV", physical_range=(-300, 300))
               for label, hz in (("C3", 128), ("ECG", 512))]  # fmt: skip
    edfio.Edf(signals).write(tmp_path / "a.edf")
    signal = eeg.load([tmp_path / "a.edf"])
    assert (signal.channels, signal.sfreq_hz, signal.volts.shape) == (("C3",), 128.0, (1, 512))


def test_a_recording_needs_no_suffix(tmp_path: Path) -> None:
    path = write_edf(tmp_path / "IM00012")
    assert eeg.load([path]).volts.shape == (19, 512)


def test_a_header_gives_patient_and_site_time(tmp_path: Path) -> None:
    path = write_edf(tmp_path / "a.edf")
    (found,) = eeg.find_eeg(tmp_path, "site", [path], BERLIN)
    assert isinstance(found.finding, Evidence)
    assert found.patient_id == "case_7"
    assert found.finding.acquired_at == datetime(2021, 3, 4, 8, 30, tzinfo=UTC)
    assert found.finding.meta == {"sfreq_hz": 128.0, "n_channels": 19, "duration_s": 4.0}
    assert len(found.finding.content_hash) == 64


def test_an_anonymised_header_gives_neither(tmp_path: Path) -> None:
    path = write_edf(tmp_path / "a.edf", patient=edfio.Patient(), start=(date(1985, 1, 1), time(0)))
    (found,) = eeg.find_eeg(tmp_path, "site", [path], BERLIN)
    assert isinstance(found.finding, Evidence)
    assert (found.patient_id, found.finding.acquired_at) == ("", None)


def test_a_name_in_a_plain_edf_is_no_patient_code(tmp_path: Path) -> None:
    path = patch(write_edf(tmp_path / "a.edf"), 8, b"Doe, Jane".ljust(80))
    (found,) = eeg.find_eeg(tmp_path, "site", [path], BERLIN)
    assert found.patient_id == ""


@pytest.mark.parametrize(
    ("at", "content", "code"),
    [
        (236, b"5       ", "eeg.truncated"),
        (236, b"3       ", "eeg.size"),
        (236, b"0       ", "eeg.no_duration"),
        (244, b"-1      ", "eeg.no_duration"),
        (244, b"nan     ", "eeg.header"),
        (244, b"1_0     ", "eeg.header"),
        (252, b"zz  ", "eeg.header"),
        (184, b"512     ", "eeg.header"),
        (192, b"EDF+D", "eeg.times"),
        (256 + 20 * 104, b"300     ", "eeg.range"),
        (256 + 20 * 120, b"40000   ", "eeg.range"),
    ],
)
def test_a_header_that_cannot_be_true_is_refused(tmp_path: Path, at: int, content: bytes, code: str) -> None:
    path = write_edf(tmp_path / "a.edf")
    if code == "eeg.times":  # the fourth record begins before the third
        whole = path.read_bytes()
        path.write_bytes(whole.replace(b"+2\x14\x14", b"+9\x14\x14"))
    assert code_of_loading(patch(path, at, content)) == code


def test_a_file_cut_short_or_mangled_in_transfer_is_refused(tmp_path: Path) -> None:
    whole = write_edf(tmp_path / "a.edf").read_bytes()
    (tmp_path / "a.edf").write_bytes(whole[:-100])
    assert code_of_loading(tmp_path / "a.edf") == "eeg.truncated"
    (tmp_path / "a.edf").write_bytes(whole.replace(b"\n", b"\r\n"))
    assert code_of_loading(tmp_path / "a.edf") == "eeg.size"


def test_microvolts_that_are_called_volts_are_refused(tmp_path: Path) -> None:
    assert code_of_loading(write_edf(tmp_path / "a.edf", unit="V")) == "eeg.scale"


def test_a_unit_that_is_not_voltage_is_never_guessed(tmp_path: Path) -> None:
    assert code_of_loading(write_edf(tmp_path / "a.edf", unit="")) == "eeg.no_eeg_channels"


def test_without_eeg_channels_there_is_no_eeg(tmp_path: Path) -> None:
    assert code_of_loading(write_edf(tmp_path / "a.edf", ["ECG", "EMG chin", "SpO2"])) == "eeg.no_eeg_channels"


def test_flat_channels_are_flagged_and_a_flat_recording_refused(tmp_path: Path) -> None:
    path = write_edf(tmp_path / "a.edf", ["C3", "C4"])
    edf = edfio.read_edf(path)
    edf.signals[0].update_data(np.zeros(512), keep_physical_range=True)
    edf.write(path)
    assert [flag.code for flag in eeg.load([path]).flags] == ["eeg.flat_channel"]
    edf.signals[1].update_data(np.zeros(512), keep_physical_range=True)
    edf.write(path)
    assert code_of_loading(path) == "eeg.flat"


def test_one_bad_recording_does_not_hide_the_others(tmp_path: Path) -> None:
    good = write_edf(tmp_path / "b.edf")
    bad = tmp_path / "a.edf"
    bad.write_bytes(good.read_bytes()[:-7])
    junk = tmp_path / "c.eeg"
    junk.write_bytes(b"\0" * 100)
    findings = [found.finding for found in eeg.find_eeg(tmp_path, "r", [bad, good, junk], UTC)]
    assert [one.status for one in findings] == ["rejected", "present", "rejected"]
    assert [one.code for one in findings if isinstance(one, Rejected)] == ["eeg.truncated", "eeg.format"]


@pytest.mark.realdata
def test_a_brainvision_header_without_its_samples_says_what_is_missing(data: Path, tmp_path: Path) -> None:
    header = tmp_path / "test.vhdr"
    header.write_bytes((data / "eeg/formats/brainvision/test.vhdr").read_bytes())
    assert code_of_loading(header) == "eeg.companion"
    header.write_bytes(header.read_bytes().replace(b"DataFile=test.eeg", b"DataFile=../x.eeg"))
    assert code_of_loading(header) == "eeg.companion"


@pytest.mark.realdata
def test_a_fif_whose_tags_run_in_a_circle_ends(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eeg_vendor, "SECONDS", 1.0)
    eeg_vendor.close()
    path = tmp_path / "a.fif"
    path.write_bytes((data / "eeg/formats/fif/test_bin_raw.fif").read_bytes())
    # Without a directory (its pointer, at 52, is -1) the tags are followed one by one; the third points to itself.
    patch(path, 52, b"\xff\xff\xff\xff")
    assert code_of_loading(patch(path, 56 + 12, (56).to_bytes(4, "big"))) == "eeg.unreadable"
    eeg_vendor.close()


def test_a_recording_whose_name_is_no_text_is_refused_by_a_name_that_can_be_printed(tmp_path: Path) -> None:
    path = tmp_path / "a.edf"
    write_edf(path)
    path = path.rename(tmp_path / b"odd-\xff.edf".decode(errors="surrogateescape"))
    (found,) = eeg.find_eeg(tmp_path, "site", [path], BERLIN)
    assert isinstance(found.finding, Rejected)
    assert found.finding.code == "file.name"
    assert found.finding.model_dump_json()
