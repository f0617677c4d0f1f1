"""De-identify an EDF or BDF recording: a new header, annotations of listed words only, the same samples.

In:  a file that `edf_header` finds sound. Out: its new bytes; or `EvidenceError`.

Fields of the header that hold no number or known word are blank; the start moves by the patient's shift, its time of
day stays. Source: EDF (Kemp 1992), EDF+ 2.1 (2003): local patient and recording identification, TALs.
"""

import re
from collections.abc import Iterator
from datetime import date, timedelta
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final

from clinic_mm.deid.dicom import other_policy
from clinic_mm.deid.keyring import Keyring, open_mark, seal, seal_policy
from clinic_mm.deid.made import Made
from clinic_mm.deid.policy import Policy, Row
from clinic_mm.deid.words import clean_words
from clinic_mm.errors import EvidenceError
from clinic_mm.sources.eeg.channels import channel_table
from clinic_mm.sources.eeg.edf_header import ANNOTATIONS, FIXED_BYTES, MONTHS, SIGNAL_BYTES, EdfHeader, read_edf_header

SIGNAL_FIELDS: Final = (
    ("label", 16),
    ("transducer", 80),
    ("dimension", 8),
    ("number", 8),
    ("number", 8),
    ("number", 8),
    ("number", 8),
    ("prefilter", 80),
    ("count", 8),
    ("blank", 32),
)
"""Form and width of the fields of a signal, in their order."""
NO_PATIENT: Final = frozenset({"", "X", "X X X X", "0 X X X"})
TAL: Final = re.compile(rb"([+-]\d{1,9}(?:\.\d{1,9})?)(?:\x15(\d{1,9}(?:\.\d{1,9})?))?\x14([^\0]*)")
PLUG: Final = re.compile(r"[A-I]\d{1,3}")
"""A plug of an amplifier or a contact of a grid."""
LETTERS_OR_DIGITS: Final = re.compile(r"[^\W\d]+|\d+|\W")
HIDDEN: Final = "X"
"""A text of which nothing may stay: that something was noted then is still seen."""
LARGEST: Final = 2**31
FIRST_YEAR: Final = 1985


def deidentify_edf(path: Path, policy: Policy, keyring: Keyring) -> Made:
    """One recording without who it is.

    Raises:
        EvidenceError: `deid.too_large`, `deid.other_policy`, and those of `read_edf_header`.
    """
    header = read_edf_header(path)
    if path.stat().st_size > LARGEST:
        raise EvidenceError("deid.too_large", "The recording is larger than 2 GiB", "", "Cut it into parts")
    content = path.read_bytes()
    suffix = f".{header.kind.lower()}"
    if under := seal_policy(content, keyring):
        if under != policy.fingerprint:
            raise other_policy()
        return Made(content, suffix, frozenset({header.patient_id}), sealed=True)
    patient_id = _patient(content, header)
    shift, pseudonym = keyring.shift(patient_id), keyring.patient(patient_id)
    n = int(content[252:256])
    head = _fixed(content, header, pseudonym, shift, policy) + _signals(content, n, policy)
    data = _records(content[len(head) :], content, n, 3 if header.kind == "BDF" else 2, header.n_records)
    whole = seal(head + data, keyring)
    return Made(whole, suffix, frozenset({pseudonym}))


def _patient(content: bytes, header: EdfHeader) -> str:
    """The code of an EDF+ field; else the whole field; else the recording itself."""
    field = content[8:88].decode("latin-1").strip(" \0")
    if header.patient_id.upper() not in {"", "X", "0"}:
        return header.patient_id
    if field.upper() not in NO_PATIENT and not header.patient_id:
        return field
    return f"recording:{sha256(content).hexdigest()}"


def _fixed(content: bytes, header: EdfHeader, pseudonym: str, shift: timedelta, policy: Policy) -> bytes:
    on = _moved(header.start.date(), shift) if header.start else None
    sex = _sex(content) if "characteristics" in policy.options else "X"
    said = f"{on:%d}-{MONTHS[on.month - 1]}-{on:%Y}" if on else "X"
    short = f"{on:%d.%m.%y}" if on and on.year >= FIRST_YEAR else "01.01.85"  # the field knows no earlier year
    start = content[176:184].decode("latin-1").strip()
    clock = start if re.fullmatch(policy.lists["edf"]["forms"]["clock"], start) else "00.00.00"
    return (
        content[:8]
        + f"{pseudonym} {sex} X X".encode().ljust(80)
        + f"Startdate {said} X X {open_mark(policy.fingerprint)}".encode().ljust(80)
        + short.encode()
        + clock.encode()
        + _cell(content[184:192], "count", policy)
        + _cell(content[192:236], "reserved", policy)
        + _cell(content[236:244], "count", policy)
        + _cell(content[244:252], "number", policy)
        + content[252:256]
    )


def _sex(content: bytes) -> str:
    parts = content[8:88].decode("latin-1").split()
    return parts[1] if len(parts) > 1 and parts[1] in {"M", "F"} else "X"


def _moved(day: date, shift: timedelta) -> date | None:
    try:
        return day + shift
    except OverflowError:
        return None


