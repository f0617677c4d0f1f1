"""Notice where the elements of a DICOM header are not as the standard lays them out: damage often shows only there.

In:  a file as it was parsed, before any value is converted. Out: the flags that it deserves.

A flipped bit in a tag makes an element vanish and another appear in its place; nothing that only asks for the elements
that it needs would see it. Nothing here reads a value or refuses a file: old and odd systems write such files too.
"""

import struct
from functools import cache
from typing import Final

from pydicom.datadict import dictionary_VR
from pydicom.uid import ExplicitVRBigEndian

from clinic_mm.sources.dicom.stream import ELEMENT_HEAD_BYTES, Opened
from clinic_mm.types import Flag

ODD_ORDER: Final = Flag(
    code="dicom.odd_order", why="Elements of the header are not in ascending order: it may be damaged"
)
ODD_ELEMENT: Final = Flag(
    code="dicom.odd_element", why="The header has an element that the standard does not know: it may be damaged"
)
ODD_TYPE: Final = Flag(
    code="dicom.odd_type", why="An element of the header has another type than the standard gives it"
)
ODD_ENDING: Final = Flag(
    code="dicom.odd_ending", why="Bytes follow the pixels that are no element of DICOM: the file may be damaged"
)
PIXELS: Final = 0x7FE00010


def structure_flags(opened: Opened) -> tuple[Flag, ...]:
    """What is odd about the top level of a data set.

    Source: DICOM PS3.5 7.1 (ascending order of tags), PS3.6 (tags and their value representations).
    """
    dataset = opened.dataset
    tags = list(dataset.keys())
    flags = [] if all(map(int.__lt__, tags, tags[1:])) else [ODD_ORDER]
    # Not by iterating, which would convert every value.
    oddities = {_oddity(int(tag), getattr(item, "VR", None)) for tag, item in dataset.items()}
    flags += [flag for flag in (ODD_ELEMENT, ODD_TYPE) if flag in oddities]
    return (*flags, ODD_ENDING) if _odd_ending(opened) else tuple(flags)


def _odd_ending(opened: Opened) -> bool:
    """Behind the pixels come elements with higher tags (padding, a signature) or nothing."""
    if len(opened.ending) < ELEMENT_HEAD_BYTES:
        return len(opened.ending) > 0
    group, element = struct.unpack(">HH" if opened.transfer_syntax == ExplicitVRBigEndian else "<HH", opened.ending[:4])
    return bool(group << 16 | element <= PIXELS)


@cache
def _oddity(tag: int, vr: str | None) -> Flag | None:
    group, element = tag >> 16, tag & 0xFFFF
    if group % 2 == 1 or element == 0:  # private elements, and the lengths of groups
        return None
    try:
        known = str(dictionary_VR(tag))
    except KeyError:
        return ODD_ELEMENT
    return None if vr in {None, "UN", *known.split(" or ")} else ODD_TYPE  # implicit files name no type
