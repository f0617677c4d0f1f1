"""Tiny signals of every kind with a known planted score, and prepared cases made of them: no file is read."""

import base64
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy import ndarray as Array

from clinic_mm.prep.base import Recipe as PrepRecipe
from clinic_mm.prep.base import make_prep
from clinic_mm.prep.batch import Outcome, PreparedCases, Recipe, stack
from clinic_mm.prep.eeg import CHANNELS
from clinic_mm.signals import (
    AudioRecording,
    CtVolume,
    EcgRecording,
    EegRecording,
    GazeRecording,
    NoteText,
    OmicsSample,
    PatientRecord,
    Signal,
    XrayImage,
)
from clinic_mm.sources.ecg.leads import lead_table
from clinic_mm.sources.record.rows import NO_TIME, in_order, record_frame
from clinic_mm.task import Task, parse_task
from clinic_mm.types import Absent, CaseRecord

DECISION = datetime(2026, 3, 1, 12, tzinfo=UTC)
FEATURES = [["age", "birth_date", ""], ["level", "sex", "female"], ["listed", "c:1", ""], ["number", "lab", "mg/L"]]
GENES = ["g1", "g2", "g3", "g4", "g5", "g6"]
GENES_LEARNT = {
    name: base64.b64encode(values.astype("<f4").tobytes()).decode()
    for name, values in (("centre", np.full(6, 5.0)), ("spread", np.ones(6)), ("weights", np.eye(6)[:, :4]))
}
TINY: dict[str, PrepRecipe] = {
    "ct": {"grid": 16, "window_hu": [-1000.0, 600.0]},
    "xray": {"side": 32},
    "eeg": {"windows": 2, "window_s": 1.0, "sfreq_hz": 128.0},
    "record": {"most": 8, "codes": [], "features": FEATURES},
    "note": {"places": 64},
    "audio": {"windows": 2, "rate_hz": 2000, "low_hz": 25, "high_hz": 900, "mels": 8, "window_s": 0.5}
    | {"frame_s": 0.064, "hop_s": 0.032, "shortest_s": 0.5},
    "ecg": {"window_s": 2.0, "sfreq_hz": 250.0},
    "eye": {"windows": 2, "window_s": 1.0, "sfreq_hz": 60.0},
    "omics": {"most": 6, "components": 4, "scale": "log", "features": GENES, **GENES_LEARNT},
}
"""Recipes as an artifact would carry them, of the smallest sizes that every network takes."""


def facts(*rows: tuple[str, str, float, str, str, datetime | None]) -> PatientRecord:
    """A record from (category, code, value, text, unit, time)."""
    full = [
        ("p", category, code, code, value, text, unit, _microseconds(time), "s", np.nan, np.nan, "")
        for category, code, value, text, unit, time in rows
    ]
    return PatientRecord(in_order(record_frame(full)))


def _microseconds(time: datetime | None) -> int:
    return NO_TIME if time is None else round(time.timestamp() * 1e6)


def _ct(score: float, rng: np.random.Generator) -> CtVolume:
    hu = rng.normal(-300, 200, (16, 16, 16)).astype(np.float32)
    hu[4:10, 4:10, 4:10] += 150 * score
    return CtVolume(hu, (2.0, 2.0, 2.0))


def _xray(score: float, rng: np.random.Generator) -> XrayImage:
    grey = rng.random((40, 32)).astype(np.float32)
    grey[10:20, 10:20] += 0.5 * score
    return XrayImage(grey)


def _eeg(score: float, rng: np.random.Generator) -> EegRecording:
    volts = rng.normal(0, 20e-6 * np.exp(0.5 * score), (len(CHANNELS), 384)).astype(np.float32)
    return EegRecording(volts, CHANNELS, 128.0)


def _ecg(score: float, rng: np.random.Generator) -> EcgRecording:
    t = np.arange(1500) / 250
    beats = np.exp(-((((t - 0.4) % 0.8 - 0.4) / 0.012) ** 2)) * (1 + 0.2 * score)
    rows = np.outer([0.8, 1.0, 0.2, -0.9, 0.3, 0.6, -0.8, -0.5, 0.3, 1.2, 1.4, 1.0], beats)
    noise = 0.02 * rng.normal(size=rows.shape)
    return EcgRecording((rows + noise).astype(np.float32), lead_table().leads, 250.0)


