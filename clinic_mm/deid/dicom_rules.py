"""What happens to each element of a DICOM image: the keep-list of schemas/deid_dicom.toml, applied to every level.

In:  a data set, whose patient it is. Out: a new data set that holds only what the list names, in the form it demands.

Nothing is copied and then cleaned: the new data set starts empty. Reads no file and touches no pixels.
Source: PS3.15 Annex E (edition in the schema).
"""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, Final

from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from clinic_mm.deid import dates, dicom_values
from clinic_mm.deid.keyring import Keyring
from clinic_mm.deid.policy import Policy, Row
from clinic_mm.deid.words import clean_words

Judge = Callable[[DataElement, Dataset, int], DataElement | None]
"""Takes an element, the data set that it stands in, and how deep that is nested."""
DEEPEST: Final = 8
MOST_ITEMS: Final = 20_000
LETTERS: Final = {
    "numbers": ("K", "kept where it is a number of the VR and multiplicity of PS3.6"),
    "codes": ("K", "kept where it is a word of the list"),
    "forms": ("K", "kept where it has the form of the list"),
    "class_uids": ("K", "kept where it is registered in PS3.6 Annex A, otherwise replaced"),
    "uids": ("U", "replaced by 2.25. and an HMAC of the original"),
    "dates": ("C", "moved by the patient's shift"),
    "datetimes": ("C", "moved by the patient's shift; time of day and zone stay"),
    "times": ("K", "kept where it is a time of day"),
    "ages": ("K", "kept; above 89 years 090Y"),
    "sequences": ("K", "entered; each item is treated by this same list"),
    "code_sequences": (
        "C",
        "items kept where value and scheme have the form of a code; the meaning is the value again",
    ),
    "lookup_tables": ("K", "kept where it has as many entries as its descriptor says"),
    "empty": ("Z", "written empty"),
    "or_empty": ("Z", "written empty where nothing of it may be kept"),
    "free_text": ("K", "kept as it is: the option asks for it"),
    "cleaned_text": ("C", "only the words of schemas/deid_note.toml that are clinical are kept"),
}
"""Letters of PS3.15 Table E.1-1a, and what we do."""
SIZE_OF: Final = {"LUTData": "LUTDescriptor"}


class Rules:
    """The keep-list for one patient."""

    def __init__(self, policy: Policy, keyring: Keyring, shift: timedelta) -> None:
        self._lists, self._keyring, self._shift = policy.lists["dicom"], keyring, shift
        self._words = frozenset(self._lists["code_words"])
        self._items = 0
        self._by_tag: dict[int, Judge] = {}
        self._take(self._lists)
        for chosen in policy.chosen("dicom").values():
            self._words |= frozenset(chosen.get("words", ()))
            self._take(chosen)
        self._private = self._lists["private"] if "safe-private" in policy.options else []
        self.dropped = 0

    def apply(self, dataset: Dataset, depth: int = 0) -> Dataset:
        """A new data set with what may be kept of this one. Of an element that cannot be read nothing is kept."""
        kept = Dataset()
        for tag in dataset.keys():  # noqa: SIM118 - iterating a Dataset converts every element
            judge = self._by_tag.get(int(tag)) if depth <= DEEPEST else None
            good = self._judged(judge, dataset, tag, depth) if judge else None
            if good is not None:
                kept[good.tag] = good
            else:
                self.dropped += 1
        for good in self._safe_private(dataset):
            kept[good.tag] = good
        return kept

    def _judged(self, judge: Judge, dataset: Dataset, tag: Any, depth: int) -> DataElement | None:  # noqa: ANN401
        try:
            element = dataset[tag]
            if not dicom_values.values(element):  # empty stays empty: a type 2 attribute must stand there
                return None if element.VR == "SQ" else dicom_values.emptied(element)
            return judge(element, dataset, depth)
        except Exception:  # noqa: BLE001 - the border: a malformed element can raise anything, and is dropped
            return None

    def _take(self, lists: dict[str, Any]) -> None:
        judges: dict[str, Judge] = {
            "numbers": lambda e, d, _: dicom_values.number(e, d.get("PixelRepresentation") == 1),
            "codes": lambda e, *_: dicom_values.words(e, self._words),
            "class_uids": lambda e, *_: dicom_values.formed(e, None, self._class_uid),
            "uids": lambda e, *_: dicom_values.formed(e, None, self._keyring.uid),
            "dates": lambda e, *_: dicom_values.formed(e, None, lambda one: dates.dicom_date(one, self._shift)),
            "datetimes": lambda e, *_: dicom_values.formed(e, None, lambda one: dates.dicom_datetime(one, self._shift)),
            "times": lambda e, *_: dicom_values.formed(e, None, dates.dicom_time),
            "ages": lambda e, *_: dicom_values.formed(e, None, dates.dicom_age),
            "sequences": self._entered,
            "code_sequences": self._coded,
            "lookup_tables": _table,
            "empty": lambda e, *_: DataElement(e.tag, e.VR, ""),
            "free_text": lambda e, *_: DataElement(e.tag, e.VR, e.value),
            "cleaned_text": lambda e, *_: dicom_values.formed(e, None, clean_words),
        }
        for group, judge in judges.items():
            for keyword in lists.get(group, ()):
                self._by_tag[_tag(keyword)] = judge
        for keyword, form in lists.get("forms", {}).items():
            self._by_tag[_tag(keyword)] = _formed_as(re.compile(form))

    def _class_uid(self, uid: str) -> str:
        return uid if dicom_values.registered(uid) else self._keyring.uid(uid)

    def _entered(self, element: DataElement, _: Dataset, depth: int) -> DataElement | None:
        self._items += len(element.value)
        if self._items > MOST_ITEMS:
            return None
        items = [one for item in element.value if len(one := self.apply(item, depth + 1))]
        return DataElement(element.tag, "SQ", Sequence(items)) if items else None

    def _coded(self, element: DataElement, *_: object) -> DataElement | None:
        items = [one for item in element.value if (one := self._code(item)) is not None]
        return DataElement(element.tag, "SQ", Sequence(items)) if items else None

    def _code(self, item: Dataset) -> Dataset | None:
        scheme, value = (str(item.get(name, "")).strip() for name in ("CodingSchemeDesignator", "CodeValue"))
        form = self._lists["code_forms"].get(scheme)
        if form is None or not re.fullmatch(form, value):
            return None
        kept = Dataset()
        kept.CodeValue, kept.CodingSchemeDesignator, kept.CodeMeaning = value, scheme, value
        return kept

    def _safe_private(self, dataset: Dataset) -> Iterator[DataElement]:
        for block in self._private:
            try:
                found = dataset.private_block(block["group"], block["creator"])
            except KeyError:
                continue
            kept = [good for key, vr in block["elements"].items() if (good := _plain(found, int(key, 16), vr))]
            if kept:
                creator = (block["group"] << 16) | found.block_start >> 8
                yield DataElement(creator, "LO", block["creator"])
                yield from kept


