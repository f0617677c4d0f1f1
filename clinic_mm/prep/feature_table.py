"""Summarise facts of many cases at once: one row of cells for each feature of each case.

In:  facts in long form, each case's in order of time, and when each case's answer is due.
Out: float32 [case, feature, summary]; NaN where there is nothing to tell, 0 or 1 for what is listed or not.

Numbers of a feature (as of the due time; of the facts that have a time where time matters):

    last, mean, min, max    in the feature's own unit
    log count               log(1 + how many)
    age h                   hours from the last one to the due time
    trend /d                slope per day of the least-squares line through them; NaN with fewer than two times, or
                            where all lie within TREND_H hours: then there is no line, only noise
    to range                how far the last one lies outside its own reference range, in widths of that range: 0
                            inside, negative below. Of a range with one limit, in parts of that limit. NaN without one

Works on whole columns: a case costs no loop over its facts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from typing import Final, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float, Float32, Int
from numpy import ndarray as Array

How = Literal["number", "level", "listed", "age"]
FIRST_SUMMARIES: Final = ("last", "mean", "min", "max", "log count", "age h")
TREND: Final = "trend /d"
RANGE: Final = "to range"
MORE: Final = {"trend": TREND, "range": RANGE}
"""Summaries that a task may ask for, by the word in its file."""
TREND_H: Final = 1.0
SECONDS_PER_DAY: Final = 86_400.0
SECONDS_PER_YEAR: Final = 365.25 * SECONDS_PER_DAY
NO_DAY: Final = {4: "-07-02", 7: "-16"}
"""The middle of a year, or of a month, where a birth date says no more."""


@dataclass(frozen=True, slots=True, order=True)
class Feature:
    """One row of the table: how it is made, from which code, of which unit or level."""

    how: How
    code: str
    detail: str = ""

    @property
    def name(self) -> str:
        """As shown to people."""
        return f"{self.code} {self.detail}" if self.detail else self.code  # whole: two codes are two columns


class FeatureTable:
    """Features and summaries, ready to be filled for any number of cases."""

    def __init__(self, features: Sequence[Feature], summaries: Sequence[str]) -> None:
        self.features, self.summaries = tuple(features), tuple(summaries)

    def __call__(
        self, rows: pd.DataFrame, case: Int[Array, " fact"], due_s: Float[Array, " case"]
    ) -> Float32[Array, "case feature summary"]:
        """Fill the table.

        Args:
            rows: Facts in RECORD_COLUMNS, known by then; within a case in order of time, undated first.
            case: Which case each fact belongs to, not decreasing.
            due_s: When each case's answer is due, seconds since the epoch; NaN where nobody says.
        """
        x = np.full((len(due_s), len(self.features), len(self.summaries)), np.nan)
        code = self._place(rows["code"], self._codes)
        self._fill_numbers(x, rows, case, due_s, code)
        self._fill_listed(x, case, code)
        self._fill_levels(x, rows, case, code)
        self._fill_ages(x, rows, case, due_s, code)
        return x.astype(np.float32)

    def _fill_numbers(self, x: Array, rows: pd.DataFrame, case: Array, due_s: Array, code: Array) -> None:
        value = rows["value"].to_numpy(np.float64)
        row = self._number_rows[code, self._place(rows["unit"], self._units)]
        kept = np.flatnonzero((row >= 0) & np.isfinite(value))
        if not kept.size:
            return
        group = case[kept] * len(self.features) + row[kept]
        order = np.argsort(group, kind="stable")  # within a group the order of time stays
        kept, group = kept[order], group[order]
        moment = rows["time"].to_numpy("datetime64[us]")[kept]
        seconds = np.where(np.isnat(moment), np.nan, moment.astype("int64") / 1e6)
        low, high = (rows[name].to_numpy(np.float64)[kept] for name in ("ref_low", "ref_high"))
        starts = np.flatnonzero(np.r_[True, group[1:] != group[:-1]])
        facts = _Groups(value[kept], seconds, low, high, starts, due_s[case[kept[starts]]])
        cells = np.stack([facts.summary(name) for name in self.summaries], axis=1)
        x.reshape(-1, len(self.summaries))[group[starts]] = cells

    def _fill_listed(self, x: Array, case: Array, code: Array) -> None:
        rows = np.array([place for place, f in enumerate(self.features) if f.how == "listed"], dtype=np.int64)
        if rows.size:
            x[:, rows, 0] = 0.0
            row = self._listed[code]
            x[case[row >= 0], row[row >= 0], 0] = 1.0

    def _fill_levels(self, x: Array, rows: pd.DataFrame, case: Array, code: Array) -> None:
        if not self._levels:
            return
        said = np.flatnonzero(self._is_level[code])
        texts = rows["text"].to_numpy(dtype=object)[said]
        # The last word of a code in a case overwrites the ones before.
        last = {(at, of): text for at, of, text in zip(case[said], code[said], texts, strict=True) if text}
        for (at, of), text in last.items():
            for place, level in self._levels[of]:
                x[at, place, 0] = float(text == level)

    def _fill_ages(self, x: Array, rows: pd.DataFrame, case: Array, due_s: Array, code: Array) -> None:
        row = self._ages[code]
        said = np.flatnonzero(row >= 0)
        for at, place, born in zip(case[said], row[said], rows["text"].to_numpy(dtype=object)[said], strict=True):
            x[at, place, 0] = (due_s[at] - _born_s(born)) / SECONDS_PER_YEAR

    @cached_property
    def _codes(self) -> pa.Array:
        return pa.array(sorted({f.code for f in self.features}), pa.large_string())

    @cached_property
    def _units(self) -> pa.Array:
        return pa.array(sorted({f.detail for f in self.features if f.how == "number"}), pa.large_string())

    @cached_property
    def _number_rows(self) -> Int[Array, "code unit"]:
        """Row of a number by its code and unit, -1 where there is none; the last code and unit are all the others."""
        units = {unit: place for place, unit in enumerate(self._units.to_pylist())}
        table = np.full((len(self._codes) + 1, len(units) + 1), -1)
        for place, f in enumerate(self.features):
            if f.how == "number":
                table[self._code_places[f.code], units[f.detail]] = place
        return table

    @cached_property
    def _listed(self) -> Int[Array, " code"]:
        return self._rows_of("listed")

    @cached_property
    def _ages(self) -> Int[Array, " code"]:
        return self._rows_of("age")

    def _rows_of(self, how: How) -> Int[Array, " code"]:
        """Row of the one feature of a code that is made in this way, -1 where there is none."""
        table = np.full(len(self._codes) + 1, -1)
        for place, f in enumerate(self.features):
            if f.how == how:
                table[self._code_places[f.code]] = place
        return table

    @cached_property
    def _code_places(self) -> dict[str, int]:
        return {code: place for place, code in enumerate(self._codes.to_pylist())}

    @cached_property
    def _levels(self) -> dict[int, list[tuple[int, str]]]:
        levels: dict[int, list[tuple[int, str]]] = {}
        for place, f in enumerate(self.features):
            if f.how == "level":
                levels.setdefault(self._code_places[f.code], []).append((place, f.detail))
        return levels

    @cached_property
    def _is_level(self) -> Array:
        known = np.zeros(len(self._codes) + 1, dtype=bool)
        known[list(self._levels)] = True
        return known

    @staticmethod
    def _place(column: pd.Series, known: pa.Array) -> Int[Array, " fact"]:
        """Where each text stands in a list, its length where it does not."""
        texts = pa.array(column, pa.large_string())
        texts = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
        place = pc.index_in(texts, value_set=known)
        found: Array = place.fill_null(len(known)).to_numpy(zero_copy_only=False)
        return found


@dataclass(frozen=True, slots=True)
class _Groups:
    """Numbers of one feature of one case after another, oldest first in each; `starts` is where each group begins."""

    value: Array
    seconds: Array
    low: Array
    high: Array
    starts: Array
    due_s: Array

    def summary(self, name: str) -> Float[Array, " group"]:
        """One summary of each group."""
        made: Array
        match name:
            case "last":
                made = self.value[self._ends]
            case "mean":
                made = np.add.reduceat(self.value, self.starts) / self._counts
            case "min":
                made = np.minimum.reduceat(self.value, self.starts)
            case "max":
                made = np.maximum.reduceat(self.value, self.starts)
            case "log count":
                made = np.log1p(self._counts)
            case "age h":
                made = (self.due_s - self.seconds[self._ends]) / 3600.0
            case _:
                made = self._trend() if name == TREND else self._to_range()
        return made

    @property
    def _ends(self) -> Array:
        ends: Array = np.r_[self.starts[1:], len(self.value)] - 1
        return ends

    @property
    def _counts(self) -> Array:
        return np.diff(np.r_[self.starts, len(self.value)])

    def _trend(self) -> Float[Array, " group"]:
        dated = np.isfinite(self.seconds)
        n = np.add.reduceat(dated.astype(np.float64), self.starts)
        day = np.where(dated, self.seconds, 0.0) / SECONDS_PER_DAY
        number = np.where(dated, self.value, 0.0)
        with np.errstate(invalid="ignore", divide="ignore"):
            # Centred first: squares of days since 1970 would lose the hours.
            day -= np.repeat(np.add.reduceat(day, self.starts) / n, self._counts)
            number -= np.repeat(np.add.reduceat(number, self.starts) / n, self._counts)
            day, number = np.where(dated, day, 0.0), np.where(dated, number, 0.0)
            slope = np.add.reduceat(day * number, self.starts) / np.add.reduceat(day * day, self.starts)
        first, last = (pick.reduceat(day, self.starts) for pick in (np.minimum, np.maximum))
        return np.where((n > 1) & (last - first >= TREND_H / 24.0), slope, np.nan)

    def _to_range(self) -> Float[Array, " group"]:
        last = self._ends
        value, low, high = self.value[last], self.low[last], self.high[last]
        one_limit = np.abs(np.where(np.isfinite(low), low, high))
        width = np.where(np.isfinite(low) & np.isfinite(high), high - low, one_limit)
        beyond = np.fmax(value - high, 0.0) + np.fmin(value - low, 0.0)
        known = (np.isfinite(low) | np.isfinite(high)) & (width > 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(known, beyond / width, np.nan)


@lru_cache(maxsize=1 << 12)
def _born_s(text: str) -> float:
    """A birth date in seconds since the epoch; NaN where it is none."""
    try:
        born = datetime.fromisoformat(text[:10] + NO_DAY.get(len(text), ""))
    except ValueError:
        return np.nan
    return (born - datetime(1970, 1, 1)).total_seconds()