def _eye(score: float, rng: np.random.Generator) -> GazeRecording:
    t = np.arange(600) / 60
    places = rng.uniform(-8, 8, (2, 60)).repeat(max(6, round(18 + 5 * score)), axis=1)[:, :600]
    x, y = (np.resize(row, 600) + 0.03 * rng.normal(size=600) for row in places)
    pupil = 4 + 0.1 * np.sin(t) + 0.01 * rng.normal(size=600)
    gaze = (one.astype(np.float32) for one in (x, y, pupil))
    return GazeRecording(t, *gaze, "deg", "mm", 60.0, (1.0, 1.0))


def _record(score: float, rng: np.random.Generator) -> PatientRecord:
    when = DECISION - timedelta(hours=float(rng.integers(1, 48)))
    born = f"{rng.integers(1940, 2000)}-05-01"
    known = [
        ("demographic", "birth_date", np.nan, born, "", None),
        ("demographic", "sex", np.nan, str(rng.choice(["female", "male"])), "", None),
        ("observation", "lab", 10 + score, "", "mg/L", when),
    ]
    return facts(*known, *([("condition", "c:1", np.nan, "", "", when)] if rng.random() < 0.4 else []))


def _note(score: float, rng: np.random.Generator) -> NoteText:
    words = ["calm", "alert", "worse", "weak"]
    odds = np.exp(np.array([-0.8, -0.8, 0.8, 0.8]) * score)
    return NoteText(" ".join(rng.choice(words, 12, p=odds / odds.sum())))


def _audio(score: float, rng: np.random.Generator) -> AudioRecording:
    pitch = np.sin(2 * np.pi * 150 * np.arange(4400) / 2200)
    return AudioRecording((0.1 * rng.normal(size=4400) + 0.1 * np.exp(0.5 * score) * pitch).astype(np.float32), 2200.0)


def _omics(score: float, rng: np.random.Generator) -> OmicsSample:
    values = 5 + rng.normal(size=len(GENES)) + score * np.array([1, 1, 0, 0, 0, 0])
    return OmicsSample(values.astype(np.float32), tuple(GENES), "log", "other")


SIGNALS: dict[str, Callable[[float, np.random.Generator], Signal]] = {
    "ct": _ct,
    "xray": _xray,
    "eeg": _eeg,
    "ecg": _ecg,
    "eye": _eye,
    "record": _record,
    "note": _note,
    "audio": _audio,
    "omics": _omics,
}


def signal(kind: str, score: float = 0.0, seed: int = 0) -> Signal:
    """One signal whose plain summaries grow with `score`."""
    return SIGNALS[kind](score, np.random.default_rng(seed))


def task(kinds: Sequence[str], **more: object) -> Task:
    """A task over modalities named as their kinds; networks train for two epochs unless told otherwise."""
    return parse_task(
        {"target": "ill", "modalities": list(kinds), "train": {"epochs": 2, "batch": 16, "threads": 1}, **more}
    )


def recipe(kinds: Sequence[str]) -> Recipe:
    """The tiny preps of some kinds."""
    return Recipe({kind: make_prep(kind, TINY[kind]) for kind in kinds})


def prepared(
    kinds: Sequence[str] = ("record", "note"),
    n: int = 80,
    *,
    planted: float = 1.5,
    missing: float = 0.25,
    n_classes: int = 2,
    seed: int = 0,
    labels: Array | None = None,
) -> PreparedCases:
    """Prepared cases, three of four patients with one case; every score is shifted by `planted` per class.

    `labels` replaces the labels that the signals were made from.
    """
    rng = np.random.default_rng(seed)
    y = np.arange(n) % n_classes
    given = y if labels is None else labels
    there = rng.random((n, len(kinds))) >= missing
    there[~there.any(axis=1), 0] = True
    preps, cases, outcomes = recipe(kinds), [], []
    for index in range(n):
        case: dict[str, Outcome] = {}
        for column, kind in enumerate(kinds):
            score = rng.normal() + planted * (y[index] - (n_classes - 1) / 2)
            if there[index, column]:
                made = preps.preps[kind](SIGNALS[kind](score, rng), DECISION)
                case[kind] = Outcome(made, float(rng.integers(1, 40)), None)
            else:
                case[kind] = Outcome(None, np.nan, Absent(modality=kind))
        outcomes.append(case)
        cases.append(case_record(index, int(given[index]), patient=index - (index % 8 == 7)))
    return stack(cases, outcomes, preps)


def case_record(index: int, label: int | None, patient: int | None = None) -> CaseRecord:
    """A case without evidence of its own."""
    who = index if patient is None else patient
    return CaseRecord(case_key=f"c{index:03d}", patient_key=f"p{who:03d}", decision_time=DECISION, label=label)
