"""EEG to windows: our blocks against MNE's load, filter, resample; run `python -m benchmarks.eeg_windows`.

Two hours of SIMULATED EEG, 19 channels at 256 Hz, as EDF+. Our way checks the header and every channel, filters and
resamples block by block; MNE's reads, filters with its default FIR and resamples. Time is the median of alternating
repeats in one process; memory is the peak that numpy and Python allocate (tracemalloc), less the result itself.
"""

import argparse
import gc
import statistics
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import edfio
import mne
import numpy as np
from numpy import ndarray as Array
from scipy import signal as dsp

from benchmarks.section import machine, write_section
from clinic_mm.prep.eeg import CHANNELS, SFREQ_HZ
from clinic_mm.prep.eeg_windows import BLOCK_S, PASS_HZ, resampled, stream
from clinic_mm.sources.eeg import recording as eeg

FILE_HZ, BAND_HZ, EDGE_S = 256, (1.0, 45.0), 10


def write(path: Path, hours: float) -> None:
    """SIMULATED: pink noise, an alpha rhythm, drift and the mains; 16 bits over ±2 mV."""
    rng, n = np.random.default_rng(0), round(hours * 3600) * FILE_HZ
    t = np.arange(n) / FILE_HZ
    alpha = 15 * np.sin(2 * np.pi * 10 * t) * (1 + 0.5 * np.sin(2 * np.pi * 0.05 * t))
    shared = 100 * np.sin(2 * np.pi * 0.01 * t) + 8 * np.sin(2 * np.pi * 50 * t) + alpha
    signals = []
    for name in CHANNELS:
        noise = dsp.lfilter([1.0], [1.0, -0.97], rng.standard_normal(n).astype(np.float32)) * 5
        uv = np.clip(shared * rng.uniform(0.5, 1) + noise, -1999, 1999)
        signals.append(
            edfio.EdfSignal(uv, FILE_HZ, label=f"EEG {name}-REF", physical_dimension="uV", physical_range=(-2000, 2000))
        )
    edfio.Edf(signals, data_record_duration=1, annotations=[edfio.EdfAnnotation(0, None, "SIMULATED recording")]).write(
        path
    )


def ours(path: Path) -> Array:
    """Volts [channel, sample] at 128 Hz."""
    signal = eeg.load([path])
    n = resampled(signal.volts.shape[1], signal.sfreq_hz, SFREQ_HZ)
    out = np.empty((len(CHANNELS), n), np.float32)
    rows = [signal.channels.index(name) for name in CHANNELS]
    for block in stream(signal.volts, signal.sfreq_hz, SFREQ_HZ, signal.segments, rows):
        out[:, block.start : block.start + block.volts.shape[1]] = block.volts
    return out


def plain(path: Path) -> Array:
    """The same with MNE."""
    raw = mne.io.read_raw_edf(path, preload=True, verbose="ERROR")
    raw.filter(*PASS_HZ, verbose="ERROR")
    raw.resample(SFREQ_HZ, verbose="ERROR")
    return raw.get_data().astype(np.float32)


def apart(one: Array, other: Array) -> tuple[float, float]:
    """Relative difference (root mean square) within BAND_HZ, and the largest difference of a channel's band power."""
    sections = dsp.butter(8, BAND_HZ, "bandpass", fs=SFREQ_HZ, output="sos")
    cut = slice(int(EDGE_S * SFREQ_HZ), -int(EDGE_S * SFREQ_HZ))
    a, b = (dsp.sosfiltfilt(sections, rows.astype(float), axis=1)[:, cut] for rows in (one, other))
    power = []
    for low, high in ((1, 4), (4, 8), (8, 13), (13, 30), (30, 45)):
        freqs, density = dsp.welch(np.stack([a, b]), SFREQ_HZ, nperseg=1024, axis=2)
        both = density[:, :, (freqs >= low) & (freqs < high)].sum(axis=2)
        power.append(np.abs(both[0] / both[1] - 1).max())
    return float(np.sqrt(((a - b) ** 2).mean() / (b**2).mean())), float(max(power))


def timed(ways: dict[str, Callable[[], Array]], repeats: int) -> dict[str, float]:
    """Median seconds of each way; they take turns."""
    took: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(repeats + 1):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            if turn:  # the first warms up
                took[name].append(time.perf_counter() - start)
    return {name: statistics.median(times) for name, times in took.items()}


def memory(way: Callable[[], Array]) -> tuple[float, float]:
    """Bytes at the peak beside the result, and of the result."""
    gc.collect()
    tracemalloc.start()
    made = way()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak - made.nbytes, made.nbytes


def main() -> None:
    """Measure, print, and put the figures into a page."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--hours", type=float, default=2.0)
    asked.add_argument("--repeats", type=int, default=5)
    asked.add_argument("--page", type=Path)
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.edf"
        write(path, given.hours)
        difference, power = apart(ours(path), plain(path))
        took = timed({"ours": lambda: ours(path), "plain": lambda: plain(path)}, given.repeats)
        extra, result = memory(lambda: ours(path))
        plain_extra, _ = memory(lambda: plain(path))
    window = len(CHANNELS) * BLOCK_S * FILE_HZ * 4
    mine = f"{took['ours']:.2f} | {extra / 1e6:.1f} MB = {extra / window:.1f} windows of {BLOCK_S:g} s"
    body = f"""{given.hours:g} h of SIMULATED EEG, 19 channels at {FILE_HZ} Hz, from EDF+ to filtered windows
({PASS_HZ[0]:g} to {PASS_HZ[1]:g} Hz) at {SFREQ_HZ:g} Hz, {machine()}.

| way | seconds | memory beside the result |
|---|---|---|
| clinic_mm, checks of header and channels included | {mine} |
| MNE: load, filter (its default FIR), resample | {took["plain"]:.2f} | {plain_extra / 1e6:.0f} MB |

**{took["plain"] / took["ours"]:.1f} × faster.** Difference within {BAND_HZ[0]:g} to {BAND_HZ[1]:g} Hz: {difference:.2%}
(root mean square), band power of any channel within {power:.2%}; the first and last {EDGE_S} s apart.
The result itself is {result / 1e6:.0f} MB. Medians of {given.repeats} alternating repeats; memory by tracemalloc.
Command: `python -m benchmarks.eeg_windows --repeats {given.repeats} --page docs/performance.md`"""
    print(body)
    if given.page:
        write_section(given.page, "EEG to windows", body)


if __name__ == "__main__":
    main()
