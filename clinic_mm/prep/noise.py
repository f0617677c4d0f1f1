"""Disturb one modality of prepared cases, as bad equipment would: noise, blur, dead channels (METHODS §3, co-learning).

In:  prepared cases, the recipe and roots that they came from, which modality, how badly.
Out: PreparedCases in which that modality was read again, disturbed as a *signal*, and prepared anew. So tensors and
plain summaries tell of the same disturbed signal, and what a check refuses (no channel left) is absent, as it would be.

    noise   level is the signal-to-noise ratio in dB: 10 log10(variance of signal / variance of noise)
            images, EEG, ECG, sound, gaze: white Gaussian noise, against the variance of the image, channel, coordinate
            (as acquired: an image that is made smaller afterwards loses much of it)
            records: each number by itself, against the variance of its parameter between these cases
            notes: letters of words replaced at random; the share of words is the noise's share of the power
    blur    level is sigma as a share of the image's side: CT and X-ray
    dead    level is the share of channels that lie flat: EEG and ECG

The same seed disturbs the same signal alike, in whatever order or process. For test cases: nothing learns from these.
"""

import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final, Literal

import numpy as np
from jaxtyping import Bool
from numpy import ndarray as Array
from scipy import ndimage

from clinic_mm.cohort.load import load_evidence
from clinic_mm.errors import EvidenceError, TaskError
from clinic_mm.prep.base import Prep, Prepared
from clinic_mm.prep.batch import Outcome, PreparedCases, Recipe, prepare_cases
from clinic_mm.prep.gaps import hide
from clinic_mm.prep.record import RecordPrep
from clinic_mm.signals import (
    AudioRecording,
    CtVolume,
    EcgRecording,
    EegRecording,
    GazeRecording,
    NoteText,
    PatientRecord,
    Signal,
    XrayImage,
)
from clinic_mm.sources.choose import in_order
from clinic_mm.sources.eeg.quality import judge

How = Literal["noise", "blur", "dead"]
LETTERS: Final = np.array(list("abcdefghijklmnopqrstuvwxyz"))
FIRST_SAMPLES: Final = 1024
"""Of a recording, to know it again by."""
Spreads = Mapping[tuple[str, str], float]
"""Of each parameter of a record, by code and unit, its standard deviation between cases."""


@dataclass(frozen=True, slots=True)
class Disturbance:
    """What is done to a signal, see the module."""

    how: How
    level: float
    seed: int = 0


def noisy(
    prepared: PreparedCases,
    recipe: Recipe,
    roots: Mapping[str, Path],
    modality: str,
    disturbance: Disturbance,
    *,
    workers: int = 1,
) -> PreparedCases:
    """The same cases with one modality disturbed.

    Raises:
        TaskError: If the task has no such modality, its kind cannot be disturbed so, or the level makes no sense.
    """
    if modality not in recipe.preps:
        mend = f"Modalities of this task: {', '.join(recipe.names)}"
        raise TaskError(f"There is no modality {modality!r} to disturb", "noise", mend)
    prep = recipe.preps[modality]
    feeding = Disturbed(prep, disturbance, spreads(prepared, prep, modality))
    _try(prepared, roots, recipe.select, feeding)
    again = prepare_cases(prepared.cases, roots, Recipe({modality: feeding}, recipe.select), workers=workers)
    # What had been hidden in these cases stays hidden.
    again = hide(again, prepared.present[:, [prepared.names.index(modality)]])
    return _spliced(prepared, again, modality)


def spreads(prepared: PreparedCases, prep: Prep[Signal], modality: str) -> Spreads:
    """Standard deviation of the last value of each number of a record between these cases; empty for other kinds."""
    if not isinstance(prep, RecordPrep):
        return {}
    first = np.cumsum([0, *(len(prep.cells(f)) for f in prep.features)])
    found = {}
    for place, feature in zip(first, prep.features, strict=False):
        known = prepared.plain[modality][:, place].astype(np.float64)
        known = known[np.isfinite(known)]
        if feature.how == "number" and len(known) > 1:
            found[feature.code, feature.detail] = float(known.std())
    return found


