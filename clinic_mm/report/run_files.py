"""Files of a run beside its shards: the FHIR reports, the work list, and what was skipped.

In:  rows and bytes. Out: files, each whole or not there.
"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from clinic_mm.report.atomic import all_written_whole, whole_text
from clinic_mm.report.run_info import checked_key

SKIPPED_COLUMNS: Final = ("case_key", "status", "modality", "code", "why")
WORKLIST_COLUMNS: Final = ("rank", "case_key", "urgency", "state", "answer", "evidence", "reason")


def write_skipped(rows: Iterable[Mapping[str, str]], folder: Path) -> None:
    """Write `skipped.csv` from rows of SKIPPED_COLUMNS."""
    _write_csv(folder / "skipped.csv", SKIPPED_COLUMNS, rows)


def write_worklist(rows: Iterable[Mapping[str, object]], folder: Path) -> None:
    """Write `worklist.csv` from rows of WORKLIST_COLUMNS, the most urgent first."""
    _write_csv(folder / "worklist.csv", WORKLIST_COLUMNS, rows)


def _write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> None:
    with whole_text(path) as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def write_reports(reports: Mapping[str, bytes], folder: Path) -> None:
    """Write `reports/<case_key>.json` of each case."""
    all_written_whole({_report(folder, case_key): content for case_key, content in reports.items()})


def drop_reports(case_keys: Iterable[str], folder: Path) -> None:
    """Remove the reports of cases that have none any more."""
    for case_key in case_keys:
        _report(folder, case_key).unlink(missing_ok=True)


def _report(folder: Path, case_key: str) -> Path:
    return folder / "reports" / f"{checked_key(case_key)}.json"
