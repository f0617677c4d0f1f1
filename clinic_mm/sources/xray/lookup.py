"""Read the lookup tables of a DICOM picture: Modality LUT and VOI LUT.

In:  one item of a Modality LUT or VOI LUT Sequence. Out: a `Lookup`, or `EvidenceError`; a table is never mended.

Source: DICOM PS3.3 C.11.1.1.1 (Modality LUT), C.11.2.1.1 (VOI LUT).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float64
from pydicom.dataset import Dataset

from clinic_mm.errors import EvidenceError

SIXTEEN_BITS: Final = 1 << 16
ENTRY_BITS: Final = frozenset({8, *range(10, 17)})


@dataclass(frozen=True, slots=True)
class Lookup:
    """A table.

    Attributes:
        first: Input value that the first entry stands for; what is below gets the first entry, what is beyond the last.
        bits: Depth of an entry: the output runs from 0 to 2^bits - 1.
        entries: Output values.
    """

    first: int
    bits: int
    entries: np.ndarray

    @property
    def highest(self) -> int:
        """The largest output that an entry could have."""
        return (1 << self.bits) - 1

    def __call__(self, values: Float64[np.ndarray, " value"]) -> Float64[np.ndarray, " value"]:
        """Values through the table."""
        place = np.rint(values).astype(np.int64) - self.first
        return np.asarray(self.entries[np.clip(place, 0, len(self.entries) - 1)], np.float64)


def read_lookup(item: Dataset, *, signed: bool, big_endian: bool, name: str) -> Lookup:
    """One table.

    Args:
        item: Item of the sequence.
        signed: Whether what goes in can be negative: then the first mapped value is a signed number, whatever its VR.
        big_endian: Byte order of the stream that the item comes from.
        name: Keyword of the sequence, for the error.

    Raises:
        EvidenceError: `xray.bad_table` where descriptor and data do not fit together.
    """
    descriptor = item.get("LUTDescriptor")
    if not isinstance(descriptor, Sequence) or len(descriptor) != 3:
        raise _bad(name)
    count = (int(descriptor[0]) & 0xFFFF) or SIXTEEN_BITS  # 65,536 does not fit into 16 bits and is written as 0
    first, bits = int(descriptor[1]), int(descriptor[2])
    if signed and first >= SIXTEEN_BITS // 2:
        first -= SIXTEEN_BITS
    if bits not in ENTRY_BITS:
        raise _bad(name)
    entries = _entries(item, count, bits, big_endian=big_endian, name=name)
    if int(entries.max()) >> bits:
        raise _bad(name)
    return Lookup(first, bits, entries)


def _entries(item: Dataset, count: int, bits: int, *, big_endian: bool, name: str) -> np.ndarray:
    data = item.get("LUTData")
    if isinstance(data, bytes | bytearray):
        words = np.frombuffer(data[: len(data) // 2 * 2], ">u2" if big_endian else "<u2").astype(np.uint16)
    else:
        words = np.atleast_1d(np.asarray(data if data is not None else [], np.int64)).astype(np.uint16)
    if len(words) >= count:
        return words[:count]
    if bits == 8 and len(words) == (count + 1) // 2:  # two entries in one word, the first in its low byte
        return words.astype("<u2").view(np.uint8)[:count]
    raise _bad(name)


def _bad(name: str) -> EvidenceError:
    what = "A lookup table does not fit its own description"
    return EvidenceError("xray.bad_table", what, name, "Export the image again")
