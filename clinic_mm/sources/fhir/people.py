"""Settle who the patients of FHIR files are, and refuse what cannot have happened to them.

In:  what the Patient resources say; facts or notes as frames.
Out: sex, birth date and language of each patient as facts; for each row the reason why it is refused.

What several entries say differently of one patient is not used. A death serves to refuse what comes after it, and
goes no further: at a decision nobody may know of it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from numpy import ndarray as Array

from clinic_mm.sources.fhir.reading import EPOCH, MICROSECOND, Said
from clinic_mm.sources.fhir.values import NAN
from clinic_mm.sources.record.rows import NO_TIME, Fact, microseconds, repeated
from clinic_mm.times import parse_iso

DAY: Final = 86_400_000_000
NEVER: Final = 1 << 62
FIRST_DAY: Final = int((datetime(1900, 1, 3, tzinfo=UTC) - EPOCH) // MICROSECOND)
"""1900-01-01, 1899-12-30 and 1753-01-01 are the zeros of databases and spreadsheets, not dates."""
OLDEST_YEARS: Final = 130
LATE_RESULT_DAYS: Final = 31
"""What is issued so long after a death may still be a result of a specimen, or a certificate."""
SHIFTED_SHARE: Final = 0.5
SHIFTED_FACTS: Final = 20
REASONS: Final = ("", "fhir.future", "fhir.far_past", "fhir.before_birth", "fhir.after_death", "fhir.duplicate")


class Person(NamedTuple):
    """What stands of a patient: sex, birth date as written, moments of birth (first) and death (last), language."""

    sex: str = ""
    born: str = ""
    born_at: int = -NEVER
    died_at: int = NEVER
    language: str = ""


def settle(
    said: Mapping[str, Sequence[Said]], troubles: Sequence[Counter[str]], now: datetime | None
) -> dict[str, Person]:
    """One person of all that is said of each; contradictions are counted in the file that says them last.

    Args:
        said: Of each patient.
        troubles: Of each file.
        now: Nobody is born after it, or long before it; None where dates are shifted.
    """
    today = None if now is None else microseconds_of(now)
    return {who: _person(entries, troubles[entries[-1].file], today) for who, entries in said.items()}


def _person(entries: Sequence[Said], trouble: Counter[str], today: int | None) -> Person:
    sex, born = _agreed({one.sex for one in entries}), _agreed({one.born for one in entries})
    languages, deaths = {one.language for one in entries} - {""}, {one.died for one in entries} - {""}
    if sex is None or born is None or len(languages) > 1:
        trouble["fhir.conflicting_patient"] += 1
    person = Person(sex or "", died_at=_last(deaths), language=languages.pop() if len(languages) == 1 else "")
    if not born:
        return person
    first, last = _first_moment(born), person.died_at
    if wrong := _wrong(first, last, today):
        trouble[wrong] += 1
        return person._replace(died_at=NEVER if last < first else last)
    return person._replace(born=born, born_at=first)


def _wrong(first: int, last: int, today: int | None) -> str:
    """Why a birth cannot have been when it is said to have been."""
    if last < first:
        return "fhir.birth_after_death"
    if today is not None and first > today:
        return "fhir.future"
    return "fhir.far_past" if today is not None and first < today - OLDEST_YEARS * 366 * DAY else ""


def _agreed(words: set[str]) -> str | None:
    """The one thing said, the finest of dates that agree; "" for nothing, None for a contradiction."""
    known = sorted(words - {""}, key=len)
    finest = known[-1] if known else ""
    return finest if all(finest.startswith(one) for one in known) else None


def _first_moment(born: str) -> int:
    """Start of the first day that a date of birth may mean, a day earlier for the zones."""
    parts = [int(part) for part in born[:10].split("-")]
    day = date(parts[0], *(parts[1:2] or [1]), *(parts[2:3] or [1]))
    return (day - date(1970, 1, 1)).days * DAY - DAY


def _last(deaths: set[str]) -> int:
    """The end of the latest day of death that is said."""
    return max((microseconds_of(at) for one in deaths if (at := parse_iso(one))), default=NEVER)


def microseconds_of(moment: datetime) -> int:
    """A moment in microseconds since 1970."""
    return int((moment - EPOCH) // MICROSECOND)


def demographics(people: Mapping[str, Person]) -> list[Fact]:
    """Sex, birth date and language of each patient, undated: they were known from the start."""
    rows: list[Fact] = []
    for who, person in people.items():
        told = ("sex", "Sex", person.sex), ("birth_date", "Date of birth", person.born)
        for code, display, text in (*told, ("language", "Language", person.language)):
            if text:
                rows.append((who, "demographic", code, display, NAN, text, "", NO_TIME, who, NAN, NAN, ""))
    return rows


def shifted_files(future: Array, file: Array) -> Array:
    """Which rows stand in files whose dates are shifted, as de-identified data have them: most lie in the future."""
    count = np.bincount(file)
    late = np.bincount(file, future, minlength=len(count))
    shifted: Array = (late > SHIFTED_SHARE * count) & (count >= SHIFTED_FACTS)
    return shifted.take(file)


def refusals(frame: pd.DataFrame, people: Mapping[str, Person], latest: Array) -> Array:
    """Why each row cannot stand: index into REASONS, 0 where it can.

    Args:
        frame: Facts or notes.
        people: By patient id.
        latest: Of each row, the moment after which it cannot lie.
    """
    at = microseconds(frame["time"])
    codes, names = pd.factorize(frame["patient_id"])
    known = [people.get(str(name), Person()) for name in names]
    born = np.array([one.born_at for one in known], np.int64)[codes]
    died = np.array([one.died_at for one in known], np.int64)[codes]
    dated = at != NO_TIME
    tests = (at > latest, at < FIRST_DAY, at < born, at > died + LATE_RESULT_DAYS * DAY)
    why = np.zeros(len(frame), np.int8)
    for reason in range(len(tests), 0, -1):
        why[dated & tests[reason - 1]] = reason
    kept = np.flatnonzero(why == 0)
    why[kept[repeated(frame.iloc[kept])]] = REASONS.index("fhir.duplicate")
    return why


def tolerant(now: datetime) -> int:
    """The latest moment that may stand: a day later, since a bare date counts as its end and zones differ."""
    return microseconds_of(now + timedelta(days=1))
