"""All tables of a comparison at once, for the JSON, the page and the terminal.

In:  the answers of every method (`compared`), and what each fit told (seconds, memory, size, or why it was refused).
Out: `Tables`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from clinic_mm.evaluate.compared import (
    BEST_ELSEWHERE,
    against_default,
    areas,
    by_pattern,
    by_subset,
    counter_intuitive,
    curves,
    disturbed,
    gains,
)
from clinic_mm.evaluate.compared_answers import MODALITIES, PARAMETERS, Compared
from clinic_mm.evaluate.distance import COLUMNS, NOTHING_KNOWN, Known, distances
from clinic_mm.evaluate.table import ALL, SINGLE
from clinic_mm.types import SCHEMA_VERSION

FRAMES: Final = ("methods", "by_pattern", "by_subset", "distances", "curves", "areas", "disturbed")
COST: Final = ("seconds", "seconds_answering", "peak_mib")


@dataclass(frozen=True, slots=True)
class Tables:
    """What a comparison shows.

    Attributes:
        methods: One row per method: metrics on all cases as they are, gains, cost; `refused` where it could not.
        by_pattern: Metrics per availability pattern of the cases as they are.
        by_subset: AUROC of every subset, masked down to.
        distances: Of the default to the best possible answers, per subset; empty where they are not known.
        curves: AUROC over missing rates, with a column `dropped`.
        areas: Areas under those curves, and ours − theirs.
        disturbed: AUROC with one modality disturbed, and the change; empty where nothing was.
        best_elsewhere: The method best on the other repeats − ours; None with one repeat.
        words: The verdict in plain words.
    """

    methods: pd.DataFrame
    by_pattern: pd.DataFrame
    by_subset: pd.DataFrame
    distances: pd.DataFrame
    curves: pd.DataFrame
    areas: pd.DataFrame
    disturbed: pd.DataFrame
    best_elsewhere: dict[str, Any] | None
    words: str

    def shown(self) -> pd.DataFrame:
        """The main table for a terminal."""
        done = self.methods[self.methods["auroc"].notna()]
        spans = [f"{r.auroc:.3f} ({r.auroc_low:.3f} to {r.auroc_high:.3f})" for r in done.itertuples()]
        told = {"method": done["method"], "AUROC": spans, "NLL": done["nll"].round(3)}
        if "seconds" in done:
            told["seconds to fit"] = done["seconds"].round(1)
        return pd.DataFrame(told)

    def as_json(self, about: Mapping[str, Any]) -> dict[str, Any]:
        """Plain JSON."""
        frames = {name: getattr(self, name) for name in FRAMES}
        rows = {name: [_plain(row) for row in frame.to_dict("records")] for name, frame in frames.items()}
        best = None if self.best_elsewhere is None else _plain(self.best_elsewhere)
        return {"schema_version": SCHEMA_VERSION, **about, "words": self.words, "best_elsewhere": best, **rows}


def tables_of(
    compared: Compared,
    told: Sequence[Mapping[str, Mapping[str, Any]]],
    *,
    ours: str,
    known: Known = NOTHING_KNOWN,
) -> Tables:
    """Everything.

    Args:
        compared: Answers.
        told: For each repeat what each method told of its fit.
        ours: The default, which the others are held against.
        known: Limits and best possible answers, of simulated cohorts.
    """
    patterns = by_pattern(compared)
    versus = against_default(compared, ours)
    elsewhere = versus[versus["method"] == BEST_ELSEWHERE]
    every = patterns[patterns["pattern"] == ALL].drop(columns="pattern")
    gained = _wide(gains(compared))
    methods = every.merge(gained, on="method", how="left").merge(counter_intuitive(compared), on="method", how="left")
    methods = methods.merge(versus.drop(columns="chosen"), on="method", how="left")
    methods = methods.merge(_costs(told), on="method", how="outer")
    kinds = [MODALITIES, *([PARAMETERS] if _has(compared, PARAMETERS) else [])]
    shown = [m for m in compared.methods if not m.startswith(SINGLE)]
    drawn = pd.concat([curves(compared, kind, shown).assign(dropped=kind) for kind in kinds], ignore_index=True)
    under = pd.concat([areas(compared, kind, ours) for kind in kinds], ignore_index=True)
    return Tables(
        methods=methods.sort_values("auroc", ascending=False, na_position="last", ignore_index=True),
        by_pattern=patterns,
        by_subset=by_subset(compared, known.limits),
        distances=distances(compared, known.best, ours) if known.best else pd.DataFrame(columns=COLUMNS),
        curves=drawn,
        areas=under,
        disturbed=disturbed(compared),
        best_elsewhere={str(k): v for k, v in elsewhere.iloc[0].items()} if len(elsewhere) else None,
        words=in_words(methods, ours),
    )


def in_words(methods: pd.DataFrame, ours: str) -> str:
    """Which methods pay on these data: better than the best single modality and the late average, paired."""
    joined = methods[
        methods["auroc"].notna() & ~methods["method"].str.startswith(SINGLE) & (methods["method"] != "prior")
    ]
    low = joined.filter(regex=r"^gain_auroc_.*_low$").min(axis=1)
    high = joined.filter(regex=r"^gain_auroc_.*_high$").min(axis=1)
    pays, hurts = joined.loc[low > 0, "method"].tolist(), joined.loc[high < 0, "method"].tolist()
    bar = "95 % interval of the gain in AUROC above 0, over the best single modality and over the late average"
    first = f"Shown to pay ({bar}): {', '.join(pays) or 'none'}."
    second = f"Shown to be worse than one of those: {', '.join(hurts) or 'none'}."
    return f"{first} {second} {_default_words(joined, pays, hurts, ours)}"


def _default_words(joined: pd.DataFrame, pays: Sequence[str], hurts: Sequence[str], ours: str) -> str:
    if ours in pays:
        return "The default pays here."
    if ours in hurts:
        return "The default does not pay here: use what it was held against."
    return "It is not shown that the default pays here." if (joined["method"] == ours).any() else ""


def _wide(found: pd.DataFrame) -> pd.DataFrame:
    """One row per method; columns gain_<metric>_<against> with _low and _high."""
    rows: dict[str, dict[str, Any]] = {}
    for row in found.to_dict("records"):
        name = f"gain_{row['metric']}_{str(row['against']).replace(' ', '_')}"
        into = rows.setdefault(str(row["method"]), {"method": row["method"]})
        into |= {name: row["gain"], f"{name}_low": row["gain_low"], f"{name}_high": row["gain_high"]}
    return pd.DataFrame(rows.values())


def _costs(told: Sequence[Mapping[str, Mapping[str, Any]]]) -> pd.DataFrame:
    """Median seconds and memory over the repeats, size of the last; the reason where a method was refused."""
    rows = []
    for name in dict.fromkeys(name for repeat in told for name in repeat):
        each = [repeat[name] for repeat in told if name in repeat]
        row: dict[str, Any] = {"method": name}
        row |= {key: float(np.median([t[key] for t in each])) for key in COST if all(key in t for t in each)}
        row |= dict(each[-1].get("cost") or {})
        row["refused"] = next((str(t["refused"]) for t in each if t.get("refused")), "")
        rows.append(row)
    return pd.DataFrame(rows)


def _has(compared: Compared, kind: str) -> bool:
    first = compared.repeats[0].answers[compared.methods[0]]
    return bool((first["kind"] == kind).any())


def _plain(row: Mapping[Any, Any]) -> dict[str, Any]:
    """NaN as null, six digits."""
    return {str(k): _value(v) for k, v in row.items()}


def _value(v: object) -> object:
    if isinstance(v, float | np.floating):
        return round(float(v), 6) if np.isfinite(v) else None
    return v.item() if isinstance(v, np.generic) else v
