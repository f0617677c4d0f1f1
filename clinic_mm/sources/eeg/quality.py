"""Judge the channels of a recording: flat, saturated, not in volts, no numbers; and find noise from the mains.

In:  volts of a whole recording (in memory or in pages), its stretches without interruption, the amplifier's limits.
Out: the channels that carry no usable signal, and flags. One pass, in blocks: memory does not grow with the recording.

A bad channel is missing as a bad modality is: it is named, and the recording goes on without it. Nothing is repaired.
The limits are data: `schemas/eeg_channels.toml`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float16, Float32, Int64
from numpy import ndarray as Array

from clinic_mm.errors import EvidenceError
from clinic_mm.signals import Pages
from clinic_mm.sources.eeg.channels import channel_table
from clinic_mm.types import Flag

BLOCK_S: Final = 20.0
MAINS_HZ: Final = (50.0, 60.0)
FLANKS_HZ: Final = ((-6.0, -3.0), (3.0, 6.0))
"""Where the noise floor beside the mains is measured."""
MOST_VALUES: Final = 1_000_000
TINY: Final = 1e-30
LOOK_S: Final = 2.0
"""Of each block, for the spectrum."""


@dataclass(frozen=True, slots=True)
class Quality:
    """What was seen.

    Attributes:
        bad: Names of the channels that carry no usable signal.
    """

    bad: tuple[str, ...]
    flags: tuple[Flag, ...]


@dataclass(slots=True)
class _Seen:
    """Sums over the recording, and two small numbers per channel and second: a day takes 5 MB."""

    flat: list[Bool[Array, "channel second"]]
    spread_uv: list[Float16[Array, "channel second"]]
    broken: Bool[Array, " channel"]
    railed: Int64[Array, " channel"]
    beyond: Bool[Array, " channel"]
    log_power: Array
    spectra: int = 0
    samples: int = 0


def judge(
    volts: Float32[Array, "channel sample"] | Pages,
    names: Sequence[str],
    sfreq_hz: float,
    segments: Sequence[tuple[int, int]],
    rails: Float32[Array, "channel 2"] | None = None,
) -> Quality:
    """Judge every channel.

    Args:
        volts: The recording.
        names: Of its channels.
        sfreq_hz: Sampling rate.
        segments: First and last sample (exclusive) of each stretch without interruption.
        rails: Volts at the ends of the amplifier's range, where the format says them.

    Raises:
        EvidenceError: `eeg.flat`, `eeg.scale` (what was never in volts), `eeg.saturated`, `eeg.not_finite`: no channel
            is left, or the whole recording is in another unit.
    """
    table = channel_table()
    seen = _look(volts, sfreq_hz, segments, rails)
    flat = np.concatenate(seen.flat, axis=1)
    spread_uv = np.concatenate(seen.spread_uv, axis=1)
    broken = seen.broken
    typical = np.median(np.where(np.isfinite(spread_uv), spread_uv, np.inf), axis=1) * 1e-6
    kinds = {
        "eeg.not_finite": broken,
        "eeg.flat_channel": flat.mean(axis=1) > table.bad_share,
        # Values beyond the header's limits show that these are not where the amplifier ends.
        "eeg.saturated": ~seen.beyond & (seen.railed / seen.samples > table.railed_share),
        "eeg.scale": ~broken & (typical > table.scale_v),
    }
    _refuse(kinds, float(np.median(typical[~broken])) if not broken.all() else 0.0)
    bad = np.any(list(kinds.values()), axis=0)
    flags = [
        Flag(code=code, why=f"{WORDS[code]} in {_listed(names, found)}: left out")
        for code, found in kinds.items()
        if found.any()
    ]
    if (still := flat.any(axis=1) & ~bad).any():
        longest = int(flat[still].sum(axis=1).max())
        flags.append(Flag(code="eeg.flat_seconds", why=f"No signal for up to {longest} s in {_listed(names, still)}"))
    if (beyond := seen.beyond & ~bad).any():
        why = f"Values beyond the range that the header gives in {_listed(names, beyond)}"
        flags.append(Flag(code="eeg.beyond_range", why=why))
    flags += _mains(seen, sfreq_hz, ~bad)
    return Quality(tuple(name for name, gone in zip(names, bad, strict=True) if gone), tuple(flags))


WORDS: Final = {
    "eeg.not_finite": "Values that are no numbers",
    "eeg.flat_channel": "No signal",
    "eeg.saturated": "Amplifier at its limit",
    "eeg.scale": "Amplitudes that no EEG has",
}


def blocks(segments: Sequence[tuple[int, int]], size: int) -> Iterator[tuple[int, int]]:
    """Spans of at most `size` samples that cover all stretches, none across a gap."""
    for start, stop in segments:
        for at in range(start, stop, size):
            yield at, min(at + size, stop)


def _look(volts: Array | Pages, sfreq_hz: float, segments: Sequence[tuple[int, int]], rails: Array | None) -> _Seen:
    second, channels = max(1, round(sfreq_hz)), volts.shape[0]
    size = second * max(1, min(round(BLOCK_S), MOST_VALUES // (channels * second)))
    none = np.zeros(channels, bool)
    seen = _Seen(
        [], [], none, np.zeros(channels, np.int64), none, np.zeros((channels, round(LOOK_S * sfreq_hz) // 2 + 1))
    )
    for start, stop in blocks(segments, size):
        block = volts[:, start:stop]
        width = min(second, block.shape[1])
        cells = block.shape[1] // width
        cut = block[:, : cells * width].reshape(channels, cells, width)
        low, high = cut.min(axis=2), cut.max(axis=2)
        broken = ~np.isfinite(high - low)
        seen.flat.append((high - low < channel_table().flat_v) & ~broken)
        seen.spread_uv.append(_spread_uv(cut))
        seen.broken = seen.broken | broken.any(axis=1)
        seen.samples += block.shape[1]
        if rails is not None:
            _count_railed(seen, block, rails, low.min(axis=1), high.max(axis=1))
        if block.shape[1] >= round(LOOK_S * sfreq_hz):
            seen.log_power += np.log(_spectrum(block[:, : round(LOOK_S * sfreq_hz)]) + TINY)
            seen.spectra += 1
    return seen


def _spread_uv(cut: Array) -> Array:
    """Standard deviation within each second; slow drift of a direct-coupled amplifier is no wrong unit."""
    out = np.empty(cut.shape[:2], np.float16)
    with np.errstate(over="ignore", invalid="ignore"):
        for row, seconds in enumerate(cut):  # a row at a time: what is centred is a copy
            moved, n = seconds - seconds[:, :1], seconds.shape[1]
            mean = np.einsum("ij->i", moved) / n
            out[row] = np.sqrt(np.maximum(np.einsum("ij,ij->i", moved, moved) / n - mean**2, 0.0)) * 1e6
    return out


def _count_railed(seen: _Seen, block: Array, rails: Array, low: Array, high: Array) -> None:
    step = (rails[:, 1] - rails[:, 0]) * np.float32(1e-6)
    bottom, top = rails[:, 0], rails[:, 1]
    for row in np.flatnonzero((high >= top - step) | (low <= bottom + step)):
        at_end = np.minimum(np.abs(block[row] - top[row]), np.abs(block[row] - bottom[row])) <= step[row]
        seen.railed[row] += np.count_nonzero(at_end)
    seen.beyond = seen.beyond | (high > top + step) | (low < bottom - step)


def _spectrum(block: Array) -> Array:
    window = np.hanning(block.shape[1]).astype(np.float32)
    centred = np.nan_to_num(block - block.mean(axis=1, keepdims=True))
    return np.asarray(np.abs(np.fft.rfft(centred * window, axis=1)) ** 2 / (window.sum() ** 2 / 2))


def _mains(seen: _Seen, sfreq_hz: float, good: Array) -> list[Flag]:
    """A flag for each mains frequency that stands out of its surroundings.

    Power is the geometric mean over all blocks, volts squared: an artefact in some of them does not make a line.
    """
    table = channel_table()
    if not seen.spectra or not good.any():
        return []
    power = np.exp(seen.log_power / seen.spectra)
    freqs = np.fft.rfftfreq(round(LOOK_S * sfreq_hz), 1 / sfreq_hz)
    flags = []
    for mains_hz in MAINS_HZ:
        if mains_hz + 1 > freqs[-1]:
            continue
        beside = np.any([(freqs >= mains_hz + a) & (freqs <= mains_hz + b) for a, b in FLANKS_HZ], axis=0)
        line = power[:, np.abs(freqs - mains_hz) <= 1].max(axis=1)
        floor = np.median(power[:, beside], axis=1)
        loud = good & (line > table.line_ratio * floor) & (line > table.line_v**2)
        if loud.any():
            why = f"{mains_hz:g} Hz from the mains in {int(loud.sum())} of {int(good.sum())} channels"
            flags.append(Flag(code="eeg.line_noise", why=why))
    return flags


def _refuse(kinds: dict[str, Array], typical_v: float) -> None:
    table = channel_table()
    if kinds["eeg.flat_channel"].all():
        raise EvidenceError("eeg.flat", "No channel has a signal", "", "Check the amplifier, or the export's scale")
    if typical_v > table.scale_v:
        what = f"Typical amplitude is {typical_v * 1e3:.0f} mV, which no EEG has"
        raise EvidenceError("eeg.scale", what, "", "The file's unit is probably wrong: export it in µV")
    if np.any(list(kinds.values()), axis=0).all():
        code = max(kinds, key=lambda kind: int(kinds[kind].sum()))
        what = f"No channel is left to use: {WORDS[code].lower()}"
        raise EvidenceError("eeg.flat" if code == "eeg.flat_channel" else code, what, "", "Check the amplifier")


def _listed(names: Sequence[str], which: Array) -> str:
    found = [name for name, one in zip(names, which, strict=True) if one]
    return ", ".join(found) if len(found) <= 6 else f"{len(found)} channels"
