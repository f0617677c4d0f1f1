"""A frame of answers with known truth, for the tests of tables and figures."""

import numpy as np
import pandas as pd

STRENGTH = {"ct": 1.0, "eeg": 0.5, "note": 0.8}


def answers(n: int = 240, *, repeats: int = 1, seed: int = 0) -> pd.DataFrame:
    """Best possible answers per single modality and of all present ones (`fusion`), and a flatter `late_average`."""
    rng = np.random.default_rng(seed)
    y = (np.arange(n) % 10 < 3).astype(int)
    evidence = {m: rng.normal(d * (y - 0.5), 1.0) * d for m, d in STRENGTH.items()}
    patterns = np.array(["ct", "ct+eeg", "ct+eeg+note", "eeg+note"])[rng.integers(4, size=n)]
    has = {m: np.array([m in p.split("+") for p in patterns]) for m in STRENGTH}
    methods = {f"single:{m}": (has[m], evidence[m]) for m in STRENGTH}
    total = sum(np.where(has[m], evidence[m], 0.0) for m in STRENGTH)
    methods |= {
        "fusion": (np.ones(n, bool), total),
        "late_average": (np.ones(n, bool), 0.3 * total + rng.normal(0, 0.3, n)),
    }
    frames = []
    for repeat in range(repeats):
        for method, (rows, score) in methods.items():
            p = 1 / (1 + np.exp(-(score + np.log(3 / 7) + 0.05 * rng.normal(size=n) * (repeats > 1))))
            keys = {"case_key": [f"c{i:04d}" for i in range(n)], "patient_key": [f"p{i // 2}" for i in range(n)]}
            said = {"p_0": 1 - p, "p_1": p, "set_0": p < 0.6, "set_1": p > 0.1}
            frame = pd.DataFrame({**keys, "pattern": patterns, "label": y, "method": method, "repeat": repeat, **said})
            frames.append(frame[rows])
    return pd.concat(frames, ignore_index=True).sample(frac=1.0, random_state=seed)
