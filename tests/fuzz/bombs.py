"""Files that are small and become large, deep or endless when somebody opens them.

In:  a folder. Out: one hostile file or link in it. All are made here; none is kept.
"""

import gzip
import json
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Final

import nibabel as nib
import numpy as np
from pydicom import uid

from tests.fuzz.dicom_lies import take
from tests.fuzz.frames import frame_of
from tests.fuzz.seeds import radiograph
from tests.sources.eeg.edf_files import write_edf
from tests.sources.made import write_radiograph

DEPTH: Final = 100_000
GIGABYTE: Final = 2**30
BLOCK: Final = 2**22
PATIENT: Final = b'{"resourceType":"Patient","id":"p1","birthDate":"1950-05-05"}'


def deflated_dicom(folder: Path) -> None:
    taken = take(radiograph(uid.DeflatedExplicitVRLittleEndian))
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    packed = packer.compress(taken.body[: taken.pixels_at])
    (folder / "a.dcm").write_bytes(taken.before + packed + _zeros(packer, GIGABYTE))


def long_dicom_element(folder: Path) -> None:
    taken = take(radiograph(uid.DeflatedExplicitVRLittleEndian))
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    huge = b"\x09\0\x10\x10UN\0\0" + struct.pack("<L", GIGABYTE)
    (folder / "a.dcm").write_bytes(taken.before + packer.compress(huge) + _zeros(packer, GIGABYTE))


def nested_dicom(folder: Path) -> None:
    taken = take(radiograph(uid.ExplicitVRLittleEndian))
    deep = b"\x08\0\x06\0SQ\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff" * DEPTH
    (folder / "a.dcm").write_bytes(taken.before + deep + taken.body)


def nested_private_dicom(folder: Path) -> None:
    taken = take(radiograph(uid.ImplicitVRLittleEndian))
    deep = b"\x09\0\x10\x10\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff" * DEPTH
    at = next(e.start for e in taken.elements if e.tag >> 16 > 9)
    (folder / "a.dcm").write_bytes(taken.before + taken.body[:at] + deep + taken.body[at:])


def wide_codestream(folder: Path) -> None:
    """A picture of 40 × 48 around a JPEG 2000 codestream that says 30,000 × 30,000."""
    data, codestream = frame_of("JPEG 2000 (OpenJPEG)")
    wide = codestream[:8] + struct.pack(">4L", 30_000, 30_000, 0, 0) + struct.pack(">2L", 30_000, 30_000)
    (folder / "a.dcm").write_bytes(data.replace(codestream, wide + codestream[32:]))


def wide_header_and_codestream(folder: Path) -> None:
    data, codestream = frame_of("JPEG 2000 (OpenJPEG)")
    wide = codestream[:8] + struct.pack(">4L", 30_000, 30_000, 0, 0) + struct.pack(">2L", 30_000, 30_000)
    data = data.replace(codestream, wide + codestream[32:])
    for keyword in (b"\x28\0\x10\0US\2\0", b"\x28\0\x11\0US\2\0"):
        at = data.index(keyword) + 8
        data = data[:at] + struct.pack("<H", 30_000) + data[at + 2 :]
    (folder / "a.dcm").write_bytes(data)


def many_frames(folder: Path) -> None:
    write_radiograph(folder / "a.dcm", np.zeros((64, 64), np.uint16), NumberOfFrames="999999")


def png_of_zeros(folder: Path, side: int = 30_000) -> None:
    packer = zlib.compressobj(9)
    size = struct.pack(">2L5B", side, side, 8, 0, 0, 0, 0)
    packed = _zeros(packer, min((side + 1) * side, GIGABYTE))
    parts = [(b"IHDR", size), (b"IDAT", packed), (b"IEND", b"")]
    (folder / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*part) for part in parts))


def png_of_text(folder: Path) -> None:
    packer = zlib.compressobj(9)
    text = b"Comment\0\0" + _zeros(packer, GIGABYTE // 4)
    parts = [(b"IHDR", struct.pack(">2L5B", 8, 8, 8, 0, 0, 0, 0)), (b"zTXt", text)]
    parts += [(b"IDAT", zlib.compress(bytes(72))), (b"IEND", b"")]
    (folder / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*part) for part in parts))


def nifti_that_unpacks(folder: Path) -> None:
    """1.5 GB of zeros behind a header that says so."""
    image = nib.Nifti1Image(np.zeros((4, 4, 4), np.float32), np.eye(4))
    image.header.set_data_shape((640, 640, 960))
    packer = zlib.compressobj(9, wbits=31)
    head = packer.compress(bytes(image.header.binaryblock) + bytes(4))
    (folder / "a.nii.gz").write_bytes(head + _zeros(packer, 640 * 640 * 960 * 4))


