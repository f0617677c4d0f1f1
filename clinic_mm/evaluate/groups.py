"""To which sex, age band, site and language each case belongs, by `schemas/fairness.toml`.

In:  cases with their covariates, the record rows of the cohort. Out: one row per case, one column per attribute, ""
where nothing says it. Unknown is a group of nobody: it is counted, never guessed.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, Protocol

import pandas as pd

from clinic_mm.bundle import policy
from clinic_mm.cohort.manifest import Cohort

DAYS_A_YEAR: Final = 365.25
BIRTH: Final = "birth_date"
AGE: Final = "age"


class Whose(Protocol):
    """Whom to sort: a case, or what of it is needed for this."""

    @property
    def case_key(self) -> str:
        """Of the case."""
        ...

    @property
    def patient_key(self) -> str:
        """Of its patient."""
        ...

    @property
    def decision_time(self) -> datetime | None:
        """When the answer is due."""
        ...

    @property
    def covariates(self) -> Mapping[str, Any]:
        """Further columns of its labels."""
        ...


def groups_of(cohort: Cohort, cases: Sequence[Whose]) -> pd.DataFrame:
    """The groups of each case, indexed by case key.

    Args:
        cohort: Where the record rows are.
        cases: Whom to sort.
    """
    told: Mapping[str, Any] = policy("fairness")["attribute"]
    codes = {code for rule in told.values() for code in rule["codes"]} | {BIRTH}
    facts = _facts(cohort, codes, {case.patient_key for case in cases})
    made = {
        name: [_level(name, rule, case, facts.get(case.patient_key, {})) for case in cases]
        for name, rule in told.items()
    }
    return pd.DataFrame(made, index=pd.Index([case.case_key for case in cases], name="case_key"))


def _facts(cohort: Cohort, codes: set[str], patients: set[str]) -> dict[str, dict[str, object]]:
    """What the record says of each patient under those codes: the first that is there."""
    rows = cohort.rows("record", ["patient_key", "code", "value", "text", "time"])
    code = rows["code"].str.lower()
    rows = rows.assign(code=code)[code.isin(codes) & rows["patient_key"].isin(patients)]
    rows = rows.sort_values("time", na_position="first", kind="stable")
    found: dict[str, dict[str, object]] = {}
    for patient, name, value, text in rows[["patient_key", "code", "value", "text"]].itertuples(index=False, name=None):
        known = text or (value if value == value else None)  # NaN is not itself
        if known is not None:
            found.setdefault(patient, {}).setdefault(name, known)
    return found


def _level(name: str, rule: Mapping[str, Any], case: Whose, facts: Mapping[str, object]) -> str:
    covariates = {key.lower(): value for key, value in case.covariates.items()}
    given = [covariates.get(key) for key in rule["covariates"]] + [facts.get(code) for code in rule["codes"]]
    known = next((value for value in given if value not in (None, "")), None)
    if name == AGE:
        return _band(_years(known, case, facts), rule["edges_years"])
    if known is None:
        return ""
    word = f"{known:g}" if isinstance(known, float) else str(known).strip()
    return str(rule.get("words", {}).get(word.lower(), word))


def _years(known: object, case: Whose, facts: Mapping[str, object]) -> float | None:
    """Age as told, else from the date of birth at the decision."""
    if known is not None:
        try:
            return float(str(known))
        except ValueError:
            return None
    born = _born(str(facts.get(BIRTH, "")))
    if born is None or case.decision_time is None:
        return None
    return (case.decision_time - born).days / DAYS_A_YEAR


@lru_cache(maxsize=65_536)
def _born(told: str) -> datetime | None:
    """A date of birth; the quick way for the form that nearly all have."""
    try:
        return datetime.strptime(told, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        born = pd.to_datetime(told, errors="coerce", utc=True)
        return None if pd.isna(born) else born.to_pydatetime()


def _band(years: float | None, edges: Sequence[float]) -> str:
    if years is None or not years >= 0:
        return ""
    below = [edge for edge in edges if years < edge]
    above = [edge for edge in edges if years >= edge]
    if not above:
        return f"under {edges[0]:g}"
    return f"{above[-1]:g} and over" if not below else f"{above[-1]:g} to {below[0] - 1:g}"
