"""What lies after the decision: evidence (ingest refuses it; this proves it over the cohort), and dates inside notes.

In:  cases, and the notes of the cohort. Out: leaks.

A date inside a note counts where it can be read in one way only: 2020-03-05, 5.3.2020, 5 March 2020, March 5, 2020.
A note may name a later date for good reasons (an appointment), and its dates may have been left where its time was
shifted; so this is a finding, with how many.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import pandas as pd

from clinic_mm.evaluate.leaks.findings import SHOWN, Found, Leak, Looked
from clinic_mm.types import CaseRecord

MONTHS: Final = {
    name: number
    for number, names in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), start=1
    )
    for name in (names,)
}
FORMS: Final = (
    re.compile(r"\b(?P<y>(?:19|20)\d\d)-(?P<m>\d\d)-(?P<d>\d\d)\b"),
    re.compile(r"\b(?P<d>\d{1,2})\.\s?(?P<m>\d{1,2})\.\s?(?P<y>(?:19|20)\d\d)\b"),
    re.compile(r"\b(?P<d>\d{1,2})\.?\s+(?P<name>[A-Z][a-z]{2,8})\.?,?\s+(?P<y>(?:19|20)\d\d)\b"),
    re.compile(r"\b(?P<name>[A-Z][a-z]{2,8})\.?\s+(?P<d>\d{1,2})(?:st|nd|rd|th)?,?\s+(?P<y>(?:19|20)\d\d)\b"),
)


def late_evidence(cases: Sequence[CaseRecord]) -> Found:
    """Usable evidence acquired after its case's decision, or read beyond it: there must be none."""
    timed = [case for case in cases if case.decision_time is not None]
    late, dated = [], 0
    for case in timed:
        moment = case.decision_time
        for kind in case.evidence:
            for one in case.usable(kind):
                dated += one.acquired_at is not None
                if any(at is not None and moment is not None and at > moment for at in (one.acquired_at, one.until)):
                    late.append(case.case_key)
    how = f"{dated} dated pieces of evidence in {len(timed)} cases with a decision time"
    looked = [Looked(check="evidence after the decision", of=dated, found=len(late), how=how)]
    leaks = []
    if late:
        leaks.append(
            Leak(
                code="time.after_decision",
                severity="error",
                what=f"{len(late)} pieces of evidence were acquired after the decision they are to serve",
                mend="Run clinic-mm ingest again: it refuses them",
                n=len(late),
                cases=tuple(dict.fromkeys(late))[:SHOWN],
            )
        )
    if untimed := len(cases) - len(timed):
        leaks.append(
            Leak(
                code="time.no_decision",
                severity="finding",
                what=f"{untimed} cases have no decision time: nothing shows that evidence came before the outcome",
                mend="Give the labels a decision time, see docs/cohort_file.md",
                n=untimed,
            )
        )
    return Found(tuple(leaks), tuple(looked))


def dates_in_notes(cases: Sequence[CaseRecord], notes: pd.DataFrame) -> Found:
    """Notes known by the decision whose own text names a later day.

    Args:
        cases: With their decision times.
        notes: `patient_key`, `time`, `text`, one row per document.
    """
    of_patient = dict(iter(notes.groupby("patient_key")))
    read, found = 0, dict[str, int]()
    for case in cases:
        if case.decision_time is None or not case.usable("note") or case.patient_key not in of_patient:
            continue
        mine = of_patient[case.patient_key]
        known = mine[mine["time"].isna() | (mine["time"] <= case.decision_time)]
        for text in known["text"]:
            days = list(days_of(str(text)))
            read += len(days)
            if any(day > case.decision_time + timedelta(days=1) for day in days):
                found[case.case_key] = found.get(case.case_key, 0) + 1
    looked = Looked(check="dates inside notes", of=read, found=sum(found.values()), how="days that can be read one way")
    if not found:
        return Found(looked=(looked,))
    leak = Leak(
        code="time.note_names_later_day",
        severity="finding",
        modality="note",
        what=f"Notes of {len(found)} cases name a day after the decision",
        mend="Look whether these notes were written or edited later, or their dates not shifted with their times",
        n=len(found),
        cases=tuple(found)[:SHOWN],
    )
    return Found((leak,), (looked,))


def days_of(text: str) -> Iterator[datetime]:
    """Days that a text names, at midnight UTC; what is no day, or can be read in two ways, is passed over."""
    for form in FORMS:
        for match in form.finditer(text):
            said = match.groupdict()
            month = MONTHS.get(said["name"][:3].lower(), 0) if "name" in said else int(said["m"])
            try:
                yield datetime(int(said["y"]), month, int(said["d"]), tzinfo=UTC)
            except ValueError:
                continue
