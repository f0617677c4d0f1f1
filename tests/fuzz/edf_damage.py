"""Damage EDF and BDF where they are vulnerable: header fields, times, structure, line ends, samples.

In:  the bytes of a valid file and a random generator. Out: the name of what was done, and other bytes.
"""

from collections.abc import Callable
from typing import Final

import numpy as np

from tests.fuzz.mutate import mutate
from tests.sources.eeg.edf_files import SIGNAL_FIELDS, parts_of

FIXED: Final = {
    "version": (0, 8),
    "patient": (8, 88),
    "recording": (88, 168),
    "start date": (168, 176),
    "start time": (176, 184),
    "header length": (184, 192),
    "reserved": (192, 236),
    "number of records": (236, 244),
    "duration of a record": (244, 252),
    "number of signals": (252, 256),
}
LIES: Final = (
    b"0",
    b"-1",
    b"1",
    b"2",
    b"9",
    b"99999999",
    b"-99999",
    b"1e9",
    b"1e-9",
    b"nan",
    b"inf",
    b"0.5",
    b"32767",
    b"",
)
UNITS: Final = (b"mV", b"V", b"nV", b"%", b"", b"Boolean", b"\xb5V")
Damage = Callable[[np.random.Generator, bytes], tuple[str, bytes]]


def damage(rng: np.random.Generator, data: bytes) -> tuple[str, bytes]:
    """One kind of damage."""
    return KINDS[int(rng.choice(len(KINDS), p=SHARES))](rng, data)


def _fixed_field(rng: np.random.Generator, data: bytes) -> tuple[str, bytes]:
    name = str(rng.choice(list(FIXED)))
    done, hurt = mutate(rng, data, FIXED[name])
    return f"{name}: {done}", hurt


def _signal_field(rng: np.random.Generator, data: bytes) -> tuple[str, bytes]:
    name, parts = str(rng.choice(list(SIGNAL_FIELDS))), parts_of(data)
    done, hurt = mutate(rng, data, parts.field(name, int(rng.integers(parts.signals))))
    return f"{name}: {done}", hurt


def _digit(rng: np.random.Generator, data: bytes) -> tuple[str, bytes]:
    """One digit of the header becomes another: what is hardest to see."""
    digits = [at for at in range(184, parts_of(data).header) if data[at : at + 1].isdigit()]
    at = int(rng.choice(digits))
    return "digit: changed", data[:at] + b"%d" % rng.integers(10) + data[at + 1 :]


def _lie(rng: np.random.Generator, data: bytes) -> tuple[str, bytes]:
    """A whole field says something else, in the form that the standard asks for."""
    parts = parts_of(data)
    name = str(rng.choice([*SIGNAL_FIELDS, "number of records", "duration of a record", "label of another"]))
    signal, other = (int(one) for one in rng.integers(parts.signals, size=2))
    if name in {"label", "label of another"}:
        (low, high), (a, b) = parts.field("label", signal), parts.field("label", other)
        said = data[a:b]
    else:
        low, high = FIXED.get(name) or parts.field(name, signal)
        choices = UNITS if name == "unit" else LIES
        said = choices[int(rng.integers(len(choices)))].ljust(high - low)
    return f"{name}: lie", data[:low] + said + data[high:]


def _times(rng: np.random.Generator, data: bytes) -> tuple[str, bytes]:
    parts = parts_of(data)
    if parts.annotations is None:
        return _fixed_field(rng, data)
    at = parts.header + int(rng.integers(parts.records)) * parts.record
    done, hurt = mutate(rng, data, (at + parts.annotations[0], at + parts.annotations[1]))
    return f"annotations: {done}", hurt


def _records(rng: np.random.Generator, data: bytes) -> tuple[str, bytes]:
    """Whole records change places, are lost or come twice, and the header is told."""
    parts = parts_of(data)
    cut = [data[parts.header + i * parts.record :][: parts.record] for i in range(parts.records)]
    a, b = (int(one) for one in rng.choice(parts.records, 2, replace=False))
    how = str(rng.choice(["swapped", "lost", "twice"]))
    if how == "swapped":
        cut[a], cut[b] = cut[b], cut[a]
    elif how == "lost":
        del cut[a]
    else:
        cut.insert(b, cut[a])
    head = data[:236] + b"%-8d" % len(cut) + data[244 : parts.header]
    return f"records: {how}", head + b"".join(cut)


def _lines(rng: np.random.Generator, data: bytes) -> tuple[str, bytes]:
    """What a transfer as text does."""
    how = str(rng.choice(["LF to CRLF", "CRLF to LF", "LF to CR", "7 bits", "UTF-8"]))
    changed = {
        "LF to CRLF": lambda: data.replace(b"\n", b"\r\n"),
        "CRLF to LF": lambda: data.replace(b"\r\n", b"\n"),
        "LF to CR": lambda: data.replace(b"\n", b"\r"),
        "7 bits": lambda: bytes(np.frombuffer(data, np.uint8) & 127),
        "UTF-8": lambda: data.decode("latin-1").encode(),
    }
    return f"line ends: {how}", changed[how]()


def _header(rng: np.random.Generator, data: bytes) -> tuple[str, bytes]:
    done, hurt = mutate(rng, data, (0, parts_of(data).header))
    return f"header: {done}", hurt


def _anywhere(rng: np.random.Generator, data: bytes) -> tuple[str, bytes]:
    done, hurt = mutate(rng, data)
    return f"anywhere: {done}", hurt


KINDS: Final[tuple[Damage, ...]] = (
    _fixed_field, _signal_field, _digit, _lie, _times, _records, _lines, _header, _anywhere,
)  # fmt: skip
SHARES: Final = (0.12, 0.18, 0.14, 0.14, 0.10, 0.06, 0.03, 0.11, 0.12)
