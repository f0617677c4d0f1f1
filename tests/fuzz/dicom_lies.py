"""Damage DICOM where DICOM is vulnerable: lengths, tags, types, values, nesting, transfer syntax, fragments.

In:  the bytes of a valid file and a random generator. Out: the name of what was done, whether it was done to the header
     or to the pixels, and other bytes; deflated files are inflated, damaged and deflated again.
"""

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Final

import numpy as np
from pydicom.datadict import tag_for_keyword
from pydicom.filereader import read_dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from tests.fuzz.mutate import mutate
from tests.fuzz.seeds import SYNTAXES

LONG_VRS: Final = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})
VRS: Final = (
    "AS",
    "CS",
    "DA",
    "DS",
    "FD",
    "IS",
    "LO",
    "OB",
    "OW",
    "PN",
    "SQ",
    "SS",
    "UI",
    "UL",
    "UN",
    "US",
    "UT",
    "ZZ",
)
ITEM, DELIMITER = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
NUMBERS: Final = ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "SamplesPerPixel")
TEXTS: Final = (
    "PixelSpacing",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "RescaleSlope",
    "RescaleIntercept",
    "SliceThickness",
    "SpacingBetweenSlices",
    "WindowCenter",
    "WindowWidth",
    "PatientID",
    "SeriesInstanceUID",
    "StudyInstanceUID",
    "SOPClassUID",
    "Modality",
    "StudyDate",
    "AcquisitionDate",
    "AcquisitionTime",
    "PhotometricInterpretation",
    "InstanceNumber",
    "ImageType",
)


@dataclass(frozen=True, slots=True)
class Element:
    """Where one element of the top level lies in the bytes."""

    tag: int
    start: int
    length_at: int
    length_bytes: int
    value_at: int
    end: int


@dataclass(frozen=True, slots=True)
class Taken:
    """A file taken apart: what stands before the data set, the data set itself, and its elements."""

    syntax: str
    before: bytes
    body: bytes
    elements: tuple[Element, ...]
    pixels_at: int

    @property
    def order(self) -> str:
        """Byte order, as `struct` writes it."""
        return ">" if self.syntax == ExplicitVRBigEndian else "<"

    def together(self, body: bytes, before: bytes | None = None) -> bytes:
        """The file with another body."""
        if self.syntax == DeflatedExplicitVRLittleEndian:
            packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
            body = packer.compress(body) + packer.flush()
        return (self.before if before is None else before) + body


def take(data: bytes) -> Taken:
    """Take a valid file apart."""
    stream = BytesIO(data)
    stream.seek(132)
    meta = read_dataset(stream, False, True, stop_when=lambda tag, *_: tag >> 16 != 2)
    syntax, before, body = str(meta.TransferSyntaxUID), data[: stream.tell()], data[stream.tell() :]
    if syntax == DeflatedExplicitVRLittleEndian:
        body = zlib.decompress(body, wbits=-zlib.MAX_WBITS)
    implicit = syntax == ImplicitVRLittleEndian
    dataset = read_dataset(BytesIO(body), implicit, syntax != ExplicitVRBigEndian)
    elements = []
    for tag, item in dataset.items():
        wide = not implicit and item.VR in LONG_VRS
        head = 12 if wide else 8
        size = len(item.value or b"")
        value_at = item.value_tell
        start = value_at - head
        elements.append(
            Element(
                int(tag),
                start,
                value_at - (4 if implicit or wide else 2),
                4 if implicit or wide else 2,
                value_at,
                value_at + size,
            )
        )
    return Taken(syntax, before, body, tuple(elements), next(e.start for e in elements if e.tag == 0x7FE00010))


def lie(rng: np.random.Generator, taken: Taken) -> tuple[str, str, bytes]:
    """One lie: its name, `header` or `pixels`, and the file.

    A third is blind damage to the header, a sixth blind damage to the pixels, the rest is aimed.
    """
    chance = rng.random()
    if chance < 1 / 3:
        name, body = mutate(rng, taken.body, (0, taken.pixels_at))
        return name, "header", taken.together(body)
    if chance < 1 / 2:
        name, body = mutate(rng, taken.body, (taken.pixels_at, len(taken.body)))
        return name, "pixels", taken.together(body)
    name = str(rng.choice(list(LIES)))
    return name, "pixels" if name in PIXEL_LIES else "header", LIES[name](rng, taken)


def _pick(rng: np.random.Generator, taken: Taken, keywords: tuple[str, ...] = ()) -> Element:
    tags = {tag_for_keyword(keyword) for keyword in keywords}
    some = [e for e in taken.elements if e.tag < 0x7FE00010 and (not tags or e.tag in tags) and e.end > e.value_at]
    return some[int(rng.integers(len(some)))]


