"""Two runs side by side: what made them, and which cases changed their answer, their evidence, their urgency.

In:  open runs. Out: facts of each; one row per case that both have; shares of changed answers with intervals by
patient, and whether the later answers are right more often where labels are known.

Only the cheap columns of shards are read. What monitoring hides in a run is hidden here too, and where it is hidden,
silent or another set of classes in either run, nothing is counted as changed.
"""

from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from clinic_mm.errors import InputError
from clinic_mm.evaluate.bootstrap import draw_counts, percentile
from clinic_mm.evaluate.monitor.state import state_of_run
from clinic_mm.evaluate.withheld import few_of, merged, told_counts
from clinic_mm.predict.interval import clopper_pearson
from clinic_mm.report.ledger_file import FILE as LEDGER
from clinic_mm.report.ledger_file import reading, told
from clinic_mm.report.run import Run

HIDDEN: Final = "Hidden"
SILENT: Final = "No answer"
KINDS: Final = ("answer", "set", "pattern", "flags", "silence")
DRAWS: Final = 1000


@dataclass(frozen=True, slots=True)
class Changes:
    """Two runs, case by case.

    Attributes:
        cases: One row per case of both: case_key, patient_key; pattern, answer, set and urgency, each `_before` and
            `_after`; moved (total variation of the probabilities, NaN where one is not shown), label (of the later run,
            else of the earlier), and for each of KINDS whether it changed.
        only_before: Cases of the earlier run alone.
        only_after: Cases of the later run alone.
    """

    cases: pd.DataFrame
    only_before: int
    only_after: int

    @property
    def answered(self) -> pd.DataFrame:
        """Cases that both runs answer, where the answer is shown."""
        silent = (HIDDEN, SILENT)
        return self.cases[~self.cases["answer_before"].isin(silent) & ~self.cases["answer_after"].isin(silent)]


def run_facts(run: Run) -> dict[str, str]:
    """What made a run, as text: what differs between two of them is what may explain what changed."""
    info = run.info
    return {
        "run": info.run_id,
        "model": f"{info.model.name} {info.model.version}".strip(),
        "model hash": info.model.hash,
        "settings hash": ", ".join(settings_of(run)) or "not kept",
        "question": f"{info.target}: {' / '.join(info.classes)}",
        "evidence": ", ".join(info.modalities),
        "decision time": f"{info.decision_time.column} {info.decision_time.offset_h:+g} h",
        "cases": info.counts.words,
        "simulated": "yes" if info.simulated else "not marked as simulated",
        "finished (UTC)": f"{info.finished_at:%Y-%m-%d %H:%M}" if info.finished_at else "not finished",
    }


def settings_of(run: Run) -> list[str]:
    """Hashes of the settings that answered its cases, from the ledger: more than one after a resume with others.

    Raises:
        ArtifactError: If the ledger is damaged.
    """
    path = run.path / LEDGER
    if not path.is_file():
        return []
    with told(path), closing(reading(path)) as ledger:
        found = ledger.execute(
            "SELECT DISTINCT settings_hash FROM units WHERE settings_hash <> '' ORDER BY 1"
        ).fetchall()
    return [str(one) for (one,) in found]


def changes(before: Run, after: Run) -> Changes:
    """Join two runs by case.

    Raises:
        InputError: If they do not ask the same question of the same classes.
        ArtifactError: If a shard cannot be read.
    """
    if (before.info.target, before.info.classes) != (after.info.target, after.info.classes):
        mend = "Choose two runs of one task"
        raise InputError("The two runs ask different questions, so that no answer can be compared", "runs", mend)
    one, two = _answers(before), _answers(after)
    both = one.merge(two, on="case_key", suffixes=("_before", "_after"))
    cases = both.rename(columns={"patient_key_after": "patient_key"}).drop(columns="patient_key_before")
    cases["label"] = cases.pop("label_after").fillna(cases.pop("label_before"))
    for kind in KINDS:
        cases[kind] = _changed(cases, kind)
    probs = [f"p_{at}" for at in range(len(before.info.classes))]
    apart = np.abs(np.stack([cases[f"{p}_after"] - cases[f"{p}_before"] for p in probs])).sum(axis=0) / 2
    cases["moved"] = np.where(_shown(cases), apart, np.nan)
    return Changes(
        cases=cases.drop(columns=[f"{p}_{side}" for p in probs for side in ("before", "after")]),
        only_before=len(one) - len(both),
        only_after=len(two) - len(both),
    )


