"""A small evaluation and a small comparison on disk; figures of the first by the functions that make them."""

from pathlib import Path

import orjson

from clinic_mm.evaluate.read_back import COMPARISON
from clinic_mm.evaluate.reliability import Said, calibration_table, reliability_bins
from clinic_mm.evaluate.risk_coverage import areas, risk_coverage
from clinic_mm.evaluate.table import by_pattern
from tests.evaluate.frames import answers


def write_evaluation(folder: Path, *, model: str = "a" * 64, n: int = 240) -> Path:
    """Without the files that an earlier version did not write: fairness, silence, subsets."""
    folder.mkdir(parents=True)
    frame = answers(n)
    by_pattern(frame, n=20).to_csv(folder / "by_pattern.csv", index=False)
    mine = frame[frame["method"] == "fusion"]
    probs, labels = mine[["p_0", "p_1"]].to_numpy(), mine["label"].to_numpy()
    patients = mine["patient_key"].to_numpy(dtype=str)
    said = Said("native", probs, labels, patients, mine["pattern"].to_numpy(dtype=str))
    calibration_table(said, draws=20).to_csv(folder / "calibration.csv", index=False)
    reliability_bins(said).to_csv(folder / "reliability.csv", index=False)
    areas(probs, labels, patients, n=20).to_csv(folder / "aurc.csv", index=False)
    risk_coverage(probs, labels).to_csv(folder / "risk_coverage.csv", index=False)
    told = {"schema_version": "1.0", "model": model, "target": "disease", "n_cases": n, "n_patients": n // 2}
    told |= {"n_without_evidence_or_label": 0, "simulated": True, "prediction_sets": {"level": 0.9, "shift": None}}
    (folder / "evaluation.json").write_bytes(orjson.dumps(told))
    return folder


def write_comparison(folder: Path) -> Path:
    """Two methods, one that could not, one pattern of enough patients and one of few."""
    folder.mkdir(parents=True)
    methods = [method("default", 0.8), method("average", 0.7), {"method": "tensor", "refused": "one modality"}]
    patterns = [{"pattern": p, **method("default", 0.8), "n_patients": n} for p, n in (("all", 90), ("ct", 7))]
    curves = [
        {"dropped": "modalities", "method": "default", "rate": r, "value": 0.8 - r / 5, "low": 0.5, "high": 0.9}
        | {"n_patients": 90}
        for r in (0.0, 0.3, 0.6, 0.9)
    ]
    area = {"dropped": "modalities", "method": "default", "area": 0.7, "area_low": 0.6, "area_high": 0.8}
    tables = {name: [] for name in COMPARISON} | {"methods": methods, "by_pattern": patterns, "curves": curves}
    told = {"schema_version": "1.0", "target": "disease", "modalities": ["ct", "eeg"], "n_cases": 180}
    told |= {
        "n_patients": 180,
        "repeats": 1,
        "test_share": 0.5,
        "folds": 3,
        "simulated": True,
        "words": "Shown to pay.",
    }
    (folder / "compare.json").write_bytes(orjson.dumps(told | tables | {"areas": [area | {"ours_minus": 0.0}]}))
    return folder


def method(name: str, auroc: float) -> dict[str, object]:
    """One line of methods."""
    ends = {"auroc": auroc, "auroc_low": auroc - 0.1, "auroc_high": auroc + 0.1}
    return {"method": name, "n_patients": 90, "refused": "", **ends}
