"""Broken channels of EEG, swapped sides, and good recordings taken for foreign: simulated and real.

In:  nothing; the folder of the data sets. Out: rows of figures, and an AUROC. Used by `benchmarks.outside`.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.outside_guarded import SEED, Row, apart, count, guarded, planned, simulated
from clinic_mm.errors import EvidenceError
from clinic_mm.signals import EegRecording
from clinic_mm.simulate import eeg as sim_eeg
from clinic_mm.sources.eeg.quality import judge
from clinic_mm.sources.eeg.recording import load as load_eeg


def simulated_eeg() -> tuple[list[Row], float]:
    """Channels of simulated EEG; the AUROC of swapped sides; whole recordings taken for foreign."""
    volts = (simulated(sim_eeg.render, k).astype(np.float32) * 1e-6 for k in range(300))
    made = [EegRecording(one, sim_eeg.CHANNELS, float(sim_eeg.SFREQ_HZ)) for one in volts]
    prep = planned("eeg")
    train = guarded(prep, made[:200])
    rows = [("good EEG: false alarm", "simulated", *count(train.caught(made[200:])))]
    return [*rows, *eeg_rows("simulated", made[200:250], 4)], apart(prep, made[:200])["eeg.sides_swapped"]


def real_eeg(data: Path) -> tuple[list[Row], float]:
    """Channels of the recordings in many formats and of 14 people at rest between trials."""
    formats = [path for path in (data / "eeg/formats").rglob("*") if path.suffix in {".edf", ".bdf", ".vhdr", ".set"}]
    recordings = [one for path in sorted(formats) if (one := _opened(path)) is not None]
    trials = np.load(data / "eeg/alcoholism_uci/trials.npz", allow_pickle=False)
    known = {name.upper(): name for name in sim_eeg.CHANNELS}
    names = tuple(known.get(str(one), str(one)) for one in trials["ch"])
    people = []
    for who in np.unique(trials["subject"]):
        volts = np.concatenate(list(trials["x"][trials["subject"] == who]), axis=1) * np.float32(1e-6)
        people.append(EegRecording(volts, names, float(trials["sfreq"])))
    rows = [*eeg_rows("real, many formats", recordings, 6), *eeg_rows("real, 14 people", people, 20)]
    return rows, apart(planned("eeg"), people)["eeg.sides_swapped"]


def eeg_rows(where: str, recordings: Sequence[EegRecording], channels: int) -> list[Row]:
    """Dead and saturated channels that are named and left out; good ones taken for bad."""
    rng = np.random.default_rng(SEED)
    clean = [name for one in recordings for name in one.channels if name not in one.bad]
    total = sum(len(one.channels) for one in recordings)
    rows: list[Row] = [("good EEG channel: left out", where, total - len(clean), total)]
    for how in ("flat", "disconnected", "saturated"):
        hits = []
        for one in recordings:
            good = [k for k, name in enumerate(one.channels) if name not in one.bad]
            for channel in rng.permutation(good)[:channels]:
                made, name = broken(one, int(channel), how, rng)
                hits.append(name in made.bad)
        rows.append((f"EEG channel {how}", where, *count(np.array(hits))))
    return rows


def broken(recording: EegRecording, channel: int, how: str, rng: np.random.Generator) -> tuple[EegRecording, str]:
    """One channel dead or saturated, judged anew as the reader does."""
    volts = np.array(recording.volts[:, :], np.float32)
    rail = max(1e-3, 1.1 * float(np.nanmax(np.abs(volts))))  # DC-coupled amplifiers lie far from 0
    if how == "flat":
        volts[channel] = 0.0
    elif how == "disconnected":
        volts[channel] = rng.normal(0, 5e-8, volts.shape[1])
    else:
        volts[channel] = rail
        loose = rng.random(volts.shape[1]) < 0.3
        volts[channel, loose] = rng.normal(0, 2e-5, int(loose.sum()))
    rails = np.tile(np.array([-rail, rail], np.float32), (len(volts), 1))
    try:
        bad = judge(volts, recording.channels, recording.sfreq_hz, recording.segments, rails).bad
    except EvidenceError:
        bad = recording.channels  # no channel is left: the recording is refused as a whole
    return replace(recording, volts=volts, bad=bad), recording.channels[channel]


def _opened(path: Path) -> EegRecording | None:
    beside = sorted(one for one in path.parent.iterdir() if one.stem == path.stem)
    try:
        opened = load_eeg(beside)
    except EvidenceError:
        return None
    return replace(opened, volts=np.array(opened.volts[:, : int(30 * opened.sfreq_hz)], np.float32), gaps=())
