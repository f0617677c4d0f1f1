"""A DICOM image with tokens in elements of every VR: private, nested, preamble, meta, overlays, frames, tail."""

import random
import struct

from pydicom.datadict import DicomDictionary

from tests.deid.tokens import Tokens

LONG = {"OB", "OW", "OF", "OD", "OL", "OV", "UN", "UT", "UC", "UR", "SQ", "SV", "UV"}
NEEDED = {  # what makes it an image, or what a reader refuses a file for
    0x00080005,
    0x00080008,
    0x00080016,
    0x00080018,
    0x00080060,
    0x00080068,
    0x00280301,
    0x00280002,
    0x00280004,
    0x00280006,
    0x00280008,
    0x00280010,
    0x00280011,
    0x00280100,
    0x00280101,
    0x00280102,
    0x00280103,
    0x00280120,
    0x00280121,
    0x00281052,
    0x00281053,
    0x00281050,
    0x00281051,
    0x00280030,
    0x00181164,
    0x00180050,
    0x00180088,
    0x00200032,
    0x00200037,
    0x00200013,
    0x00180022,
}
PUBLIC = sorted(
    tag
    for tag, (vr, *_) in DicomDictionary.items()
    if 0x00080000 < tag < 0x50000000 and tag not in NEEDED and " or " not in vr and vr
)
CR = "1.2.840.10008.5.1.4.1.1.1"
EXPLICIT, JPEG = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.50"


def dicom_file(tokens: Tokens, rng: random.Random) -> tuple[str, bytes]:
    """A radiograph of 8 × 8 with about fifty tokens."""
    packed = rng.random() < 0.3
    meta = _element(0x00020010, "UI", (JPEG if packed else EXPLICIT).encode())
    meta += _element(0x00020013, "SH", _value("SH", tokens)) + _element(0x00020016, "AE", _value("AE", tokens))
    meta += _element(0x00020100, "UI", b"1.2.3") + _element(0x00020102, "OB", tokens.word().encode())
    chosen = dict.fromkeys([0x00100010, 0x00100020, 0x0020000D, 0x00080080, 0x00081030, 0x00200010], 0)
    chosen |= dict.fromkeys(rng.sample(PUBLIC, 28), 0)
    parts = {tag: _public(tag, tokens, rng) for tag in chosen}
    parts |= _image(rng, packed)
    group = rng.choice((0x0009, 0x0019, 0x0029, 0x0043, 0x2001))
    parts[group << 16 | 0x10] = _element(group << 16 | 0x10, "LO", tokens.word().encode())
    for element in (0x1001, 0x100C, 0x1039):
        vr = rng.choice(("LO", "UN", "OB", "DS", "PN", "FD"))
        parts[group << 16 | element] = _element(group << 16 | element, vr, _value(vr, tokens))
    for tag, vr in ((0x60000022, "LO"), (0x60003000, "OW"), (0x60001500, "LO"), (0x50003000, "OW"), (0x50000022, "LO")):
        parts[tag] = _element(tag, vr, _value(vr, tokens))
    body = b"".join(parts[tag] for tag in sorted(parts))
    pixels = _frames(tokens) if packed else _element(0x7FE00010, "OW", bytes(128) + tokens.word().encode() + b" ")
    tail = _element(0xFFFCFFFC, "OB", tokens.word().encode()) + tokens.word().encode()
    preamble = tokens.word().encode("utf-16-le").ljust(128, b"\0")
    head = _element(0x00020000, "UL", struct.pack("<L", len(meta)))
    return f"{tokens.word()}.dcm", preamble + b"DICM" + head + meta + body + pixels + tail


def _image(rng: random.Random, packed: bool) -> dict[int, bytes]:
    text = {
        0x00080008: "ORIGINAL\\PRIMARY",
        0x00080016: CR,
        0x00080018: f"1.2.3.{rng.randint(1, 10**9)}",
        0x00080060: "CR",
        0x00280004: "MONOCHROME2",
        0x00280301: "NO",
    }
    bits = 8 if packed else 16
    numbers = {
        0x00280002: 1,
        0x00280010: 8,
        0x00280011: 8,
        0x00280100: bits,
        0x00280101: bits,
        0x00280102: bits - 1,
        0x00280103: 0,
    }
    made = {tag: _element(tag, "UI" if "." in value else "CS", value.encode()) for tag, value in text.items()}
    return made | {tag: _element(tag, "US", struct.pack("<H", value)) for tag, value in numbers.items()}


def _frames(tokens: Tokens) -> bytes:
    """One JPEG frame, not to be decoded: comment, application data, scan, and what stands behind its end."""

    def segment(marker: int) -> bytes:
        content = tokens.word().encode()
        return bytes((0xFF, marker)) + struct.pack(">H", len(content) + 2) + content

    scan = b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" + b"\x11" * 20
    frame = (
        b"\xff\xd8"
        + segment(0xE0)
        + segment(0xE1)
        + segment(0xFE)
        + scan
        + b"\xff\xd9"
        + tokens.word().encode()
        + b"\0"
    )
    frame += b"\0" * (len(frame) % 2)
    offsets = tokens.word().encode() + b"\0"
    items = b"".join(b"\xfe\xff\x00\xe0" + struct.pack("<L", len(one)) + one for one in (offsets, frame))
    return struct.pack("<HH2sHL", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF) + items + b"\xfe\xff\xdd\xe0\0\0\0\0"


def _public(tag: int, tokens: Tokens, rng: random.Random, depth: int = 0) -> bytes:
    vr = DicomDictionary[tag][0]
    if vr != "SQ":
        wrong = rng.random() < 0.1
        return _element(tag, rng.choice(("LO", "UN", "UT")) if wrong else vr, _value(vr, tokens))
    inside = (
        b"".join(_public(one, tokens, rng, depth + 1) for one in sorted(rng.sample(PUBLIC, 2))) if depth < 3 else b""
    )
    item = b"\xfe\xff\x00\xe0" + struct.pack("<L", len(inside)) + inside
    return _element(tag, "SQ", item)


def _value(vr: str, tokens: Tokens) -> bytes:
    word = tokens.word().encode()
    if vr in {"FD", "SV", "UV", "OD", "OV"}:
        return word.ljust(16, b"A")
    if vr in {"US", "SS", "UL", "SL", "FL", "AT", "OL", "OF"}:
        return word.ljust(12, b"A")
    return word + b"^" + word if vr == "PN" else word


def _element(tag: int, vr: str, value: bytes) -> bytes:
    value += (b"\0" if vr in {"UI", "OB", "UN"} else b" ") * (len(value) % 2)
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
    return head + (struct.pack("<HL", 0, len(value)) if vr in LONG else struct.pack("<H", len(value))) + value
