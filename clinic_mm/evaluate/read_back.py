"""Read the folder of an evaluation, or of a comparison, back into tables: for whoever shows it, without the model.

In:  a folder that `clinic-mm evaluate` or `clinic-mm compare` wrote. Out: `Evaluated` or `ComparedFolder`, each table
with the columns that it must have. Tables that an earlier version did not write are empty.

Only tables of figures are read, never the answers to single cases. Nothing is computed here.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any, Final, TypeVar

import orjson
import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError

from clinic_mm.errors import ArtifactError
from clinic_mm.evaluate.withheld import few_of, told_counts
from clinic_mm.types import SCHEMA_VERSION

EVALUATED_BY: Final = "Name a folder that clinic-mm evaluate wrote"
COMPARED_BY: Final = "Name a folder that clinic-mm compare wrote"
LARGEST_BYTES: Final = 64 * 2**20
"""A table of figures is some hundred kB; what is larger is something else."""
OURS: Final = "fusion"
EVERY: Final = "all"

EVALUATION: Final[Mapping[str, tuple[str, ...]]] = {
    "by_pattern": ("pattern", "method", "n_cases", "n_patients", "n_rarest", "auroc", "auroc_low", "auroc_high"),
    "by_subset": ("pattern", "n_native", "n_masked", "masked", "masked_low", "masked_high"),
    "fusion_gain": ("pattern", "against", "metric", "gain", "low", "high", "n_patients"),
    "modality_drop": ("method", "rate", "value", "low", "high", "n_patients"),
    "calibration": ("rows", "pattern", "n_cases", "n_patients", "excess_ece", "low", "high", "mean_said", "mean_seen"),
    "reliability": ("rows", "pattern", "bin", "n_cases", "said", "seen", "low", "high"),
    "risk_coverage": ("loss", "order", "coverage", "risk"),
    "aurc": ("loss", "n_cases", "n_patients", "aurc", "low", "high", "random", "perfect"),
    "silence": ("reason", "loss", "n_cases", "share", "silenced", "answered", "difference", "low", "high"),
    "fairness": ("attribute", "group", "n_patients", "n_rarest", "figure", "value", "low", "high", "withheld"),
}
NEEDED: Final = ("by_pattern",)
COMPARISON: Final[Mapping[str, tuple[str, ...]]] = {
    "methods": ("method", "n_patients", "auroc", "auroc_low", "auroc_high", "refused"),
    "by_pattern": ("pattern", "method", "n_patients", "auroc", "auroc_low", "auroc_high"),
    "by_subset": ("pattern", "method", "n_patients", "auroc", "auroc_low", "auroc_high"),
    "distances": ("pattern", "best", "ours", "distance", "distance_low", "distance_high", "n_patients"),
    "curves": ("dropped", "method", "rate", "value", "low", "high", "n_patients"),
    "areas": ("dropped", "method", "area", "area_low", "area_high", "ours_minus"),
    "disturbed": ("disturbed", "level", "method", "auroc", "auroc_low", "auroc_high", "change"),
}


class Told(BaseModel):
    """What later versions add is passed over; what is there must be right."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Sets(Told):
    """Which level the prediction sets promise."""

    level: float


class EvaluationInfo(Told):
    """What `evaluation.json` says."""

    schema_version: str
    model: str
    target: str
    n_cases: int
    n_patients: int
    n_without_evidence_or_label: int = 0
    simulated: bool
    prediction_sets: Sets | None = None


class ComparisonInfo(Told):
    """What `compare.json` says beside its tables."""

    schema_version: str
    target: str
    modalities: tuple[str, ...]
    n_cases: int
    n_patients: int
    repeats: int
    test_share: float
    folds: int
    simulated: bool
    words: str
    learning: str = ""
    labels: int | None = None
    accepted_leaks: tuple[str, ...] = ()
    best_elsewhere: dict[str, Any] | None = None


Info = TypeVar("Info", EvaluationInfo, ComparisonInfo)


@dataclass(frozen=True, slots=True)
class Evaluated:
    """An evaluation folder.

    Attributes:
        info: Of which model, on how many.
        tables: By the names of EVALUATION.
    """

    info: EvaluationInfo
    tables: Mapping[str, pd.DataFrame]

    def patterns(self, method: str = OURS) -> pd.DataFrame:
        """One line per availability pattern, all cases first, with counts as they may be told.

        Returns:
            pattern, n_patients and n_rarest (text), withheld (why there is no figure), and the figures.
        """
        table = self.tables["by_pattern"]
        mine = table[table["method"] == method].fillna({"pattern": ""})
        mine = mine.assign(last=mine["pattern"] != EVERY).sort_values(
            ["last", "n_patients"], ascending=[True, False], kind="stable"
        )
        return withheld_rows(mine.drop(columns=["last", "method"]))


@dataclass(frozen=True, slots=True)
class ComparedFolder:
    """A comparison folder; tables by the names of COMPARISON."""

    info: ComparisonInfo
    tables: Mapping[str, pd.DataFrame]


