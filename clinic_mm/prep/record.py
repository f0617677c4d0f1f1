"""Turn a patient's record into a table of features with as-of times; what was never measured stays NaN.

In:  facts in long form, known at the decision time (clinic_mm.signals.PatientRecord).
Out: float32 [feature, summary] for the encoder, see `feature_table` for what each summary is; NaN where there is none.
     The plain heads take the same numbers, flat, without the cells that can never be filled.

Which features there are is learnt from training cases only: numbers of codes that enough patients have, levels of
categories, presence of conditions and drugs (there, not being listed means no). The language that a patient is spoken
to in is none, unless the task names it: a model is to be judged by it, not to rest on it. Units are not mixed: a code
with two units is two features. Trend and reference range are summaries where the task asks for them, and the range only
where enough training cases have one.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from functools import cached_property
from typing import ClassVar, Final, Self

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy import ndarray as Array

from clinic_mm.prep.base import NothingKnownError, Prep, Prepared
from clinic_mm.prep.feature_table import FIRST_SUMMARIES, MORE, RANGE, Feature, FeatureTable
from clinic_mm.signals import PatientRecord
from clinic_mm.task import ModalityTask

FEATURES: Final = {"tiny": 128, "small": 256, "base": 512}
MIN_SHARE: Final = 0.02
MIN_PATIENTS: Final = 5
MAX_LEVELS: Final = 12
JUDGED_BY: Final = frozenset({"language"})
"""Codes that figures are told apart by (`evaluate.fairness`), and that are learnt from only where a task names them."""
LISTED: Final = frozenset({"condition", "medication", "procedure", "allergy"})


class RecordPrep(Prep[PatientRecord]):
    """Summarise a record over features learnt from training cases."""

    kind: ClassVar[str] = "record"
    version: ClassVar[int] = 2
    learns: ClassVar[bool] = True

    @classmethod
    def plan(cls, size: str, options: ModalityTask) -> Self:
        """No features yet: `fit` finds them."""
        summaries = [*FIRST_SUMMARIES, *(told for asked, told in MORE.items() if asked in options.summaries)]
        return cls({"most": FEATURES[size], "codes": list(options.codes), "features": [], "summaries": summaries})

    def fit(self, signals: Iterable[tuple[PatientRecord, datetime | None]]) -> Self:
        """Choose the features that enough training cases have, the widest coverage first."""
        counts: Counter[Feature] = Counter()
        n = ranged = 0
        for n, (record, _) in enumerate(signals, start=1):  # noqa: B007 - n is the count afterwards
            counts.update(set(_features_of(record.rows, set(self.recipe["codes"]))))
            ranged += _has_range(record.rows)
        levels = Counter(f.code for f in counts if f.how == "level")
        enough = max(min(MIN_PATIENTS, n // 2), MIN_SHARE * n)
        # Too many levels make no category of a code; they cost its numbers nothing.
        few = [f for f in counts if f.how != "level" or levels[f.code] <= MAX_LEVELS]
        kept = [f for f in few if counts[f] >= enough]
        widest = sorted(kept, key=lambda f: (-counts[f], f))[: self.recipe["most"]]
        told = [name for name in self.summaries if name != RANGE or (n and ranged >= enough)]
        features = [[f.how, f.code, f.detail] for f in sorted(widest)]
        return type(self)({**self.recipe, "features": features, "summaries": told})

    def __call__(self, signal: PatientRecord, until: datetime | None = None) -> Prepared:
        """Prepare one record as known at `until` (by default: at its newest fact).

        Raises:
            NothingKnownError: `record.nothing_known` where none of the features can be filled.
        """
        due = until or _newest(signal.rows)
        x = self.table(
            signal.rows, np.zeros(len(signal.rows), np.int64), np.array([due.timestamp() if due else np.nan])
        )
        if not self.anything_known(x)[0]:
            raise NothingKnownError("record.nothing_known", "The record holds nothing the model knows", "record")
        return Prepared(x[0], x[0][self._filled], signal.flags)

    def anything_known(self, x: Array) -> Array:
        """Of which cases of a table at least one feature tells something; a list on which nothing stands tells nothing.

        Where all features are lists, any of them does.
        """
        known = np.isfinite(x[:, :, 0])
        telling = np.array([f.how != "listed" for f in self.features], dtype=bool)
        found: Array = (known[:, telling] if telling.any() else known).any(axis=1)
        return found

    @cached_property
    def table(self) -> FeatureTable:
        """The features of this recipe, to be filled for many cases at once."""
        return FeatureTable(self.features, self.summaries)

    @cached_property
    def features(self) -> tuple[Feature, ...]:
        """The features of this recipe, in order."""
        return tuple(Feature(*row) for row in self.recipe["features"])

    @property
    def summaries(self) -> tuple[str, ...]:
        """The summaries of a number; a recipe that does not name them is of the time when these were all."""
        return tuple(self.recipe.get("summaries", FIRST_SUMMARIES))

    def cells(self, feature: Feature) -> tuple[int, ...]:
        """Which summaries a feature has."""
        return tuple(range(len(self.summaries))) if feature.how == "number" else (0,)

    @cached_property
    def _filled(self) -> Array:
        mask = np.zeros(self.shape, dtype=bool)
        for row, feature in enumerate(self.features):
            mask[row, list(self.cells(feature))] = True
        return mask

    @property
    def shape(self) -> tuple[int, ...]:
        """Features by summaries."""
        return (len(self.features), len(self.summaries))

    @property
    def plain_names(self) -> tuple[str, ...]:
        """Feature and summary."""
        return tuple(
            f.name if f.how != "number" else f"{f.name} {self.summaries[cell]}"
            for f in self.features
            for cell in self.cells(f)
        )


def _features_of(rows: pd.DataFrame, wanted: set[str]) -> Iterable[Feature]:
    """What features the facts of a record could fill."""
    said = pa.table({name: pa.array(rows[name]) for name in ("category", "code", "text", "unit")})
    said = said.append_column("number", pa.array(np.isfinite(rows["value"].to_numpy())))
    # A long stay says the same a hundred times.
    for fact in said.group_by(said.column_names).aggregate([]).to_pylist():
        code = fact["code"]
        if code not in wanted and (wanted or code in JUDGED_BY):
            continue
        if code == "birth_date":
            yield Feature("age", code)
        elif fact["category"] in LISTED:
            yield Feature("listed", code)
        elif fact["number"]:
            yield Feature("number", code, fact["unit"] or "")
        elif fact["text"]:
            yield Feature("level", code, fact["text"])


def _has_range(rows: pd.DataFrame) -> bool:
    """Whether any result has a reference range."""
    return bool(np.isfinite(rows[["ref_low", "ref_high"]].to_numpy()).any())


def _newest(rows: pd.DataFrame) -> datetime | None:
    newest = rows["time"].max()
    return None if pd.isna(newest) else newest.to_pydatetime()
