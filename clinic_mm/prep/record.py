"""Turn a patient's record into a table of features with as-of times; what was never measured stays NaN.

In:  facts in long form, known at the decision time (clinic_mm.signals.PatientRecord).
Out: float32 [feature, summary] for the encoder: last, mean, min, max, log count, age in hours of the last value;
     NaN where there is none. The plain heads take the same numbers, flat, without the cells that can never be filled.

Which features there are is learnt from training cases only: numbers of codes that enough patients have, levels of
categories, presence of conditions and drugs (there, not being listed means no). Units are not mixed: a code with two
units is two features.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Final, Literal, Self

import numpy as np
import pandas as pd
from numpy import ndarray as Array

from clinic_mm.prep.base import NothingKnownError, Prep, Prepared
from clinic_mm.signals import PatientRecord
from clinic_mm.task import ModalityTask

SUMMARIES: Final = ("last", "mean", "min", "max", "log count", "age h")
FEATURES: Final = {"tiny": 128, "small": 256, "base": 512}
MIN_SHARE: Final = 0.02
MIN_PATIENTS: Final = 5
MAX_LEVELS: Final = 12
LISTED: Final = frozenset({"condition", "medication", "procedure", "allergy"})
SECONDS_PER_YEAR: Final = 365.25 * 86400
How = Literal["number", "level", "listed", "age"]
CELLS: Final[dict[str, tuple[int, ...]]] = {"number": (0, 1, 2, 3, 4, 5), "level": (0,), "listed": (0,), "age": (0,)}


@dataclass(frozen=True, slots=True, order=True)
class Feature:
    """One row of `x`: how it is made, from which code, of which unit or level."""

    how: How
    code: str
    detail: str = ""

    @property
    def name(self) -> str:
        """As shown to people."""
        return f"{self.code} {self.detail}".strip()


class RecordPrep(Prep[PatientRecord]):
    """Summarise a record over features learnt from training cases."""

    kind: ClassVar[str] = "record"
    learns: ClassVar[bool] = True

    @classmethod
    def plan(cls, size: str, options: ModalityTask) -> Self:
        """No features yet: `fit` finds them."""
        return cls({"most": FEATURES[size], "codes": list(options.codes), "features": []})

    def fit(self, signals: Iterable[tuple[PatientRecord, datetime | None]]) -> Self:
        """Choose the features that enough training cases have, the widest coverage first."""
        counts: Counter[Feature] = Counter()
        n = 0
        for n, (record, _) in enumerate(signals, start=1):  # noqa: B007 - n is the count afterwards
            counts.update(set(_features_of(record.rows, set(self.recipe["codes"]))))
        levels = Counter(f.code for f in counts if f.how == "level")
        enough = max(min(MIN_PATIENTS, n // 2), MIN_SHARE * n)
        # Too many levels make no category of a code; they cost its numbers nothing.
        few = [f for f in counts if f.how != "level" or levels[f.code] <= MAX_LEVELS]
        kept = [f for f in few if counts[f] >= enough]
        widest = sorted(kept, key=lambda f: (-counts[f], f))[: self.recipe["most"]]
        return type(self)({**self.recipe, "features": [[f.how, f.code, f.detail] for f in sorted(widest)]})

    def __call__(self, signal: PatientRecord, until: datetime | None = None) -> Prepared:
        """Prepare one record as known at `until` (by default: at its newest fact).

        Raises:
            NothingKnownError: `record.nothing_known` where none of the features can be filled.
        """
        values = _values(signal.rows)
        now = until or _newest(signal.rows)
        x = np.full(self.shape, np.nan, dtype=np.float32)
        for row, feature in enumerate(self.features):
            cells = CELLS[feature.how]
            x[row, list(cells)] = _summarise(feature, values.get(feature.code), now)
        informative = [f.how != "listed" for f in self.features]
        if not np.isfinite(x[:, 0]).any() or (any(informative) and not np.isfinite(x[informative, 0]).any()):
            raise NothingKnownError("record.nothing_known", "The record holds nothing the model knows", "record")
        return Prepared(x, x[self._filled], signal.flags)

    @property
    def features(self) -> tuple[Feature, ...]:
        """The features of this recipe, in order."""
        return tuple(Feature(*row) for row in self.recipe["features"])

    @property
    def _filled(self) -> Array:
        mask = np.zeros(self.shape, dtype=bool)
        for row, feature in enumerate(self.features):
            mask[row, list(CELLS[feature.how])] = True
        return mask

    @property
    def shape(self) -> tuple[int, ...]:
        """Features by summaries."""
        return (len(self.features), len(SUMMARIES))

    @property
    def plain_names(self) -> tuple[str, ...]:
        """Feature and summary."""
        return tuple(
            f.name if len(CELLS[f.how]) == 1 else f"{f.name} {SUMMARIES[cell]}"
            for f in self.features
            for cell in CELLS[f.how]
        )


@dataclass(frozen=True, slots=True)
class _Facts:
    """Facts of one code, oldest first: numbers, texts, units, seconds since the epoch (NaN: undated)."""

    numbers: list[float]
    texts: list[str]
    units: list[str]
    seconds: list[float]


def _features_of(rows: pd.DataFrame, wanted: set[str]) -> Iterable[Feature]:
    numeric = np.isfinite(rows["value"].to_numpy())
    said = zip(rows["category"], rows["code"], numeric, rows["text"], rows["unit"], strict=True)
    for category, code, is_number, text, unit in dict.fromkeys(said):  # a long stay says the same a hundred times
        if wanted and code not in wanted:
            continue
        if code == "birth_date":
            yield Feature("age", code)
        elif category in LISTED:
            yield Feature("listed", code)
        elif is_number:
            yield Feature("number", code, unit or "")
        elif text:
            yield Feature("level", code, text)


def _values(rows: pd.DataFrame) -> dict[str, _Facts]:
    facts: dict[str, _Facts] = defaultdict(lambda: _Facts([], [], [], []))
    seconds = rows["time"].to_numpy("datetime64[ns]").astype("int64") / 1e9
    seconds = np.where(rows["time"].isna(), np.nan, seconds)
    for code, value, text, unit, second in zip(
        rows["code"], rows["value"], rows["text"], rows["unit"], seconds, strict=True
    ):
        of = facts[code]
        of.numbers.append(float(value))
        of.texts.append(text or "")
        of.units.append(unit or "")
        of.seconds.append(float(second))
    return facts


def _newest(rows: pd.DataFrame) -> datetime | None:
    newest = rows["time"].max()
    return None if pd.isna(newest) else newest.to_pydatetime()


def _summarise(feature: Feature, facts: _Facts | None, now: datetime | None) -> list[float]:
    """The cells of one feature; a listed thing that is not listed is 0, everything else unknown is NaN."""
    match feature.how, facts:
        case "listed", _:
            return [0.0 if facts is None else 1.0]
        case _, None:
            return [np.nan] * len(CELLS[feature.how])
        case "age", _Facts():
            return [_age_years(facts.texts[-1], now)]
        case "level", _Facts():
            known = [text for text in facts.texts if text]
            return [float(known[-1] == feature.detail) if known else np.nan]
        case _:
            return _number_cells(feature, facts, now)


def _number_cells(feature: Feature, facts: _Facts, now: datetime | None) -> list[float]:
    pairs = zip(facts.numbers, facts.units, facts.seconds, strict=True)
    kept = [(number, second) for number, unit, second in pairs if unit == feature.detail and np.isfinite(number)]
    if not kept:
        return [np.nan] * len(CELLS["number"])
    numbers = np.array([number for number, _ in kept])
    age_h = (now.timestamp() - kept[-1][1]) / 3600 if now else np.nan
    return [numbers[-1], numbers.mean(), numbers.min(), numbers.max(), np.log1p(len(numbers)), age_h]


def _age_years(birth_date: str, now: datetime | None) -> float:
    try:
        born = datetime.fromisoformat(birth_date[:10])
    except ValueError:
        return np.nan
    return np.nan if now is None else (now.replace(tzinfo=None) - born).total_seconds() / SECONDS_PER_YEAR
