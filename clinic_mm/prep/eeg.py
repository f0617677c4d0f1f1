"""Turn an EEG recording into windows for the EEG encoder, and into band power for the plain heads.

In:  volts by channel with 10-20 names (clinic_mm.signals.EegRecording), of any length.
Out: float16 [window, derivation, sample] in units of 50 microvolts, 0.5-45 Hz, 128 Hz, in the montage of the task
     (average reference of the 19 electrodes of the 10-20 system, where it does not say); a derivation that is not
     there, or not in this window, is NaN (the encoder treats it as missing); plain summaries: log band power,
     amplitude quantiles, line length, kurtosis, sharp peaks.

A bad channel counts as absent, to the bit. Windows are spread evenly over what was recorded, none across a gap.
A day is prepared in the memory of a minute.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import ClassVar, Final, Self

import numpy as np
import torch
from numpy import ndarray as Array
from torch import Tensor

from clinic_mm.errors import EvidenceError
from clinic_mm.prep.base import Mistake, Prep, Prepared, Recipe, widened
from clinic_mm.prep.eeg_summary import BANDS_HZ, MEASURES, REGIONS, SHARP_LEVELS, TRACES, EegSummary
from clinic_mm.prep.eeg_windows import resampled, stream
from clinic_mm.prep.montage import check_montage, derivations, montage, montage_table
from clinic_mm.signals import EegRecording
from clinic_mm.sources.eeg.channels import channel_table
from clinic_mm.task import ModalityTask
from clinic_mm.types import Flag

CHANNELS: Final = montage_table().electrodes
SFREQ_HZ: Final = 128.0
UNIT_V: Final = 50e-6
CLIP: Final = 20.0
WINDOW_S: Final = 4.0
WINDOWS: Final = {"tiny": 8, "small": 16, "base": 32}
DEFAULT_MONTAGE: Final = "average"
ELECTRODE: Final = re.compile(r"([A-Z][A-Za-z]*)(\d+)")
LEAST: Final = 1e-4
"""Of the unit: 5 nanovolts, below what any amplifier tells from nothing."""
"""Looked at in single precision: half of it is ten times as slow on CPUs, and all of a cohort would not fit."""


class EegPrep(Prep[EegRecording]):
    """Filter, resample, re-reference and cut a recording."""

    kind: ClassVar[str] = "eeg"
    version: ClassVar[int] = 2
    dtype = np.float16

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe)
        self.montage = check_montage(recipe.get("montage", DEFAULT_MONTAGE))
        self.floor = int(recipe.get("floor", channel_table().floor))
        self.sfreq_hz = float(recipe["sfreq_hz"])
        self.n_samples = int(recipe["window_s"] * self.sfreq_hz)

    @classmethod
    def plan(cls, size: str, options: ModalityTask) -> Self:
        """A number of windows by model size, the task's montage; nothing to learn from a cohort.

        Raises:
            TaskError: For an unknown montage.
        """
        named = check_montage(options.montage or DEFAULT_MONTAGE)
        told = {"windows": WINDOWS[size], "window_s": WINDOW_S, "sfreq_hz": SFREQ_HZ}
        return cls(told | {"montage": named, "floor": channel_table().floor})

    def __call__(self, signal: EegRecording, until: object = None) -> Prepared:
        """Prepare one recording.

        Raises:
            EvidenceError: `eeg.no_1020` without any 10-20 channel, `eeg.too_few_channels` below the floor,
                `eeg.too_short` where no stretch holds a window.
        """
        del until
        names, rows = _ten_twenty(signal)
        starts = self._starts(signal)
        summary = EegSummary(derivations(self.montage), self.sfreq_hz)
        x = np.full(self.shape, np.nan, self.dtype)
        seen = np.zeros(len(names))
        for start, part in self._parts(signal, names, rows, seen):
            summary.add(part)
            _cut(x, part, start, starts)
        total = sum(resampled(b - a, signal.sfreq_hz, self.sfreq_hz) for a, b in signal.segments)
        flags = self._check(names, seen / total, bool(summary.n.any()))
        return Prepared(x, summary.finish(), (*signal.flags, *flags))

    @property
    def shape(self) -> tuple[int, ...]:
        """Windows, derivations, samples."""
        return (int(self.recipe["windows"]), len(derivations(self.montage)), self.n_samples)

    @property
    def plain_names(self) -> tuple[str, ...]:
        """Band power by region, every measure as mean and largest of all channels, sharp peaks of two traces."""
        return (
            *(f"{band} {region}" for region in REGIONS for band in BANDS_HZ),
            *(f"{measure} {place}" for place in ("all", "largest") for measure in MEASURES),
            *(f"sharp {trace} q{q:g}" for trace in TRACES for q in SHARP_LEVELS),
        )

    def looks(self, x: Array) -> Array:
        """Amplitude and step of each derivation: log of the typical absolute value and of the typical change."""
        out = np.zeros((len(x), len(self.looks_names)), np.float32)
        for row, one in enumerate(x):  # one at a time: a recording stays in the processor's cache, all do not
            volts = widened(one)
            out[row] = torch.cat([_typical(volts), _typical(volts.diff(dim=2))]).numpy()
        return out

    @property
    def looks_names(self) -> tuple[str, ...]:
        """By derivation."""
        names = derivations(self.montage)
        return (*(f"amplitude of {one}" for one in names), *(f"sharpness of {one}" for one in names))

    @property
    def mistakes(self) -> tuple[Mistake, ...]:
        """Left and right swapped, where the montage has every derivation on both sides."""
        names = derivations(self.montage)
        swapped = [_other_side(one) for one in names]
        if any(one not in names for one in swapped):
            return ()
        order = [names.index(one) for one in swapped]
        return (Mistake("eeg.sides_swapped", "as if left and right were swapped", lambda x: x[:, :, order], True),)

    def _starts(self, signal: EegRecording) -> Array:
        """First samples of the windows at the new rate, spread evenly over all places where a window fits."""
        edges = [
            (resampled(a, signal.sfreq_hz, self.sfreq_hz), resampled(b - a, signal.sfreq_hz, self.sfreq_hz))
            for a, b in signal.segments
        ]
        room = np.array([max(0, length - self.n_samples + 1) for _, length in edges])
        if not room.sum():
            what = f"The recording is shorter than one window of {self.recipe['window_s']:g} s"
            raise EvidenceError("eeg.too_short", what, "eeg", "Leave it out")
        ends = np.cumsum(room)
        places = np.linspace(0, ends[-1] - 1, int(self.recipe["windows"])).astype(int)
        which = np.searchsorted(ends, places, side="right")
        firsts = np.array([first for first, _ in edges])
        return np.asarray(firsts[which] + places - (ends - room)[which])

    def _parts(
        self, signal: EegRecording, names: Sequence[str], rows: Sequence[int], seen: Array
    ) -> Iterator[tuple[int, Array]]:
        """Stretches in which the same channels have a signal, in the montage, in units of 50 microvolts."""
        for block in stream(signal.volts, signal.sfreq_hz, self.sfreq_hz, signal.segments, rows):
            for a, b in _runs(block.volts, int(self.sfreq_hz)):
                part = block.volts[:, a:b]
                there = np.isfinite(part[:, 0])
                seen += there * (b - a)
                yield (
                    block.start + a,
                    self._referenced(part[there], [one for one, ok in zip(names, there, strict=True) if ok]),
                )

    def _referenced(self, part: Array, names: list[str]) -> Array:
        """All derivations of the recipe's montage, NaN where they cannot be had."""
        missing = [one for one in CHANNELS if one not in names]
        given = montage(self.montage, CHANNELS, missing)
        whole = np.zeros((len(CHANNELS), part.shape[1]), np.float32)
        whole[[CHANNELS.index(one) for one in names]] = part
        return np.asarray(np.clip(given.apply(whole) / np.float32(UNIT_V), -CLIP, CLIP))

    def _check(self, names: Sequence[str], share: Array, derived: bool) -> tuple[Flag, ...]:
        """Refuse too few channels; `share` is the part of the time in which each of `names` has a signal."""
        if not share.any():
            raise _none()
        most = int((share >= 1 - channel_table().bad_share).sum())
        if most < self.floor or not derived:
            what = f"{most} of the 19 electrodes of the 10-20 system carry a signal; {self.floor} are needed"
            raise EvidenceError("eeg.too_few_channels", what, "eeg", "Check the electrodes, or leave the EEG out")
        there = {name for name, one in zip(names, share, strict=True) if one}
        missing = [name for name in CHANNELS if name not in there]
        why = f"No signal from: {', '.join(missing)}"
        return (Flag(code="eeg.channels_missing", why=why),) if missing else ()


