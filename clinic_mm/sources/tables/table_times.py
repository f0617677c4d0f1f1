"""Times as tables hold them, in UTC: a column of texts, of dates, or of moments without a zone.

In:  a column as a CSV or Parquet file gives it. Out: UTC; NaT where empty or unreadable, never a guess.

What is dated to the day counts as the end of its day (see clinic_mm.times). Many tables write such days as midnight;
who knows that of a column says so.
"""

from datetime import tzinfo

import pandas as pd

from clinic_mm.sources.record.rows import TIME_TYPE
from clinic_mm.times import parse_iso

END_OF_DAY = pd.Timedelta(days=1) - pd.Timedelta(seconds=1)


def utc_times(column: pd.Series, zone: tzinfo, *, midnight_is_a_day: "pd.Series[bool] | bool" = False) -> pd.Series:
    """Times of a column in UTC.

    Args:
        column: Texts in ISO 8601, dates, or moments with or without a zone.
        zone: Of the site, for times without a zone. Among moments, an hour that a change of clocks repeats counts as
            its second pass, one that it skips as the moment after it: never earlier than it was.
        midnight_is_a_day: Where true, a moment at 0:00:00 without a zone is a date, and counts as the end of its day.
    """
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        return column.astype(TIME_TYPE)
    if not pd.api.types.is_datetime64_any_dtype(column):
        return _of_texts(column, zone, midnight_is_a_day)
    local = column.astype("datetime64[us]")
    days = (local == local.dt.normalize()) & midnight_is_a_day
    local = local.mask(days, local + END_OF_DAY)
    localized = local.dt.tz_localize(zone, ambiguous=False, nonexistent="shift_forward")
    return pd.Series(localized, index=column.index).astype(TIME_TYPE)


def _of_texts(column: pd.Series, zone: tzinfo, midnight_is_a_day: "pd.Series[bool] | bool") -> pd.Series:
    texts = column.where(column.notna(), "").astype("str")
    if midnight_is_a_day is not False:
        days = texts.str.replace(r"[T ]00:00(?::00(?:\.0+)?)?$", "", regex=True)
        texts = days if midnight_is_a_day is True else texts.mask(midnight_is_a_day, days)
    moments = {text: parse_iso(text, zone) for text in texts.unique()}
    return pd.Series(pd.to_datetime(texts.map(moments), utc=True), index=column.index).astype(TIME_TYPE)
