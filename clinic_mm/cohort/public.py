"""Ingest a public data set for an honest score: pseudonyms by a key that is no secret, so that a run can be repeated.

In:  an ingest file whose paths start with `data/`, the folder of the data, the labels as a frame.
Out: an open cohort in a work folder. Nothing of the data is copied but labels and what ingest itself writes.

Only for data whose people are already nobody. With a secret key each run would split the patients in another way.
"""

import shutil
from pathlib import Path
from typing import Final

import pandas as pd

from clinic_mm.cohort.ingest import ingest
from clinic_mm.cohort.manifest import Cohort
from clinic_mm.cohort.spec import SPEC_NAME
from clinic_mm.errors import InputError

KEY: Final = b"public data, no secret: the same folds in every run"


def public_cohort(spec: Path, data: Path, work: Path, labels: pd.DataFrame) -> Cohort:
    """Ingest.

    Args:
        spec: The ingest file; evidence lies below `data/`, labels are `labels.csv`.
        data: What `data/` means.
        work: A folder for the cohort; an earlier cohort in it is replaced.
        labels: Written as `labels.csv`.

    Raises:
        InputError: If there is no such data folder.
    """
    if not data.is_dir():
        mend = "Give --data DIR, or set CLINIC_MM_DATA to the folder of real files"
        raise InputError("There is no such data folder", str(data), mend)
    work.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(spec, work / SPEC_NAME)
    labels.to_csv(work / "labels.csv", index=False)
    (work / "data").unlink(missing_ok=True)
    (work / "data").symlink_to(data.resolve(), target_is_directory=True)
    return ingest(work / SPEC_NAME, work / "cohort", key=public_key(work))


def public_key(work: Path) -> Path:
    """The key that is no secret, as a file in a work folder: also for simulated cohorts."""
    work.mkdir(parents=True, exist_ok=True)
    path = work / "public.key"
    path.write_bytes(KEY)
    path.chmod(0o600)
    return path