def open_evaluation(folder: Path) -> Evaluated:
    """Read an evaluation folder.

    Raises:
        ArtifactError: If it is none, is damaged, or of an unknown major version.
    """
    info = _checked(EvaluationInfo, _json(folder / "evaluation.json", EVALUATED_BY), folder, EVALUATED_BY)
    return Evaluated(info, {name: _table(folder, name) for name in EVALUATION})


def open_comparison(folder: Path) -> ComparedFolder:
    """Read a comparison folder.

    Raises:
        ArtifactError: If it is none, is damaged, or of an unknown major version.
    """
    told = _json(folder / "compare.json", COMPARED_BY)
    info = _checked(ComparisonInfo, told, folder, COMPARED_BY)
    return ComparedFolder(info, {name: _frame(told.get(name, []), name, folder) for name in COMPARISON})


def stamp(folder: Path, names: tuple[str, ...]) -> str:
    """One hash over what stands in the files of a folder: what was read under the same one need not be read again."""
    digest = sha256()
    for name in names:
        path = folder / name
        digest.update(f"{name} {path.is_file()} ".encode())
        if path.is_file():
            with path.open("rb") as file:
                digest.update(file_digest(file, "sha256").digest())
    return digest.hexdigest()


def evaluation_files() -> tuple[str, ...]:
    """Names of the files that `open_evaluation` reads."""
    return ("evaluation.json", *(f"{name}.csv" for name in EVALUATION))


def withheld_rows(table: pd.DataFrame, *, keep: tuple[str, ...] = ("pattern", "method", "rows")) -> pd.DataFrame:
    """The same rows; counts as they may be told, no figures where patients are few. The row of all cases is no group.

    Args:
        table: With n_patients, and with n_rarest where figures are of classes.
        keep: Columns that stay.
    """
    patients = table["n_patients"].fillna(0).astype(int).tolist()
    rarest = table["n_rarest"].fillna(0).astype(int).tolist() if "n_rarest" in table else None
    why = [few_of(n, None if rarest is None else rarest[at]) for at, n in enumerate(patients)]
    shown = table.drop(columns=["n_cases"], errors="ignore").assign(withheld=why)
    counts = [c for c in ("n_patients", "n_rarest") if c in table]
    figures = [c for c in shown.columns if c not in (*keep, *counts, "withheld")]
    few = shown["withheld"] != ""
    shown[figures] = shown[figures].mask(few)
    parts = ~table["pattern"].eq(EVERY) if "pattern" in table else pd.Series(data=True, index=table.index)
    told = told_counts(*(table.loc[parts, name].fillna(0).astype(int).tolist() for name in counts))
    for name, texts in zip(counts, told, strict=True):
        shown[name] = shown[name].astype(int).astype(str).mask(parts, pd.Series(texts, index=table.index[parts]))
    return shown.reset_index(drop=True)


def _json(path: Path, mend: str) -> dict[str, Any]:
    try:
        _check_size(path)
        told = orjson.loads(path.read_bytes())
    except (OSError, ValueError):
        raise ArtifactError(f"{path.name} cannot be read", str(path.parent), mend) from None
    if not isinstance(told, dict):
        raise ArtifactError(f"{path.name} cannot be read", str(path.parent), mend)
    return told


def _checked(model: type[Info], told: Mapping[str, Any], folder: Path, mend: str) -> Info:
    try:
        info = model.model_validate(told)
    except ValidationError as error:
        field = ".".join(str(part) for part in error.errors(include_url=False, include_input=False)[0]["loc"])
        raise ArtifactError("What it says of itself is damaged", f"{folder} / {field}", mend) from None
    if info.schema_version.partition(".")[0] != SCHEMA_VERSION.partition(".")[0]:
        raise ArtifactError(f"It is of the unknown version {info.schema_version}", str(folder), mend)
    return info


def _table(folder: Path, name: str) -> pd.DataFrame:
    path = folder / f"{name}.csv"
    if not path.is_file() and name not in NEEDED:
        return pd.DataFrame(columns=list(EVALUATION[name]))
    try:
        _check_size(path)
        found = pd.read_csv(path)
    except pd.errors.EmptyDataError:
        found = pd.DataFrame(columns=list(EVALUATION[name]))
    except (OSError, ValueError, csv.Error):
        raise ArtifactError(f"{name}.csv cannot be read", str(folder), EVALUATED_BY) from None
    return _with(found, EVALUATION[name], f"{name}.csv", folder, EVALUATED_BY)


def _frame(rows: object, name: str, folder: Path) -> pd.DataFrame:
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ArtifactError(f"compare.json has no table {name}", str(folder), COMPARED_BY)
    found = pd.DataFrame(rows) if rows else pd.DataFrame(columns=list(COMPARISON[name]))
    return _with(found, COMPARISON[name], f"compare.json / {name}", folder, COMPARED_BY)


def _with(found: pd.DataFrame, columns: tuple[str, ...], what: str, folder: Path, mend: str) -> pd.DataFrame:
    if missing := [name for name in columns if name not in found]:
        raise ArtifactError(f"{what} lacks columns: {', '.join(missing)}", str(folder), mend)
    return found


def _check_size(path: Path) -> None:
    if path.stat().st_size > LARGEST_BYTES:
        raise ArtifactError(f"{path.name} is larger than a table of figures", str(path.parent), EVALUATED_BY)