def _ten_twenty(signal: EegRecording) -> tuple[list[str], list[int]]:
    """Names and rows of the channels of the 10-20 system that are not bad."""
    where = {name: row for row, name in reversed(list(enumerate(signal.channels)))}
    names = [name for name in CHANNELS if name in where and name not in signal.bad]
    if not names:
        raise _none()
    return names, [where[name] for name in names]


def _other_side(name: str) -> str:
    """The derivation in the same place on the other side: odd numbers are left, even ones right."""
    return ELECTRODE.sub(lambda found: f"{found[1]}{int(found[2]) + (1 if int(found[2]) % 2 else -1)}", name)


def _typical(x: Tensor) -> Tensor:
    """Log of the mean absolute value of each derivation [window, derivation, sample]; NaN where it is not there."""
    size = x.abs()
    total, count = size.sum(dim=(0, 2)), size.new_full((x.shape[1],), x.shape[0] * x.shape[2])
    if not total.isfinite().all():
        there = x.isfinite()
        total, count = size.where(there, 0.0).sum(dim=(0, 2)), there.sum(dim=(0, 2))
    return (total / count + LEAST).log().where(count > 0, torch.nan)


def _none() -> EvidenceError:
    mend = "Check the channel names, or add aliases to schemas/eeg_channels.toml"
    return EvidenceError("eeg.no_1020", "No channel of the 10-20 system carries a signal", "eeg", mend)


def _runs(volts: Array, second: int) -> Iterator[tuple[int, int]]:
    """Stretches of whole seconds in which the same channels have a signal."""
    there = np.isfinite(volts[:, ::second])
    edges = np.flatnonzero(np.any(there[:, 1:] != there[:, :-1], axis=0)) + 1
    bounds = [0, *(int(edge) * second for edge in edges), volts.shape[1]]
    yield from pairwise(bounds)


def _cut(x: Array, part: Array, start: int, starts: Array) -> None:
    """Copy what a stretch holds of each window; a window that it holds only in part keeps the rest as NaN."""
    length = x.shape[2]
    for window in np.flatnonzero((starts < start + part.shape[1]) & (starts + length > start)):
        a, b = max(start, starts[window]), min(start + part.shape[1], starts[window] + length)
        x[window, :, a - starts[window] : b - starts[window]] = part[:, a - start : b - start]
