"""Tell EEG channels from the others and give them their 10-20 names.

In:  the labels of a recording as its file has them, and which of them are voltages.
Out: which to keep, under which names, and what was seen. The names are data: `schemas/eeg_channels.toml`.

Nothing here guesses a position: a label that is not in the table stays as it is and is flagged.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache

from clinic_mm import bundle
from clinic_mm.types import Flag

BANK_LABEL = re.compile(r"[A-I]\d{1,2}")
BANK_ONLY = re.compile(r"[BDGH]\d{1,2}")
"""Labels that number the plugs of an amplifier (BioSemi, grids); no 10-20 name begins with these letters."""
BANK_MIN = 8


@dataclass(frozen=True, slots=True)
class ChannelTable:
    """The policy table, ready for use."""

    electrodes: dict[str, str]
    prefix: re.Pattern[str]
    reference: re.Pattern[str]
    joined: re.Pattern[str]
    not_eeg: dict[str, re.Pattern[str]]
    units: dict[str, float]
    no_patient: frozenset[str]
    no_date: frozenset[date]
    scale_v: float
    flat_v: float
    bad_share: float
    railed_share: float
    line_ratio: float
    line_v: float
    values: int
    values_held: int
    rates_hz: tuple[float, float]
    floor: int


@dataclass(frozen=True, slots=True)
class ChannelPlan:
    """Which channels to read.

    Attributes:
        keep: Positions in the file, ascending.
        names: Their names, one for each of `keep`.
        flags: Blank, duplicated, unplaced labels.
        others: Label and kind (`ecg`, `eog`, `emg`, `resp`, `oxygen`, `stim`, `other`) of what is no EEG.
    """

    keep: tuple[int, ...]
    names: tuple[str, ...]
    flags: tuple[Flag, ...]
    others: tuple[tuple[str, str], ...] = ()


@cache
def channel_table() -> ChannelTable:
    """Read `schemas/eeg_channels.toml` once."""
    given = bundle.policy("eeg_channels")
    electrodes = {name.upper(): name for name in given["electrodes"]}
    electrodes |= {old.upper(): new for old, new in given["aliases"].items()}
    return ChannelTable(
        electrodes=electrodes,
        prefix=re.compile(rf"(?:{_either(given['prefixes'])})[ _-]+(?=\S)", re.IGNORECASE),
        reference=re.compile(rf"(.+?) ?[-:_/] ?(?:{_either(given['references'])})(?:-\d)?", re.IGNORECASE),
        joined=re.compile(rf"(.+)(?:{_either(given['joined_references'])})", re.IGNORECASE),
        not_eeg={kind: re.compile("|".join(forms), re.IGNORECASE) for kind, forms in given["not_eeg"].items()},
        units=dict(given["units"]),
        no_patient=frozenset(code.upper() for code in given["header"]["no_patient"]),
        no_date=frozenset(given["header"]["no_date"]),
        rates_hz=tuple(given["limits"].pop("rates_hz")),
        **given["limits"],
    )


def volts_per(unit: str) -> float:
    """Volts in one unit; 0 where it is no unit of voltage that the table knows."""
    return channel_table().units.get(unit, 0.0)


def electrode_name(label: str) -> str | None:
    """The 10-20 name of a label, `Fp1-F7` for a derivation of two, None where the table does not know it."""
    table = channel_table()
    bare = bare_label(label)
    if found := table.electrodes.get(bare.upper()):
        return found
    for form in (table.reference, table.joined):
        if (referenced := form.fullmatch(bare)) and (found := table.electrodes.get(referenced[1].upper())):
            return found
    parts = bare.split("-")
    if len(parts) == 3 and parts[2].isdigit():  # how exports tell equal derivations apart: `T8-P8-0`
        parts.pop()
    pair = [table.electrodes.get(part.strip().upper()) for part in parts]
    return f"{pair[0]}-{pair[1]}" if len(pair) == 2 and all(pair) else None


def bare_label(label: str) -> str:
    """A label without its kind of signal, outer blanks and trailing dots (`EEG Fp1-Ref` to `Fp1-Ref`)."""
    return channel_table().prefix.sub("", " ".join(label.split()).strip(" ."), count=1)


def plan_channels(labels: Sequence[str], voltage: Sequence[bool]) -> ChannelPlan:
    """Choose the EEG channels of a recording.

    Args:
        labels: As in the file, in order.
        voltage: Whether the channel's unit is one of voltage.
    """
    known = [electrode_name(label) for label in labels]
    blank = [not bare_label(label) for label in labels]
    banks = _is_bank([bare_label(label) for label in labels])
    other = [_kind(bare_label(label), banks=banks) for label in labels]
    wanted = [i for i in range(len(labels)) if not blank[i] and (known[i] is not None or not other[i])]
    others = tuple((bare_label(labels[i]), other[i]) for i in range(len(labels)) if other[i] and known[i] is None)
    electric = [i for i in wanted if voltage[i]]
    named = {i: _name(labels[i], known[i], banks=banks) for i in electric}
    often = Counter(named.values())
    keep = tuple(i for i in electric if often[named[i]] == 1)
    counts = {
        "eeg.blank_label": (sum(blank), "channels have no label and were left out"),
        "eeg.duplicate_label": (len(electric) - len(keep), "channels share a name with another and were left out"),
        "eeg.not_voltage": (len(wanted) - len(electric), "channels have no unit of voltage and were left out"),
        "eeg.bank_labels": (len(keep) if banks else 0, "channels are named by amplifier plug, not by position"),
        "eeg.unplaced": (0 if banks else sum(known[i] is None for i in keep), "channels have no 10-20 name"),
    }
    flags = tuple(Flag(code=code, why=f"{count} {why}") for code, (count, why) in counts.items() if count)
    return ChannelPlan(keep=keep, names=tuple(named[i] for i in keep), flags=flags, others=others)


def _name(label: str, known: str | None, *, banks: bool) -> str:
    bare = bare_label(label)
    if banks and BANK_LABEL.fullmatch(bare.upper()):
        return f"bank-{bare}"  # C3 of bank C is not the C3 of the 10-20 system
    return known or " ".join(label.split()).strip(" .")


def _kind(bare: str, *, banks: bool) -> str:
    """What a signal is that is no EEG; "" where the label does not say so."""
    if banks and BANK_LABEL.fullmatch(bare.upper()):
        return ""
    table = channel_table()
    referenced = table.reference.fullmatch(bare)
    forms = (bare, referenced[1]) if referenced else (bare,)
    return next((kind for kind, form in table.not_eeg.items() for one in forms if form.fullmatch(one)), "")


def _is_bank(labels: Sequence[str]) -> bool:
    return sum(bool(BANK_ONLY.fullmatch(label.upper())) for label in labels) >= BANK_MIN


def _either(words: Sequence[str]) -> str:
    return "|".join(re.escape(word) for word in words)
