"""Made-up saliency of every kind, for tests of the store and of the pages."""

import numpy as np

from clinic_mm.predict.saliency.result import Saliency, SaliencyTold

PEAKS = {
    "xray": {"row": 40.0, "column": 90.0},
    "ct": {"x": 20.0, "y": 30.0, "z": 10.0, "right_mm": -20.0, "anterior_mm": 4.0, "superior_mm": -60.0},
    "eeg": {"time_s": 13.0, "window_s": 1.0, "band": "theta", "channel": "F3"},
}
BANDS = ("delta", "theta", "alpha", "beta", "gamma")
CHANNELS = ("F3", "F4", "O1")


def made_saliency(kind: str, case_key: str = "k1", modality: str = "", evidence: str = "e" * 64) -> Saliency:
    """One with its largest value at the peak that it names."""
    told = SaliencyTold(
        case_key=case_key,
        modality=modality or kind,
        kind=kind,
        target="positive",
        how="plain ridge",
        model_hash="a" * 64,
        evidence_hash=evidence,
        settings={"stride": 8},
        logodds=1.8,
        stride="8 rows × 8 columns",
        peak={**PEAKS[kind], "logodds": 1.5},
        asked=256,
        names={"channels": CHANNELS, "bands": BANDS} if kind == "eeg" else {},
    )
    return Saliency(told, _arrays(kind))


def _arrays(kind: str) -> dict[str, np.ndarray]:
    if kind == "eeg":
        time_band, channel_band, cells = np.zeros((32, 5)), np.zeros((3, 5)), np.full((3, 32, 5), np.nan)
        time_band[13, 1], channel_band[0, 1] = 1.5, 0.4
        cells[:, 13] = 0.01
        cells[0, 13, 1] = 0.3
        return {"time_band": time_band, "channel_band": channel_band, "cells": cells, "time_s": np.arange(32) + 0.5}
    names, sizes = (("row", "column"), (128, 128)) if kind == "xray" else (("x", "y", "z"), (64, 64, 48))
    axes = {name: (np.arange(8) + 0.5) * n / 8 - 0.5 for name, n in zip(names, sizes, strict=True)}
    cells = np.zeros((8,) * len(names))
    at = tuple(int(np.abs(axes[name] - float(PEAKS[kind][name])).argmin()) for name in names)
    cells[at] = 1.5
    return {"map": cells, **axes}
