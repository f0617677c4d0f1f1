"""One patient under two keys: what several pieces of evidence say together, and files that are the same byte for byte.

In:  cases; pairs of patients that other checks found to share something. Out: leaks.

Pseudonyms do not lead back to identifiers, so this goes by content: the same file, recording, facts or note.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import combinations
from typing import Final

from clinic_mm.cohort.spec import RESERVED_ROOT
from clinic_mm.evaluate.leaks.findings import SHOWN, Found, Leak, Looked, Pair, joined
from clinic_mm.types import CaseRecord

MOST: Final = 20
"""Patients of one file whose pairs are counted."""
MEND: Final = "Give these keys one patient id in the sources (or in the labels), and ingest again"
SAME_FILE_MEND: Final = "Find out whose it is: give both keys the same patient, or leave one out, and ingest again"


def same_files(cases: Sequence[CaseRecord]) -> Found:
    """Files with the same content hash under two patients; rows of records and notes are compared elsewhere."""
    owners: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    keys: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for case in cases:
        for kind in case.evidence:
            for one in case.usable(kind):
                if one.content_hash and one.root != RESERVED_ROOT:
                    # A sheet of many people is one file: the locator says whose part of it is meant.
                    part = one.content_hash + one.locator
                    owners[kind][part].add(case.patient_key)
                    keys[kind][part].add(case.case_key)
    leaks, looked, pairs = [], [], {}
    for kind, by_hash in owners.items():
        twice = {content: who for content, who in by_hash.items() if len(who) > 1}
        looked.append(
            Looked(check=f"same file of {kind}", of=len(by_hash), found=len(twice), how="sha256 of the bytes")
        )
        shared = (pair for who in twice.values() for pair in combinations(sorted(who)[:MOST], 2))
        pairs[kind] = frozenset[Pair](shared)
        if twice:
            n, some = len(twice), sorted({key for content in twice for key in keys[kind][content]})[:SHOWN]
            what = (
                f"{n} file{'s' * (n > 1)} of {kind} {'are' if n > 1 else 'is'} the same, byte for byte, in two patients"
            )
            leaks.append(
                Leak(
                    code="duplicate.same_file",
                    severity="error",
                    modality=kind,
                    what=what,
                    mend=SAME_FILE_MEND,
                    n=n,
                    cases=tuple(some),
                )
            )
    return Found(tuple(leaks), tuple(looked), pairs)


def two_keys(several: Sequence[Found], cases: Sequence[CaseRecord]) -> Found:
    """Pairs of patients that share what two modalities hold: no slip with one file, but one person."""
    by_kind = joined(several).pairs
    counted = Counter(pair for pairs in by_kind.values() for pair in pairs)
    sure = sorted(pair for pair, n in counted.items() if n > 1)
    looked = Looked(check="one patient under two keys", of=len(counted), found=len(sure), how="two modalities alike")
    if not sure:
        return Found(looked=(looked,))
    who = {key for pair in sure for key in pair}
    some = tuple(case.case_key for case in cases if case.patient_key in who)[:SHOWN]
    n = len(sure)
    one = "pair of patient keys is" if n == 1 else "pairs of patient keys are"
    what = f"{n} {one} one person: two or more modalities are the same"
    leak = Leak(code="patient.two_keys", severity="error", what=what, mend=MEND, n=n, cases=some)
    return Found((leak,), (looked,))