def _length(rng: np.random.Generator, taken: Taken) -> bytes:
    one = taken.elements[int(rng.integers(len(taken.elements)))]
    form = taken.order + ("L" if one.length_bytes == 4 else "H")
    (now,) = struct.unpack(form, taken.body[one.length_at : one.value_at])
    most = 2 ** (8 * one.length_bytes) - 1
    choices = (0, most, most - 1, now + 1, now + 2, now - 2, now * 2, most // 2, int(rng.integers(0, most)))
    told = struct.pack(form, max(0, min(choices[int(rng.integers(len(choices)))], most)))
    return taken.together(taken.body[: one.length_at] + told + taken.body[one.value_at :])


def _tag(rng: np.random.Generator, taken: Taken) -> bytes:
    one, other = _pick(rng, taken), _pick(rng, taken)
    tag = other.tag if rng.random() < 0.5 else int(rng.integers(2**32))
    told = struct.pack(taken.order + "HH", tag >> 16, tag & 0xFFFF)
    return taken.together(taken.body[: one.start] + told + taken.body[one.start + 4 :])


def _type(rng: np.random.Generator, taken: Taken) -> bytes:
    one = _pick(rng, taken)
    told = str(rng.choice(VRS)).encode()
    return taken.together(taken.body[: one.start + 4] + told + taken.body[one.start + 6 :])


def _number(rng: np.random.Generator, taken: Taken) -> bytes:
    one = _pick(rng, taken, NUMBERS)
    values = (0, 1, 2, 3, 8, 12, 16, 20, 32, 40, 64, 80, 0x7FFF, 0xFFFF, int(rng.integers(2**16)))
    told = struct.pack(taken.order + "H", values[int(rng.integers(len(values)))])
    return taken.together(taken.body[: one.value_at] + told + taken.body[one.value_at + 2 :])


def _text(rng: np.random.Generator, taken: Taken) -> bytes:
    """Another value of the same length, mostly one that looks right."""
    one = _pick(rng, taken, TEXTS)
    value = bytearray(taken.body[one.value_at : one.end])
    for at in rng.integers(0, len(value), int(rng.integers(1, 4))):
        value[at] = rng.choice(bytearray(b"0123456789")) if chr(value[at]).isdigit() else value[at]
    if rng.random() < 0.3:
        value[int(rng.integers(len(value)))] = rng.choice(bytearray(b"-.\\ eE+AX\0"))
    return taken.together(taken.body[: one.value_at] + bytes(value) + taken.body[one.end :])


def _nest(rng: np.random.Generator, taken: Taken) -> bytes:
    """An unknown private sequence, nested or without an end."""
    one = _pick(rng, taken)
    group = (one.tag >> 16) - 1 | 1
    start = struct.pack("<HH", group, 0x1010) + (b"" if taken.syntax == ImplicitVRLittleEndian else b"SQ\0\0")
    deep = (start + b"\xff\xff\xff\xff" + ITEM + b"\xff\xff\xff\xff") * int(rng.integers(1, 400))
    return taken.together(taken.body[: one.start] + deep + taken.body[one.start :])


def _syntax(rng: np.random.Generator, taken: Taken) -> bytes:
    """The file meta names another transfer syntax than the body has."""
    others = [*SYNTAXES, "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.201", "1.2.3.4"]
    told = str(rng.choice(others)).encode()
    told += b"\0" * (len(told) % 2)
    at = taken.before.index(b"\x02\0\x10\0UI")
    (now,) = struct.unpack("<H", taken.before[at + 6 : at + 8])
    before = taken.before[: at + 6] + struct.pack("<H", len(told)) + told + taken.before[at + 8 + now :]
    return before + taken.together(taken.body, b"")


def _meta(rng: np.random.Generator, taken: Taken) -> bytes:
    _, before = mutate(rng, taken.before)
    return taken.together(taken.body, before)


def _remove(rng: np.random.Generator, taken: Taken) -> bytes:
    one = _pick(rng, taken)
    return taken.together(taken.body[: one.start] + taken.body[one.end :])


def _double(rng: np.random.Generator, taken: Taken) -> bytes:
    """An element stands there twice, the second time with another value."""
    one = _pick(rng, taken)
    again = bytearray(taken.body[one.start : one.end])
    again[int(rng.integers(one.value_at - one.start, len(again)))] ^= 1
    return taken.together(taken.body[: one.end] + bytes(again) + taken.body[one.end :])


def _fragment(rng: np.random.Generator, taken: Taken) -> bytes:
    """The first fragment says another length; uncompressed pixels get a fragment where none belongs."""
    at = taken.body.find(ITEM, taken.pixels_at + 20)
    if at < 0:
        return taken.together(taken.body[: taken.pixels_at + 12] + ITEM + taken.body[taken.pixels_at + 16 :])
    choices = (0, 1, 2, 0xFFFFFFFF, 0xFFFFFFFE, len(taken.body), int(rng.integers(2**31)))
    told = struct.pack("<L", choices[int(rng.integers(len(choices)))])
    return taken.together(taken.body[: at + 4] + told + taken.body[at + 8 :])


def _ending(rng: np.random.Generator, taken: Taken) -> bytes:
    """What stands behind the pixels: nothing, more of it, or other elements."""
    more = (DELIMITER + bytes(4), rng.bytes(64), taken.body[taken.pixels_at :], b"\xfc\xff\xfc\xffOB\0\0\0\0\0\0")
    return taken.together(taken.body + more[int(rng.integers(len(more)))])


LIES: Final[dict[str, Callable[[np.random.Generator, Taken], bytes]]] = {
    "length": _length,
    "tag": _tag,
    "type": _type,
    "number": _number,
    "text": _text,
    "nesting": _nest,
    "syntax": _syntax,
    "file meta": _meta,
    "element removed": _remove,
    "element twice": _double,
    "fragment": _fragment,
    "ending": _ending,
}
PIXEL_LIES: Final = frozenset({"fragment", "ending"})
