"""Read the chunks of a WAV file: what its samples are, and where they lie.

In:  a file of the form RIFF/WAVE or RF64/WAVE. Out: a `Wav` and, on demand, its samples as float32.

Only linear PCM (8, 16, 24, 32 bits) and float (32, 64 bits) are read. Nothing of a LIST or bext chunk but the moment of
recording is looked at: they may name people.

Source: Multimedia Programming Interface and Data Specifications 1.0 (IBM & Microsoft 1991); EBU Tech 3306 (RF64) and
EBU Tech 3285 (bext).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
from jaxtyping import Float32
from numpy import ndarray as Array

from clinic_mm.errors import EvidenceError

PCM, FLOAT, EXTENSIBLE = 0x0001, 0x0003, 0xFFFE
CODECS: Final = {0x0002: "ADPCM", 0x0006: "A-law", 0x0007: "mu-law", 0x0011: "ADPCM", 0x0055: "MP3", 0x00FF: "AAC"}
BITS: Final = {PCM: (8, 16, 24, 32), FLOAT: (32, 64)}
RATES_HZ: Final = (200, 400_000)
MOST_CHUNKS: Final = 1000
OPEN_ENDED: Final = 0xFFFFFFFF
"""The length that recorders write before they know it."""
FMT_BYTES: Final = 40
BEXT_DATE: Final = slice(320, 338)
MEND: Final = "Export the recording again as WAV, linear PCM"


@dataclass(frozen=True, slots=True)
class Wav:
    """A WAV file, its samples not yet read.

    Attributes:
        start: Byte at which the samples begin.
        frames: Samples of each channel.
        tag: PCM or FLOAT.
        bits: Of one sample as it is stored.
        valid_bits: Of them, how many carry sound.
        recorded: `YYYY-MM-DDHH:MM:SS` of a broadcast extension, "" where there is none.
        open_ended: Whether the header does not say how long it is.
    """

    path: Path
    start: int
    frames: int
    channels: int
    sfreq_hz: int
    tag: int
    bits: int
    valid_bits: int
    recorded: str
    open_ended: bool

    def samples(self) -> Float32[Array, "channel sample"]:
        """All samples in shares of full scale; 8 bits are unsigned, all others signed, little endian."""
        count, width = self.frames * self.channels, self.bits // 8
        try:
            with self.path.open("rb") as file:
                file.seek(self.start)
                raw = file.read(count * width)
        except OSError:
            raise EvidenceError("file.unreadable", "The file cannot be read", "", "Check its permissions") from None
        if len(raw) != count * width:
            raise EvidenceError("audio.truncated", "The recording is cut off", "", MEND)
        flat = np.frombuffer(raw, "<f4" if self.bits == 32 else "<f8") if self.tag == FLOAT else _pcm(raw, self.bits)
        return np.ascontiguousarray(flat.astype(np.float32).reshape(self.frames, self.channels).T)


def read_wav(path: Path) -> Wav:
    """The header of a WAV file.

    Raises:
        EvidenceError: `audio.format`, `audio.codec`, `audio.header`, `audio.truncated`, `file.empty`,
            `file.unreadable`.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            return _read(path, file, size)
    except OSError:
        raise EvidenceError("file.unreadable", "The file cannot be read", "", "Check its permissions") from None


def _read(path: Path, file: BinaryIO, size: int) -> Wav:
    head = file.read(12)
    if not head:
        raise EvidenceError("file.empty", "The file is empty", "", "Leave it out, or copy it again")
    if head[:4] not in {b"RIFF", b"RF64"} or head[8:12] != b"WAVE":
        what = "This is no WAV file" if head[:4] != b"RIFX" else "This WAV file is big endian (RIFX)"
        raise EvidenceError("audio.format", what, "", MEND)
    form, recorded, long_size = b"", "", 0
    for name, length, at in _chunks(file, size):
        if name == b"ds64" and head[:4] == b"RF64":
            long_size = struct.unpack_from("<Q", _exactly(file, 16), 8)[0]
        elif name == b"fmt ":
            form = _exactly(file, min(length, FMT_BYTES))
        elif name == b"bext":
            recorded = file.read(min(length, BEXT_DATE.stop))[BEXT_DATE].decode("ascii", "replace").strip("\0 ")
        elif name == b"data":
            given = long_size if length == OPEN_ENDED and long_size else length
            return _wav(path, form, recorded, at, given, size)
    raise EvidenceError("audio.header", "The file holds no samples", "", MEND)


def _chunks(file: BinaryIO, size: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, length and first byte of each chunk, the file set to that byte; lengths are even on disk."""
    at = 12
    for _ in range(MOST_CHUNKS):
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            return
        name, length = head[:4], struct.unpack("<I", head[4:])[0]
        yield name, length, at + 8
        at += 8 + length + length % 2
        if at > size:
            return


def _wav(path: Path, form: bytes, recorded: str, start: int, length: int, size: int) -> Wav:
    if len(form) < 16:
        raise EvidenceError("audio.header", "The header does not say what the samples are", "", MEND)
    tag, channels, rate, _, block, bits = struct.unpack_from("<HHIIHH", form)
    valid = bits
    if tag == EXTENSIBLE and len(form) >= FMT_BYTES:
        valid, tag = struct.unpack_from("<H", form, 18)[0] or bits, struct.unpack_from("<H", form, 24)[0]
    if tag not in BITS:
        what = f"The sound is packed as {CODECS.get(tag, f'codec {tag:#06x}')}, which is not read"
        raise EvidenceError("audio.codec", what, "", MEND)
    if bits not in BITS[tag] or channels < 1 or block != channels * bits // 8:
        raise EvidenceError("audio.header", "Bits, channels and bytes of a sample do not fit together", "", MEND)
    if not RATES_HZ[0] <= rate <= RATES_HZ[1]:
        raise EvidenceError("audio.header", "The sampling rate is no rate of a recorder", "", MEND)
    open_ended = length in {0, OPEN_ENDED}
    length = size - start if open_ended else length
    if start + length > size:
        what = f"The recording is cut off: {100 * (size - start) / length:.0f} % of its samples are there"
        raise EvidenceError("audio.truncated", what, "", "Copy the file again")
    return Wav(path, start, length // block, channels, rate, tag, bits, min(valid, bits), recorded, open_ended)


def _exactly(file: BinaryIO, length: int) -> bytes:
    found = file.read(length)
    if len(found) < length:
        raise EvidenceError("audio.truncated", "The header is cut off", "", "Copy the file again")
    return found


def _pcm(raw: bytes, bits: int) -> Array:
    if bits == 8:
        return (np.frombuffer(raw, np.uint8).astype(np.float32) - 128) / 128
    if bits == 24:
        whole = np.zeros((len(raw) // 3, 4), np.uint8)
        whole[:, 1:] = np.frombuffer(raw, np.uint8).reshape(-1, 3)
        return whole.view("<i4")[:, 0] / 2.0**31
    return np.frombuffer(raw, f"<i{bits // 8}") / 2.0 ** (bits - 1)
