"""What an EEG viewer is told: the recording in words and numbers, montages as sparse rows, samples by range.

In:  an opened `EegRecording`, whose samples may stay in their file.
Out: plain values for JSON, and the bytes of one page.

Nothing is filtered, scaled or referenced here: the page holds what the reader gives, bit for bit. A browser filters.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

from clinic_mm.errors import EvidenceError, InputError
from clinic_mm.prep.montage import MONTAGES, montage, montage_table
from clinic_mm.signals import EegRecording
from clinic_mm.sources.eeg.quality import Quality

PAGE_VALUES: Final = 6_000_000
"""Channels times samples that one request may ask for: 24 MB, half a minute of 139 channels at 1,000 Hz and more."""
TINY: Final = 1e-12


def told(recording: EegRecording, quality: Quality | None) -> dict[str, Any]:
    """A recording as a viewer needs it, without a sample.

    Args:
        recording: As opened; annotation texts have been masked by the reader.
        quality: What judging its channels found; None while nobody has looked yet: no channel is named bad then.

    Returns:
        `channels`, `bad`, `judged`, `sfreq_hz`, `samples`, `gaps` (onset_s, duration_s), `annotations` (onset_s,
        duration_s, text, code), `others` (label, kind), `flags`, `montages`.
    """
    bad = quality.bad if quality else ()
    flags = (*recording.flags, *(quality.flags if quality else ()))
    codes = {(onset, length): code for onset, length, code in recording.events}
    return {
        "channels": list(recording.channels),
        "bad": list(bad),
        "judged": quality is not None,
        "sfreq_hz": recording.sfreq_hz,
        "samples": recording.volts.shape[1],
        "gaps": [list(gap) for gap in recording.gaps],
        "annotations": [[at, length, text, codes.get((at, length), "")] for at, length, text in recording.annotations],
        "others": [list(one) for one in recording.others],
        "flags": [flag.why for flag in flags],
        "montages": montages(recording.channels, bad),
    }


def montages(channels: Sequence[str], bad: Sequence[str]) -> list[dict[str, Any]]:
    """Every montage that these channels allow, each derivation as a sparse row.

    Returns:
        `name`, `label`, `common` (channel, weight) and `rows`: name, (channel, weight) pairs, whether `common` is
        added, and whether it is bad. A row without pairs cannot be had, and is told where a bad channel is the reason.
    """
    found = []
    for name in MONTAGES:
        # As recorded shows bad channels too, marked: a reader judges them by eye.
        chosen = montage(name, channels, () if name == MONTAGES[0] else bad)
        rows, common = sparse(chosen.matrix)
        kept = [
            {"name": derivation, "pairs": pairs, "common": with_common, "bad": _touches(derivation, bad)}
            for derivation, (pairs, with_common) in zip(chosen.names, rows, strict=True)
            if pairs or _touches(derivation, bad)
        ]
        if any(row["pairs"] for row in kept):
            found.append({"name": name, "label": montage_table().labels[name], "common": common, "rows": kept})
    return found


def sparse(
    matrix: Float[Array, "derivation channel"],
) -> tuple[list[tuple[list[tuple[int, float]], bool]], list[tuple[int, float]]]:
    """A montage as few numbers: what most rows share (a common reference) once, and each row's own weights.

    Returns:
        For each row its (channel, weight) pairs and whether the common weights are added to them, none for a row that
        cannot be had; and the common weights. Adding them up gives the matrix.
    """
    there = np.isfinite(matrix).all(axis=1)
    common = np.median(matrix[there], axis=0) if there.any() else np.zeros(matrix.shape[1])
    rows: list[tuple[list[tuple[int, float]], bool]] = []
    for row, known in zip(matrix, there, strict=True):
        plain, less = (_pairs(row), _pairs(row - common)) if known else ([], [])
        rows.append((less, True) if len(less) < len(plain) else (plain, False))
    return rows, _pairs(common) if any(shared for _, shared in rows) else []


def page(recording: EegRecording, start: int, stop: int) -> bytes:
    """Samples `start` to `stop` of all channels: volts, float32 little-endian, one channel after the other.

    A page that reaches beyond the recording ends with it; NaN where nothing was recorded.

    Raises:
        InputError: If the span is none, or is larger than one request may be.
        EvidenceError: If the file is no longer what it was when it was opened.
    """
    channels, samples = recording.volts.shape
    stop = min(stop, samples)
    if not 0 <= start < stop:
        raise InputError("There is no such page", "page", "Ask for samples within the recording")
    if channels * (stop - start) > PAGE_VALUES:
        raise InputError("This page is too long for one request", "page", "Ask for it in parts")
    volts = np.ascontiguousarray(recording.volts[:, start:stop], dtype="<f4")
    if volts.shape != (channels, stop - start):
        raise EvidenceError("eeg.changed", "The file changed while it was read", "eeg", "Wait until it is written")
    return volts.tobytes()


def _pairs(weights: Float[Array, " channel"]) -> list[tuple[int, float]]:
    return [(int(channel), float(weights[channel])) for channel in np.flatnonzero(np.abs(weights) > TINY)]


def _touches(derivation: str, bad: Sequence[str]) -> bool:
    """Whether a derivation is one of the bad channels, or would need one."""
    return derivation in bad or bool(set(derivation.split("-")) & set(bad))
