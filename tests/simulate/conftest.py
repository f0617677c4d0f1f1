"""One complete cohort, written once, that the tests of files and oracles share."""

import csv
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import pytest

from clinic_mm.simulate.cohort import write_cohort
from clinic_mm.simulate.limit import Limit

CASES = 110
SEED = 39
"""With this seed every modality has a study after the decision time in some case."""


class Cohort(NamedTuple):
    out: Path
    truth: list[dict[str, str]]
    labels: dict[str, dict[str, str]]
    limit: Limit

    def decided(self) -> dict[str, datetime]:
        return {key: datetime.fromisoformat(row["decision_time"]) for key, row in self.labels.items()}


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="session")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    """Every modality of every case present, so that each oracle sees them all."""
    out = tmp_path_factory.mktemp("simulated") / "cohort"
    limit = write_cohort(out, cases=CASES, seed=SEED, rate=0.0)
    return Cohort(out, read_csv(out / "truth.csv"), {r["patient_id"]: r for r in read_csv(out / "labels.csv")}, limit)
