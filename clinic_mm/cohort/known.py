"""When a patient's facts and notes were known: all that joining needs of millions of rows.

In:  record or note rows as Arrow tables, sorted by patient and time. Out: patient and time, each time once.
"""

from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

TIME_COLUMNS: Final = {"record": ("patient_key", "category", "time"), "note": ("patient_key", "time")}
"""What is read of each table of rows."""


def known_times(rows: pa.Table) -> pa.Table:
    """`patient_key` and `time` of the rows that count as evidence, equal neighbours once.

    Demographic rows are left out: alone they are no record. Eight laboratory values of one hour are known at one time.

    Args:
        rows: `patient_key`, `time`, and `category` where there is one (TIME_COLUMNS).
    """
    if "category" in rows.column_names:
        rows = rows.filter(pc.not_equal(rows["category"], "demographic"))
    rows = rows.select(["patient_key", "time"]).combine_chunks()
    if len(rows) < 2:
        return rows
    key, time = (rows[name].combine_chunks() for name in ("patient_key", "time"))
    other = pc.or_(pc.not_equal(key[1:], key[:-1]), pc.fill_null(pc.not_equal(time[1:], time[:-1]), True))
    return rows.filter(pa.concat_arrays([pa.array([True]), other]))