class Disturbed(Prep[Signal]):
    """Another prep, fed with disturbed signals."""

    def __init__(self, prep: Prep[Signal], disturbance: Disturbance, spread: Spreads) -> None:
        super().__init__(prep.recipe)
        self.prep, self.disturbance, self.spread = prep, disturbance, spread
        self.kind, self.dtype = prep.kind, prep.dtype  # type: ignore[misc]  # a class's own elsewhere, another's here

    @classmethod
    def plan(cls, size: str, options: object) -> "Disturbed":
        """Nobody plans to disturb."""
        raise NotImplementedError

    def __call__(self, signal: Signal, until: datetime | None = None) -> Prepared:
        """Disturb, then prepare. Raises as the prep does, and where a check finds nothing usable left."""
        return self.prep(disturbed(signal, self.disturbance, self.spread), until)

    @property
    def key(self) -> str:
        """The prep's own, and what is done to its signals."""
        return f"{self.prep.key} {self.disturbance}"

    @property
    def shape(self) -> tuple[int, ...]:
        """As the prep's own."""
        return self.prep.shape

    @property
    def plain_names(self) -> tuple[str, ...]:
        """As the prep's own."""
        return self.prep.plain_names


def disturbed(signal: Signal, disturbance: Disturbance, spread: Spreads) -> Signal:
    """One signal, disturbed.

    Raises:
        TaskError: If this kind cannot be disturbed so.
        EvidenceError: Where nothing usable is left.
    """
    known = WAYS.get(type(signal), {})
    if disturbance.how not in known:
        can = ", ".join(known) or "nothing"
        what = f"{disturbance.how!r} cannot be done to a {type(signal).__name__}"
        raise TaskError(what, "noise", f"What can be done to it: {can}")
    return known[disturbance.how](signal, disturbance.level, _generator(signal, disturbance.seed), spread)


def _try(prepared: PreparedCases, roots: Mapping[str, Path], select: str, prep: Disturbed) -> None:
    """One signal before all of them: what cannot be done at all is our caller's mistake and no case's failure."""
    for case in prepared.cases:
        for evidence in in_order(case.usable(prep.kind), select)[:1]:
            with suppress(EvidenceError):
                disturbed(load_evidence(evidence, roots, prep.kind), prep.disturbance, prep.spread)
            return


def _spliced(prepared: PreparedCases, again: PreparedCases, modality: str) -> PreparedCases:
    column = prepared.names.index(modality)
    present, time_h = prepared.present.copy(), prepared.time_h.copy()
    present[:, column], time_h[:, column] = again.present[:, 0], again.time_h[:, 0]
    outcomes: tuple[dict[str, Outcome], ...] = tuple(
        {**old, **new} for old, new in zip(prepared.outcomes, again.outcomes, strict=True)
    )
    return replace(
        prepared,
        x={**prepared.x, **again.x},
        row={**prepared.row, **again.row},
        plain={**prepared.plain, **again.plain},
        present=present,
        time_h=time_h,
        outcomes=outcomes,
    )


def _generator(signal: Signal, seed: int) -> np.random.Generator:
    """Of the seed and of what is disturbed, so that neither order nor process matters."""
    match signal:
        case CtVolume():
            content: Array = signal.hu
        case XrayImage():
            content = signal.grey
        case EegRecording():
            content = np.asarray(signal.volts[:, :FIRST_SAMPLES])
        case EcgRecording():
            content = signal.millivolts
        case GazeRecording():
            content = signal.x
        case AudioRecording():
            content = signal.wave
        case PatientRecord():
            content = signal.rows["value"].to_numpy(np.float64)
        case NoteText():
            content = np.frombuffer(signal.text.encode(), np.uint8)
        case _:
            content = np.zeros(0)
    return np.random.default_rng([seed, zlib.crc32(np.ascontiguousarray(content).tobytes())])


def _with_noise(values: Array, snr_db: float, generator: np.random.Generator, axis: int | None = None) -> Array:
    """White noise against the variance along `axis`, or of everything."""
    spread = np.nanstd(values, axis=axis, keepdims=axis is not None) * 10 ** (-snr_db / 20)
    out: Array = (values + spread * generator.standard_normal(values.shape)).astype(values.dtype)
    return out


def _blurred(values: Array, share: float) -> Array:
    if not 0 < share < 1:
        raise TaskError(f"A blur of {share} of the side is none", "noise", "Take a share such as 0.02")
    out: Array = ndimage.gaussian_filter(values, [share * side for side in values.shape])
    return out


