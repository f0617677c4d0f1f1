import os
import socket
from pathlib import Path

import numpy as np
import pytest

from clinic_mm.errors import InputError
from clinic_mm.sources.walk import FileKind, sniff, walk
from tests.sources.made import body, write_series


def test_walk_is_sorted_and_stays_inside(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    root = tmp_path / "root"
    for path in (
        outside / "secret.txt",
        root / "b" / "2.txt",
        root / "a.txt",
        root / ".git" / "x",
        root / "b" / ".hid",
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    (root / "out.txt").symlink_to(outside / "secret.txt")
    (root / "out").symlink_to(outside)
    (root / "loop").symlink_to(root)
    (root / "link.txt").symlink_to(root / "a.txt")
    left_out: list[Path] = []
    assert [p.relative_to(root).as_posix() for p in walk(root, left_out)] == ["a.txt", "link.txt", "b/2.txt"]
    assert {path.name for path in left_out} == {"out.txt", "out", "loop"}


def test_what_has_no_end_is_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.dcm")
    (tmp_path / "zeros.dcm").symlink_to("/dev/zero")
    (tmp_path / "circle.dcm").symlink_to(tmp_path / "circle.dcm")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket.dcm"))
        left_out: list[Path] = []
        assert list(walk(tmp_path, left_out)) == []
    assert len(left_out) == 4


def test_walk_refuses_what_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        list(walk(tmp_path / "nowhere"))


def test_content_goes_before_suffix(tmp_path: Path) -> None:
    series = write_series(tmp_path, body(3), ["IM0", "scan.png", "x.txt"])
    assert {sniff(path) for path in series} == {FileKind.DICOM}
    assert sniff(_write(tmp_path / "xray.dcm", b"\x89PNG\r\n\x1a\n")) is FileKind.PICTURE


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 100", FileKind.DICOM),
        (b"\x08\x00\x00\x00\x04\x00\x00\x00\x10\x01\x00\x00", FileKind.DICOM),
        (b"0       " + b" " * 176 + b"768     ", FileKind.EEG),
        (b"\xffBIOSEMI", FileKind.EEG),
        (b"\xff\xd8\xff\xe0", FileKind.PICTURE),
        (b"plain words", FileKind.UNKNOWN),
        (b"", FileKind.UNKNOWN),
    ],
)
def test_first_bytes_without_a_suffix(tmp_path: Path, start: bytes, kind: FileKind) -> None:
    assert sniff(_write(tmp_path / "file", start)) is kind


def test_json_is_fhir_only_where_it_names_a_resource(tmp_path: Path) -> None:
    assert sniff(_write(tmp_path / "a.json", b'{"resourceType": "Bundle"}')) is FileKind.FHIR
    assert sniff(_write(tmp_path / "b.json", b'{"name": "settings"}')) is FileKind.UNKNOWN


def test_samples_of_brainvision_are_not_a_nihon_kohden_recording(tmp_path: Path) -> None:
    samples = _write(tmp_path / "night.eeg", np.zeros(40, "<i2").tobytes())
    assert sniff(samples) is FileKind.EEG
    header = _write(tmp_path / "renamed.vhdr", b"Brain Vision Data Exchange Header File\nDataFile=night.eeg\n")
    assert sniff(samples) is FileKind.SIDE
    header.rename(tmp_path / "night.vhdr")
    assert sniff(samples) is FileKind.SIDE


@pytest.mark.realdata
def test_every_real_file_gets_the_kind_of_its_folder(data: Path) -> None:
    for folder, kind in {
        "dicom_syntax": FileKind.DICOM,
        "xray_dicom": FileKind.DICOM,
        "fhir/synthea_r4": FileKind.FHIR,
    }.items():
        files = [path for path in walk(data / folder) if path.suffix != ".csv"]
        assert {sniff(path) for path in files} == {kind}
    recordings = [path.suffix.lower() for path in walk(data / "eeg" / "formats") if sniff(path) is FileKind.EEG]
    assert set(recordings) == {".edf", ".bdf", ".vhdr", ".set", ".fif", ".eeg"}


def _write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path