def changed_share(found: Changes) -> pd.DataFrame:
    """How many answers changed, of all and per pattern of the later run.

    Returns:
        pattern, patients (text), share, low, high (95 %, Clopper-Pearson over patients), moved (median distance of the
        probabilities), withheld.
    """
    rows = found.answered
    every = [{"pattern": "all", "n": rows["patient_key"].nunique(), **_share(rows)}]
    named = rows["pattern_after"].to_numpy(dtype=str)
    groups = merged(named, rows["patient_key"].to_numpy()) if len(rows) else named
    parts = [
        {"pattern": str(name), "n": mine["patient_key"].nunique(), **_share(mine)}
        for name, mine in rows.groupby(groups)
    ]
    parts.sort(key=lambda row: -row["n"])
    (patients,) = told_counts([row["n"] for row in parts])
    table = pd.DataFrame([*every, *parts])
    table["patients"] = [str(every[0]["n"]), *patients]
    return table[["pattern", "patients", "share", "low", "high", "moved", "withheld"]]


def righter(found: Changes, classes: tuple[str, ...], *, seed: int = 0) -> dict[str, Any] | None:
    """Whether the later answers are right more often, on cases with a label that both runs answer.

    Returns:
        patients, cases, before, after, difference, low, high (95 %, paired bootstrap over patients), became_right,
        became_wrong; None where too few patients have a label.
    """
    rows = found.answered
    rows = rows[rows["label"].notna()]
    if few_of(rows["patient_key"].nunique()):
        return None
    truth = np.array(classes, dtype=object)[rows["label"].astype(int).to_numpy()]
    was, now = (rows[f"answer_{side}"].to_numpy() == truth for side in ("before", "after"))
    who, index = np.unique(rows["patient_key"].to_numpy(dtype=str), return_inverse=True)
    gain = now.astype(float) - was
    drawn = np.concatenate(
        [(counts @ gain) / counts.sum(axis=1) for counts in draw_counts(index, len(who), n=DRAWS, seed=seed)]
    )
    low, high = percentile(drawn, 0.95)
    return {
        "patients": len(who),
        "cases": len(rows),
        "before": float(was.mean()),
        "after": float(now.mean()),
        "difference": float(gain.mean()),
        "low": low,
        "high": high,
        "became_right": int((now & ~was).sum()),
        "became_wrong": int((was & ~now).sum()),
    }


def _answers(run: Run) -> pd.DataFrame:
    """The columns that are compared, hidden and silent answers as such."""
    rows = run.worklist()
    state = state_of_run(run.path, run.info.model.hash)
    hides = {p for p in rows["pattern"].unique() if state and state.withheld(tuple(str(p).split("+")) if p else ())}
    hidden, silent = rows["pattern"].isin(hides), (rows["abstained"] != "") | (rows["pattern"] == "")
    given = ~hidden & ~silent
    found = rows[["case_key", "patient_key", "pattern", "label", "flags"]].assign(
        answer=np.select([hidden, silent], [HIDDEN, SILENT], rows["decision"]),
        set=rows["prediction_set"].where(given, ""),
        silence=silent & ~hidden,
        urgency=(1 - rows["p_0"]).where(given),
    )
    for at in range(len(run.info.classes)):
        found[f"p_{at}"] = rows[f"p_{at}"].where(given)
    return found


def _shown(cases: pd.DataFrame) -> "pd.Series[bool]":
    given = [~cases[f"answer_{side}"].isin((HIDDEN, SILENT)) for side in ("before", "after")]
    return given[0] & given[1]


def _changed(cases: pd.DataFrame, kind: str) -> "pd.Series[bool]":
    apart = cases[f"{kind}_before"] != cases[f"{kind}_after"]
    return apart & _shown(cases) if kind in ("answer", "set") else apart


def _share(rows: pd.DataFrame) -> dict[str, Any]:
    """A patient with several cases counts once, by the share of them that changed."""
    nothing: dict[str, Any] = {"share": np.nan, "low": np.nan, "high": np.nan, "moved": np.nan}
    n = int(rows["patient_key"].nunique())
    if why := few_of(n) if n else "no case that both answer":
        return {**nothing, "withheld": why}
    total = float(rows["answer"].astype(float).groupby(rows["patient_key"]).mean().sum())
    low, high = clopper_pearson(total, n)
    return {"share": total / n, "low": low, "high": high, "moved": float(rows["moved"].median()), "withheld": ""}


def changed_cases(found: Changes, kinds: Iterable[str]) -> pd.DataFrame:
    """The cases in which any of these changed, those whose probability moved most first."""
    wanted = [kind for kind in kinds if kind in KINDS]
    rows = found.cases[found.cases[wanted].any(axis=1)] if wanted else found.cases.head(0)
    return rows.sort_values(["moved", "case_key"], ascending=[False, True], na_position="last", ignore_index=True)