def plan(policy: Policy) -> list[Row]:
    """What happens to each attribute of an image."""
    rows = _rows(policy.lists["dicom"])
    for name, lists in policy.chosen("dicom").items():
        rows += [row._replace(how=f"{row.how} (--keep {name})") for row in _rows(lists)]
    if "safe-private" in policy.options:
        for block in policy.lists["dicom"]["private"]:
            places = ", ".join(f"({block['group']:04X},xx{key})" for key in block["elements"])
            how = f"kept where it is a number of creator {block['creator']} (--keep safe-private)"
            rows.append(Row("dicom", places, "K", how))
    fixed = [
        ("Preamble", "Z", "128 zero bytes"),
        ("File meta information (0002,xxxx)", "D", "made anew; only the transfer syntax stays"),
        ("PatientName, PatientID", "D", "the pseudonym"),
        ("PatientIdentityRemoved, DeidentificationMethod, its code sequence", "D", "set, with our seal"),
        ("LongitudinalTemporalInformationModified", "D", "MODIFIED"),
        ("PixelData", "K", "kept bit for bit, cut to the size of the picture; comments in JPEG frames are blanked"),
        ("Overlays (60xx), curves (50xx), icons, audio, documents, signatures, trailing bytes", "X", "removed"),
        ("Private elements", "X", "removed, but those of --keep safe-private"),
        ("Everything else", "X", "removed"),
    ]
    return [*rows, *(Row("dicom", *one) for one in fixed)]


def _rows(lists: dict[str, Any]) -> list[Row]:
    return [Row("dicom", ", ".join(lists[group]), *LETTERS[group]) for group in LETTERS if lists.get(group)]


def _table(element: DataElement, dataset: Dataset, _: int) -> DataElement | None:
    keyword = str(element.keyword)
    descriptor = SIZE_OF.get(keyword, keyword.replace("Data", "Descriptor"))
    return dicom_values.lookup_table(element, list(dataset.get(descriptor) or ()))


def _formed_as(form: re.Pattern[str]) -> Judge:
    return lambda element, *_: dicom_values.formed(element, form, str)


def _plain(block: Any, key: int, vr: str) -> DataElement | None:  # noqa: ANN401 - pydicom's PrivateBlock
    if key not in block:
        return None
    said = dicom_values.texts(block[key])
    good = said and len(said) <= 6 and all(dicom_values.DECIMAL.fullmatch(one) for one in said)
    return DataElement(block[key].tag, vr, [float(one) if vr[0] == "F" else one for one in said]) if good else None


def _tag(keyword: str) -> int:
    tag = tag_for_keyword(keyword)
    assert tag is not None, keyword
    return int(tag)
