"""What an evaluation folder adds to a card: figures per pattern, the gain of fusing, groups, pictures.

In:  the folder that `clinic-mm evaluate` wrote, the hash of the model that the card is of. Out: sections.
An evaluation of another model is refused.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import orjson
import pandas as pd

from clinic_mm.bundle import policy
from clinic_mm.errors import ArtifactError
from clinic_mm.predict.modelcard.content import Block, Paragraph, Picture, Section, Table, number, span

OURS: Final = "fusion"
MADE_BY: Final = "Name a folder that clinic-mm evaluate wrote of this model"
FEWEST: Final = 10
"""Cases of the rarest class below which a pattern's AUROC is not shown."""
PICTURES: Final = {
    "auc_per_pattern.png": "Discrimination by what was available",
    "reliability.png": "Calibration: predicted against observed",
    "fusion_gain.png": "What fusing gains",
    "modality_drop.png": "AUROC as whole modalities go missing",
    "fairness.png": "Figures by sex, age band, site and language",
}


def evaluation_sections(folder: Path, model_hash: str) -> list[Section]:
    """Sections from an evaluation.

    Raises:
        ArtifactError: If it is no evaluation folder, or of another model.
    """
    told = _told(folder, model_hash)
    table = _read(folder, "by_pattern")
    gains = _read(folder, "fusion_gain")
    fair = _read(folder, "fairness") if (folder / "fairness.csv").is_file() else None
    pictures = [name for name in PICTURES if (folder / name).is_file()]
    simulated = "SIMULATED cases, not patients. " if told["simulated"] else ""
    counts = f"{simulated}{told['n_cases']} cases of {told['n_patients']} patients that the model was not trained on."
    rate = told["counter_intuitive_rate"]
    worse = f"Rate of answers that more evidence made worse: {_rate(rate)}." if rate.get("estimate") is not None else ""
    blocks: list[Block] = [
        Paragraph(counts, strong=bool(simulated)),
        _promised(told.get("prediction_sets")),
        _patterns(table),
    ]
    blocks += [Paragraph(worse)] if worse else []
    sections = [
        Section("Figures on unseen patients", tuple(blocks)),
        Section("What fusing gains there", (_gains(gains),)),
    ]
    if fair is not None and len(fair):
        sections.append(Section("By sex, age, site and language", tuple(_fairness(fair))))
    if pictures:
        shown = tuple(Picture(PICTURES[name], (folder / name).read_bytes()) for name in pictures)
        sections.append(Section("Pictures", shown))
    return sections


def _told(folder: Path, model_hash: str) -> dict[str, Any]:
    try:
        told: dict[str, Any] = orjson.loads((folder / "evaluation.json").read_bytes())
        of = str(told["model"])
    except (OSError, ValueError, KeyError, TypeError):
        raise ArtifactError("This is not an evaluation folder", str(folder), MADE_BY) from None
    if of != model_hash:
        raise ArtifactError("The evaluation is of another model", str(folder), MADE_BY)
    return told


def _read(folder: Path, name: str) -> pd.DataFrame:
    try:
        return pd.read_csv(folder / f"{name}.csv", keep_default_na=True)
    except (OSError, ValueError):
        raise ArtifactError(f"{name}.csv cannot be read", str(folder), MADE_BY) from None


def _rate(rate: dict[str, Any]) -> str:
    return span(rate["estimate"], rate.get("low"), rate.get("high"))


def _promised(sets: dict[str, Any] | None) -> Paragraph:
    """At which level sets were asked for, which need not be the task's, and whether they were weighted there."""
    if sets is None:
        return Paragraph("Coverage and set size: the evaluation does not say at which level.")
    told, shift = f"Coverage and set size are of prediction sets at {100 * sets['level']:g} %", sets.get("shift")
    if shift is None:
        return Paragraph(f"{told}.")
    void = f" The level is no promise there: {shift['void']}." if shift["void"] else ""
    return Paragraph(f"{told}, weighted to those patients.{void}", strong=bool(void))


def _patterns(table: pd.DataFrame) -> Table:
    """One line per pattern, all cases last; where a class is rare, counts and coverage only."""
    rows = []
    for row in table[table["method"] == OURS].to_dict("records"):
        enough = row["n_rarest"] >= FEWEST
        cells = [_cell(row, name) if enough else "too few" for name in ("auroc", "brier", "nll", "excess_ece")]
        covered = _cell(row, "coverage") if "coverage" in row else "–"
        pattern = str(row["pattern"]).replace("+", " + ") if not pd.isna(row["pattern"]) else "nothing"
        counts = (str(row["n_patients"]), str(row["n_rarest"]))
        rows.append((pattern, *counts, *cells, covered, number(row.get("set_size"), 2)))
    head = ("what was there", "patients", "rarest class", "AUROC", "Brier", "NLL", "excess ECE", "coverage", "set size")
    return Table(head, tuple(rows))


def _cell(row: Mapping[Any, Any], name: str) -> str:
    return span(row[name], row.get(f"{name}_low"), row.get(f"{name}_high"))


def _gains(gains: pd.DataFrame) -> Table:
    rows = tuple(
        (
            str(row["against"]).replace("_", " "),
            str(row["metric"]),
            number(row["ours"]),
            number(row["theirs"]),
            span(row["gain"], row["low"], row["high"], sign=True),
            str(row["n_patients"]),
        )
        for row in gains[gains["pattern"] == "all"].to_dict("records")
    )
    return Table(("against", "metric", "ours", "theirs", "gain", "patients"), rows)


SHOWN: Final = (
    *("AUROC", "sensitivity above the base rate", "specificity above the base rate"),
    *("mean probability − observed", "equalised odds gap above the base rate"),
)


def _fairness(table: pd.DataFrame) -> list[Block]:
    words = policy("card")["words"]["fairness"]
    kept = table[table["withheld"].isna()]
    rows = tuple(
        (
            f"{row['attribute']}: {row['group']}",
            str(row["n_patients"]),
            str(row["figure"]),
            span(row["value"], row["low"], row["high"]) if not pd.isna(row["value"]) else "–",
            span(row["difference"], row["difference_low"], row["difference_high"], sign=True),
            number(row["by_chance"]),
        )
        for row in kept[kept["figure"].isin(SHOWN)].to_dict("records")
    )
    withheld = tuple(
        (f"{row['attribute']}: {row['group']}", str(row["n_patients"]), str(row["withheld"]))
        for row in table[table["withheld"].notna()].to_dict("records")
    )
    head = ("group", "patients", "figure", "in the group", "difference from all others", "by chance")
    blocks: list[Block] = [Paragraph(words), Table(head, rows)] if rows else [Paragraph(words)]
    return [*blocks, *([Table(("withheld", "patients", "why"), withheld)] if withheld else [])]
