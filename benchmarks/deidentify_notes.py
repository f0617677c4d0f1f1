"""What the rules for notes find and what they leave, on notes whose names are known and on ones that hold almost none.

In:  Synthea's bulk export and MTS-Dialog beside the checkout. Out: a table, into a section of a page.

    python -m benchmarks.deidentify_notes --page docs/deidentify.md

Synthea's notes are made by rules, so that their names, dates and addresses are known; MTS-Dialog was de-identified by
its makers (Dr. X), so that it shows false alarms, not misses.
"""

import argparse
import csv
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.section import write_section
from clinic_mm.deid.fhir import plain_text
from clinic_mm.deid.keyring import Keyring
from clinic_mm.deid.known import PEOPLE, Known
from clinic_mm.deid.note import Cleaner
from clinic_mm.deid.policy import Policy, read_policy
from clinic_mm.sources.fhir.files import FhirFile, read_resources

DATA = Path(os.environ.get("CLINIC_MM_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
MEASURE = re.compile(r"\b\d+(?:[./]\d+)*\s?(?:mg|mcg|ml|cm|mm|kg|g/dL|mmHg|units?|percent|%|pounds|degrees)(?!\w)")
DATE = re.compile(r"\b\d{4}-\d\d-\d\d\b")


def main() -> None:
    """Measure, print, and write the section."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--page", type=Path)
    page = parser.parse_args().page
    policy, ring = read_policy(), Keyring(b"benchmark only".ljust(32))
    body = "\n".join(["| measured on | seen |", "|---|---|", *_synthea(policy, ring), *_dialogues(policy, ring)])
    print(body)
    if page:
        write_section(page, "What the rules for notes find", f"`python -m benchmarks.deidentify_notes`\n\n{body}")


def _synthea(policy: Policy, ring: Keyring) -> Iterator[str]:
    """Names, dates and places of 1,215 notes, with what the run's Patients say, and by rules alone."""
    folder = DATA / "fhir/synthea_bulk10"
    known, nothing = (Known(policy.lists["note"]["ordinary"]) for _ in range(2))
    known.add_files(sorted(folder.glob("*.gz")))
    people = list(_resources(folder / "Patient.000.ndjson.gz", frozenset(PEOPLE)))
    names = {one["id"]: {part for n in one["name"] for part in (n["family"], *n["given"])} for one in people}
    counts: Counter[str] = Counter()
    for note in _resources(folder / "DocumentReference.000.ndjson.gz", frozenset({"DocumentReference"})):
        patient_id = note["subject"]["reference"].removeprefix("Patient/")
        for content in note["content"]:
            text = plain_text(content["attachment"]) or ""
            told, alone = (Cleaner(policy, ring, patient_id, which).clean(text) for which in (known, nothing))
            counts["notes"] += 1
            for name in names[patient_id]:
                counts["names"] += text.count(name)
                counts["names left"] += told.count(name)
                counts["names left by rules alone"] += alone.count(name)
            counts["dates"] += len(DATE.findall(text))
            counts["dates left"] += len(set(DATE.findall(text)) & set(DATE.findall(told)))
            counts["measures"] += len(MEASURE.findall(text))
            old, new = (Counter(MEASURE.findall(one)) for one in (text, told))
            counts["measures kept"] += (old & new).total()
    n = counts
    yield (
        f"| Synthea, {n['notes']:,} notes, with their Patients in the run "
        f"| patients' names left: {n['names left']} of {n['names']:,}; dates left: "
        f"{n['dates left']} of {n['dates']:,}; measures kept: {n['measures kept']:,} of {n['measures']:,} |"
    )
    left, same = (
        n["names left by rules alone"],
        "the same, by rules alone (all of them say it one way: X is a 62 year-old)",
    )
    yield f"| {same} | patients' names left: {left:,} of {n['names']:,} |"


def _dialogues(policy: Policy, ring: Keyring) -> Iterator[str]:
    """False alarms and measures in 1,301 sections with their dialogues."""
    cleaner, kinds = Cleaner(policy, ring, "p", Known(())), Counter[str]()
    measures = kept = words = letters = rows = 0
    start = perf_counter()
    for path in sorted((DATA / "text/mts_dialog").glob("*.csv")):
        with path.open(encoding="utf-8-sig", newline="") as file:
            for row in csv.DictReader(file):
                rows += 1
                text = f"{row['section_text']}\n{row['dialogue']}"
                kinds.update(span.kind for span in cleaner.spans(text))
                old, new = (Counter(MEASURE.findall(one)) for one in (text, cleaner.clean(text)))
                measures, kept = measures + old.total(), kept + (old & new).total()
                words, letters = words + len(text.split()), letters + len(text)
    seconds = perf_counter() - start
    told = ", ".join(f"{count} {kind}s" for kind, count in sorted(kinds.items()))
    yield (
        f"| MTS-Dialog, {rows:,} sections with their dialogues, {words:,} words "
        f"| replaced: {told}; measures kept: {kept} of {measures}; {2 * letters / seconds / 1e6:.2f} MB/s |"
    )


def _resources(path: Path, wanted: frozenset[str]) -> Iterator[dict[str, Any]]:
    yield from read_resources(path, FhirFile(), wanted)


if __name__ == "__main__":
    main()
