"""Judge the values of DICOM elements: numbers, words, codes, dates, UIDs. What has not the form that it should goes.

In:  one element as pydicom read it. Out: the element as it may be written, or None.

Nothing here knows which elements are kept: see `dicom_rules`.
"""

import math
import re
import struct
from collections.abc import Callable, Sequence
from typing import Any, Final

from pydicom.datadict import dictionary_has_tag, dictionary_VM, dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.multival import MultiValue
from pydicom.tag import Tag
from pydicom.uid import UID

DECIMAL: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?")
INTEGER: Final = re.compile(r"[+-]?\d{1,10}")
LONGEST_NUMBER: Final = 24
"""The standard allows 16 characters; some systems write a double in full."""
BINARY: Final = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d"}
TEXT_VRS: Final = frozenset({"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UI", "UT"})
DICOM_UID: Final = re.compile(r"1\.2\.840\.10008(?:\.(?:0|[1-9]\d{0,5})){1,8}")
TABLE_BITS: Final = 16
LONGEST_LIST: Final = 4096


def values(element: DataElement) -> list[Any]:
    """The values of an element, none where it is empty."""
    value = element.value
    if isinstance(value, MultiValue | list):
        return list(value)
    return [] if value is None or value in ("", b"") else [value]


def emptied(element: DataElement) -> DataElement:
    """The same attribute without a value, in the VR that PS3.6 gives."""
    return DataElement(element.tag, _vr(element, signed=False), "" if element.VR in TEXT_VRS else None)


def texts(element: DataElement) -> list[str]:
    """The values as stripped text; bytes are read as Latin-1, since only ASCII is ever kept of them."""
    plain = [one.decode("latin-1") if isinstance(one, bytes) else str(one) for one in values(element)]
    if len(plain) == 1 and "\\" in plain[0]:
        plain = plain[0].split("\\")
    return [one.strip(" \0") for one in plain]


def number(element: DataElement, signed: bool = False) -> DataElement | None:
    """Numbers, as many as PS3.6 allows, in the VR that PS3.6 gives."""
    vr, most = _vr(element, signed), _most(element)
    if vr in {"DS", "IS"}:
        said = texts(element)
        form = DECIMAL if vr == "DS" else INTEGER
        good = len(said) <= most and all(len(one) <= LONGEST_NUMBER and form.fullmatch(one) for one in said)
        return _as(element, vr, [one.encode().decode() for one in said]) if good and said else None
    given = values(element)
    if not given or len(given) > most:
        return None
    if vr == "AT":
        return _as(element, vr, given) if all(dictionary_has_tag(Tag(one)) for one in given) else None
    packed = struct.pack(f"<{len(given)}{BINARY[vr]}", *given)
    # Letters hidden in binary numbers: six or more bytes that are all ASCII letters or digits are no measurement.
    hidden = len(packed) >= 6 and packed.decode("latin-1").isascii() and packed.isalnum()
    return None if hidden or not all(map(math.isfinite, given)) else _as(element, vr, given)


def words(element: DataElement, allowed: frozenset[str]) -> DataElement | None:
    """Code strings that are on the list; of several, another is written OTHER."""
    said = texts(element)
    if len(said) > LONGEST_LIST or not any(one in allowed for one in said):
        return None
    kept = [one if one in allowed or not one else "OTHER" for one in said]
    return _as(element, dictionary_VR(element.tag), kept)


def formed(
    element: DataElement, form: re.Pattern[str] | None, change: Callable[[str], str | None]
) -> DataElement | None:
    """Texts of a form, changed one by one; None where one of them is refused."""
    said = texts(element)
    kept = [change(one) if one and (form is None or form.fullmatch(one)) else None for one in said]
    return _as(element, dictionary_VR(element.tag), kept) if kept and None not in kept else None


def registered(uid: str) -> bool:
    """Whether a UID is one of PS3.6 Annex A, which name no one."""
    # Looked at first: pydicom warns of what is no UID, and quotes it.
    return bool(DICOM_UID.fullmatch(uid)) and UID(uid).name != uid


def lookup_table(element: DataElement, descriptor: Sequence[int]) -> DataElement | None:
    """The entries of a look-up table, where there are as many as its descriptor says (PS3.3 C.11.1.1)."""
    if len(descriptor) != 3:
        return None
    entries = descriptor[0] or 2**TABLE_BITS
    given = element.value
    if isinstance(given, bytes):
        fits = len(given) in {2 * entries, entries, entries + 1}
        return _as(element, "OW", given) if fits else None
    listed = values(element)
    return _as(element, "US" if element.VR == "US" else "OW", listed) if len(listed) == entries else None


def _as(element: DataElement, vr: str, kept: Any) -> DataElement:  # noqa: ANN401 - an element holds any type
    value = kept[0] if isinstance(kept, list) and len(kept) == 1 else kept
    return DataElement(element.tag, vr, value)


def _vr(element: DataElement, signed: bool) -> str:
    vr = str(dictionary_VR(element.tag))
    if " or " not in vr:
        return vr
    return str(element.VR) if element.VR in {"US", "SS"} else "SS" if signed else "US"


def _most(element: DataElement) -> int:
    last = str(dictionary_VM(element.tag)).split("-")[-1]
    return int(last) if last.isdigit() else LONGEST_LIST