def ndjson_that_unpacks(folder: Path) -> None:
    """One gigabyte of lines that say nothing."""
    block = (b'{"resourceType":"Basic"}' + b" " * 4000 + b"\n") * 1000
    member = gzip.compress(block)
    (folder / "Patient.ndjson.gz").write_bytes(gzip.compress(PATIENT + b"\n") + member * (GIGABYTE // len(block)))


def ndjson_of_one_line(folder: Path) -> None:
    packer = zlib.compressobj(9, wbits=31)
    head = packer.compress(PATIENT + b'\n{"resourceType":"Basic","id":"')
    (folder / "Patient.ndjson.gz").write_bytes(head + _zeros(packer, GIGABYTE))


def nested_json(folder: Path) -> None:
    (folder / "a.json").write_bytes(
        b'{"resourceType":"Bundle","type":"batch","entry":' + b"[" * DEPTH + b"]" * DEPTH + b"}"
    )


def nested_ndjson(folder: Path) -> None:
    (folder / "a.ndjson").write_bytes(
        PATIENT + b'\n{"resourceType":"Observation","x":' + b'{"x":' * DEPTH + b"1" + b"}" * (DEPTH + 1)
    )


def nested_extensions(folder: Path) -> None:
    """Deep, but within what a JSON parser takes."""
    deep: object = "x"
    for _ in range(480):
        deep = [{"url": "u", "extension": deep}]
    text = json.dumps({"resourceType": "Patient", "id": "p1", "birthDate": "1950-05-05", "extension": deep})
    (folder / "a.json").write_text(text)


def nested_xml(folder: Path) -> None:
    (folder / "a.xml").write_bytes(
        b'<Bundle xmlns="http://hl7.org/fhir">' + b"<entry>" * DEPTH + b"</entry>" * DEPTH + b"</Bundle>"
    )


def laughing_xml(folder: Path) -> None:
    """Ten entities, each ten times the one before."""
    names = "abcdefghij"
    entities = "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in pairwise(names))
    doctype = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "ha">{entities}]>'
    (folder / "a.xml").write_text(f'{doctype}<Bundle xmlns="http://hl7.org/fhir">&j;</Bundle>')


def zip_slip(folder: Path) -> None:
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        archive.writestr("../../escaped.dcm", radiograph(uid.ExplicitVRLittleEndian))


def zip_of_zeros(folder: Path) -> None:
    with zipfile.ZipFile(folder / "a.dcm.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.dcm", bytes(GIGABYTE // 8))


def link_out(folder: Path) -> None:
    outside = folder.parent / "outside.dcm"
    outside.write_bytes(radiograph(uid.ExplicitVRLittleEndian))
    (folder / "a.dcm").symlink_to(outside)


def link_circle(folder: Path) -> None:
    (folder / "a.dcm").symlink_to(folder / "b.dcm")
    (folder / "b.dcm").symlink_to(folder / "a.dcm")
    (folder / "deeper").symlink_to(folder)


def link_to_zeros(folder: Path) -> None:
    (folder / "a.dcm").symlink_to("/dev/zero")


def pipe(folder: Path) -> None:
    os.mkfifo(folder / "a.dcm")


def sparse(name: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        os.truncate(_touch(folder / name), 20 * GIGABYTE)

    return write


def sparse_dicom(folder: Path) -> None:
    """A valid radiograph with 400 MB of nothing behind it."""
    path = folder / "a.dcm"
    path.write_bytes(radiograph(uid.ExplicitVRLittleEndian))
    os.truncate(path, 400 * 2**20)


def sparse_edf(folder: Path) -> None:
    os.truncate(write_edf(folder / "a.edf"), 20 * GIGABYTE)


def name_of_bytes(folder: Path) -> None:
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff\xfe.dcm")).write_bytes(radiograph(uid.ExplicitVRLittleEndian))


def _touch(path: Path) -> Path:
    path.touch()
    return path


def _zeros(packer: "zlib._Compress", size: int) -> bytes:
    """Blocks that stand alone, so that one is packed and the others are its copies; only the checksum is wrong."""
    one = packer.compress(bytes(BLOCK)) + packer.flush(zlib.Z_FULL_FLUSH)
    again = packer.compress(bytes(BLOCK)) + packer.flush(zlib.Z_FULL_FLUSH)
    return one + again * (size // BLOCK - 1) + packer.flush()


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">L", len(data)) + name + data + struct.pack(">L", zlib.crc32(name + data))


BOMBS: Final[dict[str, Callable[[Path], None]]] = {
    "deflated DICOM that unpacks to 1 GB": deflated_dicom,
    "deflated DICOM with one element of 1 GB": long_dicom_element,
    "DICOM sequences 100,000 deep": nested_dicom,
    "private DICOM sequences 100,000 deep": nested_private_dicom,
    "JPEG 2000 of 30,000 × 30,000 in a header of 40 × 48": wide_codestream,
    "JPEG 2000 of 30,000 × 30,000, header and codestream": wide_header_and_codestream,
    "DICOM of 999,999 frames": many_frames,
    "PNG of 30,000 × 30,000 zeros": png_of_zeros,
    "PNG with 256 MB of packed text": png_of_text,
    "NIfTI of 1.5 GB in 1.5 MB": nifti_that_unpacks,
    "NDJSON of 1 GB in packed lines": ndjson_that_unpacks,
    "NDJSON of one packed line of 1 GB": ndjson_of_one_line,
    "JSON 100,000 deep": nested_json,
    "NDJSON 100,000 deep": nested_ndjson,
    "XML 100,000 deep": nested_xml,
    "XML with entities that multiply": laughing_xml,
    "zip with a member that leads out": zip_slip,
    "zip of zeros": zip_of_zeros,
    "link out of the folder": link_out,
    "links in a circle": link_circle,
    "link to /dev/zero": link_to_zeros,
    "named pipe": pipe,
    "DICOM name, 20 GB of nothing": sparse("a.dcm"),
    "NDJSON name, 20 GB of nothing": sparse("a.ndjson"),
    "text name, 20 GB of nothing": sparse("a.txt"),
    "table name, 20 GB of nothing": sparse("a.csv"),
    "NIfTI name, 20 GB of nothing": sparse("a.nii"),
    "EDF name, 20 GB of nothing": sparse("a.edf"),
    "picture name, 20 GB of nothing": sparse("a.png"),
    "Parquet name, 20 GB of nothing": sparse("a.parquet"),
    "radiograph with 400 MB of nothing behind it": sparse_dicom,
    "EDF with 20 GB of nothing behind it": sparse_edf,
    "file name that is no text": name_of_bytes,
}