def _signals(content: bytes, n: int, policy: Policy) -> bytes:
    at, parts = FIXED_BYTES, []
    for form, width in SIGNAL_FIELDS:
        for number in range(n):
            cell = content[at : at + width]
            parts.append(_label(cell, number, policy) if form == "label" else _cell(cell, form, policy))
            at += width
    return b"".join(parts)


def _cell(cell: bytes, form: str, policy: Policy) -> bytes:
    """A field as it is, where it has its form; otherwise blanks."""
    known = policy.lists["edf"]["forms"].get(form)
    text = cell.decode("latin-1").replace("\0", " ").strip()
    return (text.encode("latin-1") if known and re.fullmatch(known, text) else b"").ljust(len(cell))


def _label(cell: bytes, number: int, policy: Policy) -> bytes:
    """A label of known parts as it is; otherwise the number of the channel."""
    text = cell.decode("latin-1").replace("\0", " ").strip()
    known = text in ANNOTATIONS or _known_label(text, tuple(policy.lists["edf"]["forms"]["label_parts"]), policy)
    return (text if known else f"CH {number + 1}").encode("latin-1").ljust(len(cell))


def _known_label(text: str, parts: tuple[str, ...], policy: Policy) -> bool:
    forms = policy.lists["edf"]["forms"]
    names, wholes = _names(parts), re.split(forms["label_joints"], text.replace("$", ""))
    return bool(text) and all(
        part.lower() in names or (part.isdigit() and len(part) <= forms["most_digits"])
        for whole in filter(None, wholes)
        for part in ([whole] if whole.lower() in names or PLUG.fullmatch(whole) else LETTERS_OR_DIGITS.findall(whole))
        if not PLUG.fullmatch(part)
    )


@cache
def _names(parts: tuple[str, ...]) -> frozenset[str]:
    return frozenset(one.lower() for one in (*parts, *channel_table().electrodes))


def _records(data: bytes, content: bytes, n: int, width: int, n_records: int) -> bytes:
    """The records, with their annotation signals written anew."""
    labels = [
        content[FIXED_BYTES + 16 * i : FIXED_BYTES + 16 * (i + 1)].decode("latin-1").strip(" \0") for i in range(n)
    ]
    counts_at = FIXED_BYTES + (SIGNAL_BYTES - 40) * n
    sizes = [width * int(content[counts_at + 8 * i : counts_at + 8 * (i + 1)]) for i in range(n)]
    record = sum(sizes)
    changed = bytearray(data[: n_records * record])
    for number, label in enumerate(labels):
        if label not in ANNOTATIONS:
            continue
        for at in range(sum(sizes[:number]), n_records * record, record):
            changed[at : at + sizes[number]] = clean_tals(bytes(changed[at : at + sizes[number]]))
    return bytes(changed)


def clean_tals(block: bytes) -> bytes:
    """Time-stamped annotations lists (EDF+ 2.2.2) with the listed words of each text; onset and duration stay.

    Args:
        block: One record of an annotation signal.

    Returns:
        As many bytes. What is no annotation list is left out.
    """
    parts = [
        onset + (b"\x15" + duration if duration else b"") + b"\x14" + _clean_texts(said) + b"\0"
        for onset, duration, said in _tals(block)
    ]
    return b"".join(parts)[: len(block)].ljust(len(block), b"\0")


def _tals(block: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    for one in block.split(b"\0"):
        if found := TAL.fullmatch(one):
            yield found[1], found[2] or b"", found[3]


def _clean_texts(said: bytes) -> bytes:
    texts = said.removesuffix(b"\x14").split(b"\x14")
    kept = [clean_words(text.decode("utf-8", "replace")) or HIDDEN * bool(text) for text in texts]
    return b"".join(text.encode() + b"\x14" for text in kept)


def plan(policy: Policy) -> list[Row]:
    """What happens to each field of a recording."""
    sex = (
        "the pseudonym, the sex (--keep characteristics), X X"
        if "characteristics" in policy.options
        else "the pseudonym, X X X"
    )
    said = [
        ("Local patient identification", "D", sex),
        ("Local recording identification", "D", "the start moved by the patient's shift, X X, our seal"),
        ("Start date", "C", "moved by the patient's shift; before 1985, which the field cannot say, 01.01.85"),
        ("Start time", "K", "kept where it is a time of day"),
        ("Reserved", "K", "kept where it is EDF+C, EDF+D, BDF+C, BDF+D or 24BIT"),
        ("Header size, number and duration of records, number of signals", "K", "kept where they are numbers"),
        ("Label", "C", "kept where all its parts are known; otherwise CH and the number of the channel"),
        ("Transducer, prefiltering", "C", "kept where they have the form of the list; otherwise blank"),
        ("Physical dimension", "C", "kept where it is a unit of the list; otherwise blank"),
        ("Physical and digital limits, samples per record", "K", "kept where they are numbers"),
        ("Reserved of a signal", "X", "blank"),
        (
            "Annotations",
            "C",
            "onset and duration kept; of each text the clinical words of schemas/deid_note.toml, or X",
        ),
        ("Samples", "K", "kept bit for bit"),
    ]
    return [Row("edf", *one) for one in said]