def _dead(n: int, share: float, generator: np.random.Generator) -> Bool[Array, " n"]:
    if not 0 < share <= 1:
        raise TaskError(f"{share} is no share of the channels", "noise", "Take one above 0, up to 1")
    return np.isin(np.arange(n), generator.permutation(n)[: max(1, round(share * n))])


def _ct(how: str, signal: CtVolume, level: float, generator: np.random.Generator, _: Spreads) -> CtVolume:
    return replace(signal, hu=_blurred(signal.hu, level) if how == "blur" else _with_noise(signal.hu, level, generator))


def _xray(how: str, signal: XrayImage, level: float, generator: np.random.Generator, _: Spreads) -> XrayImage:
    grey = _blurred(signal.grey, level) if how == "blur" else _with_noise(signal.grey, level, generator)
    return replace(signal, grey=np.clip(grey, 0.0, 1.0))


def _eeg(how: str, signal: EegRecording, level: float, generator: np.random.Generator, _: Spreads) -> EegRecording:
    """The reader's own check judges the channels again."""
    volts = np.asarray(signal.volts[:, :]).copy()
    if how == "dead":
        volts[_dead(len(volts), level, generator)] = 0.0
    else:
        volts = _with_noise(volts, level, generator, axis=1)
    quality = judge(volts, signal.channels, signal.sfreq_hz, signal.segments)
    bad = tuple(dict.fromkeys((*signal.bad, *quality.bad)))
    return replace(signal, volts=volts, bad=bad, flags=tuple(dict.fromkeys((*signal.flags, *quality.flags))))


def _ecg(how: str, signal: EcgRecording, level: float, generator: np.random.Generator, _: Spreads) -> EcgRecording:
    if how == "noise":
        return replace(signal, millivolts=_with_noise(signal.millivolts, level, generator, axis=1))
    dead = _dead(len(signal.leads), level, generator)
    lost = [lead for lead, gone in zip(signal.leads, dead, strict=True) if gone]
    flat = np.where(dead[:, None], np.float32(0), signal.millivolts)
    return replace(signal, millivolts=flat, bad=tuple(dict.fromkeys((*signal.bad, *lost))))


def _gaze(_: str, signal: GazeRecording, level: float, generator: np.random.Generator, __: Spreads) -> GazeRecording:
    x, y, pupil = (_with_noise(part, level, generator) for part in (signal.x, signal.y, signal.pupil))
    return replace(signal, x=x, y=y, pupil=pupil)


def _audio(_: str, signal: AudioRecording, level: float, generator: np.random.Generator, __: Spreads) -> AudioRecording:
    return replace(signal, wave=_with_noise(signal.wave, level, generator))


def _record(
    _: str, signal: PatientRecord, level: float, generator: np.random.Generator, spread: Spreads
) -> PatientRecord:
    """What cannot be negative stays so."""
    rows = signal.rows
    value = rows["value"].to_numpy(np.float64)
    of = [spread.get(key, 0.0) for key in zip(rows["code"], rows["unit"], strict=True)]
    moved = value + np.array(of) * 10 ** (-level / 20) * generator.standard_normal(len(value))
    return replace(signal, rows=rows.assign(value=np.where(value >= 0, np.maximum(moved, 0.0), moved)))


def _note(_: str, signal: NoteText, level: float, generator: np.random.Generator, __: Spreads) -> NoteText:
    words = signal.text.split(" ")
    share = 1 / (1 + 10 ** (level / 10))
    lost = generator.random(len(words)) < share
    text = (
        "".join(generator.choice(LETTERS, len(word))) if gone else word for word, gone in zip(words, lost, strict=True)
    )
    return replace(signal, text=" ".join(text))


Way = Callable[..., Signal]
WAYS: Final[Mapping[type, Mapping[How, Way]]] = {
    CtVolume: {"noise": partial(_ct, "noise"), "blur": partial(_ct, "blur")},
    XrayImage: {"noise": partial(_xray, "noise"), "blur": partial(_xray, "blur")},
    EegRecording: {"noise": partial(_eeg, "noise"), "dead": partial(_eeg, "dead")},
    EcgRecording: {"noise": partial(_ecg, "noise"), "dead": partial(_ecg, "dead")},
    GazeRecording: {"noise": partial(_gaze, "noise")},
    AudioRecording: {"noise": partial(_audio, "noise")},
    PatientRecord: {"noise": partial(_record, "noise")},
    NoteText: {"noise": partial(_note, "noise")},
}
"""What can be done to which signal."""
