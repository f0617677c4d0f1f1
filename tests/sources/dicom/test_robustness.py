"""Every hard, corrupted or hostile file: told, found and loaded, or refused with a code; never anything else."""

import csv
import time
import zlib
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from clinic_mm.errors import EvidenceError
from clinic_mm.sources.ct import volume as ct
from clinic_mm.sources.dicom.find import find_dicom
from clinic_mm.sources.dicom.header import header_of, read_header
from clinic_mm.sources.dicom.pixels import decode
from clinic_mm.sources.dicom.stream import open_dicom
from clinic_mm.sources.found import Found
from clinic_mm.sources.walk import FileKind, sniff, walk
from clinic_mm.sources.xray import image as xray
from clinic_mm.sources.xray.pictures import find_pictures
from clinic_mm.types import Evidence
from tests.sources.made import body, write_series

BERLIN = ZoneInfo("Europe/Berlin")
SLOWEST_S = 8.0
LOADERS = {"ct": ct.load, "xray": xray.load}
REFUSED_WORDS = ("reject", "error", "no pixels", "force only", "opens, no pixels", "opens, wrong modality")


def outcomes(root: Path, path: Path) -> list[str]:
    """`loaded` or the code, once for the finder and loader, once for the decoder alone."""
    kind = sniff(path)
    found: list[Found] = []
    if kind is FileKind.DICOM:
        found = list(find_dicom(root, "r", [path], BERLIN))
    elif kind is FileKind.PICTURE:
        found = list(find_pictures(root, "r", [path], BERLIN))
    results = [kind.value] if kind is FileKind.UNKNOWN else []
    for one in found:
        if isinstance(one.finding, Evidence):
            results.append(_attempt(lambda one=one: LOADERS[one.finding.modality]([path])))
        else:
            results.append(one.finding.code)
    if kind is FileKind.DICOM:
        _attempt(lambda: _pixels(path))
        for load in LOADERS.values():
            _attempt(lambda load=load: load([path]))
    return results


def _pixels(path: Path) -> None:
    opened = open_dicom(path)
    header = header_of(path, opened)
    decode(opened.stream, header.pixels, header.padding)


def _attempt(action: object) -> str:
    try:
        action()  # type: ignore[operator]
    except EvidenceError as error:
        return error.code
    return "loaded"


@pytest.mark.realdata
def test_every_hard_file_is_read_or_refused_in_bounded_time(data: Path) -> None:
    root = data / "robustness" / "dicom"
    with (data / "MANIFEST.csv").open() as file:
        expected = {row["file"]: row["expected"] for row in csv.DictReader(file)}
    seen = {}
    for path in walk(root):
        started = time.monotonic()
        seen[path.relative_to(data).as_posix()] = outcomes(root, path)
        assert time.monotonic() - started < SLOWEST_S, path.name
    assert len(seen) > 150
    wrong = {
        name: result for name, result in seen.items() if expected[name].startswith(REFUSED_WORDS) and "loaded" in result
    }
    assert wrong == {}
    assert seen["robustness/dicom/generated/png_16bit.png"] == ["loaded"]


@pytest.mark.realdata
def test_a_mixed_folder_of_hard_files_yields_findings_only(data: Path) -> None:
    root = data / "robustness" / "dicom"
    files = [path for path in walk(root) if sniff(path) is FileKind.DICOM]
    findings = list(find_dicom(root, "r", files, BERLIN))
    assert sum(len(one.finding.paths) for one in findings) >= len(files) - 30  # copies of a slice are named once


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["generated/phi_fictional.dcm", "deid/ctbrain1.dcm", "generated/xss_name.dcm"])
def test_no_finding_repeats_a_name(data: Path, name: str) -> None:
    root = data / "robustness" / "dicom"
    path = root / name
    (one,) = find_dicom(root, "r", [path], BERLIN)
    text = one.finding.model_dump_json() + repr(read_header(path))
    raw = open_dicom(path).dataset
    for part in f"{raw.get('PatientName', '')}^{raw.get('PatientID', '')}".split("^"):
        assert len(part) < 3 or part not in text


def test_a_deflated_bomb_is_refused_early(tmp_path: Path) -> None:
    (source,) = write_series(tmp_path, body(1), syntax="1.2.840.10008.1.2.1.99")
    whole = source.read_bytes()
    start = whole.index(b"1.2.840.10008.1.2.1.99") + 22
    packer = zlib.compressobj(1, wbits=-15)
    bomb = b"".join(packer.compress(bytes(2**24)) for _ in range(12)) + packer.flush()
    source.write_bytes(whole[:start] + bomb)
    with pytest.raises(EvidenceError) as caught:
        read_header(source)
    assert caught.value.code == "dicom.too_large"


def test_nested_sequences_and_lying_lengths_are_refused(tmp_path: Path) -> None:
    (source,) = write_series(tmp_path, body(1))
    whole = source.read_bytes()
    start = whole.index(b"\x08\x00\x08\x00CS")
    nested = b"\x08\x00\x06\x00SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * 3000
    source.write_bytes(whole[:start] + nested + whole[start:])
    with pytest.raises(EvidenceError) as caught:
        read_header(source)
    assert caught.value.code in {"dicom.nested", "dicom.unreadable"}
    source.write_bytes(whole[:start] + b"\x08\x00\x05\x00UT\0\0\xf0\xff\xff\xff" + whole[start:])
    with pytest.raises(EvidenceError):
        read_header(source)


def test_a_header_beyond_the_first_look_is_still_read(tmp_path: Path) -> None:
    files = write_series(tmp_path, body(4), TextValue="x" * 700_000)
    np.testing.assert_array_equal(ct.load(files).hu.shape, (10, 8, 4))
    (one,) = find_dicom(tmp_path, "r", files, BERLIN)
    assert isinstance(one.finding, Evidence)


@pytest.mark.parametrize("seed", range(3))
def test_mutated_headers_end_in_a_header_or_our_error(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    (source,) = write_series(tmp_path, body(1))
    whole = source.read_bytes()
    for _ in range(150):
        mutated = bytearray(whole)
        for place in rng.integers(132, 700, 3):
            mutated[place] = rng.integers(256)
        source.write_bytes(bytes(mutated[: rng.integers(140, len(whole) + 1)]))
        list(find_dicom(tmp_path, "r", [source], BERLIN))
        outcomes(tmp_path, source)
