"""Read eye tracking from tables, and find them among files.

In:  one CSV or Parquet table, or the tables of a folder. Out: a `GazeRecording`, or one `Found` per table.

A table is read and checked whole when it is found: whoever collects it learns at once what is wrong with it. It names
neither patient nor time; folder, file name or a table of files do.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Bool
from numpy import ndarray as Array

from clinic_mm.errors import EvidenceError
from clinic_mm.signals import GazeRecording
from clinic_mm.sources.eye.checked import checked
from clinic_mm.sources.eye.columns import gaze_columns
from clinic_mm.sources.found import Found
from clinic_mm.sources.place import content_hash, rejected, relative
from clinic_mm.sources.samples import SECONDS, GazeColumns, declared_as, from_locator
from clinic_mm.sources.tables.known import columns_of
from clinic_mm.sources.tables.sample_table import numbers, open_samples
from clinic_mm.types import Evidence

MEND: Final = "Name its columns as docs/formats.md has them, or declare them under [source.options]"


def load(files: Sequence[Path], *, locator: str = "", until: datetime | None = None) -> GazeRecording:
    """Decode one recording.

    Args:
        files: One table.
        locator: What the ingest file declared of it.
        until: Not used: a recording is dated as a whole.

    Raises:
        EvidenceError: Code and reason why it cannot be used.
    """
    del until
    if len(files) != 1:
        raise EvidenceError("eye.several_files", f"A recording is one table, not {len(files)}", "", "Give one table")
    return _read(files[0], from_locator(GazeColumns, locator))


def find_gaze(root: Path, root_name: str, files: Sequence[Path], zone: tzinfo, **options: object) -> Iterator[Found]:
    """One `Found` for each table.

    Args:
        root: The folder looked through.
        root_name: Its name in the cohort.
        files: Tables below `root`.
        zone: Not used: a table of samples says nothing of when it was recorded.
        options: What the ingest file says of them, see `GazeColumns`.

    Raises:
        TaskError: If the options are wrong.
    """
    del zone
    declared = declared_as(GazeColumns, options)
    for path in files:
        yield _look_at(path, root, root_name, declared)


def _look_at(path: Path, root: Path, root_name: str, declared: GazeColumns | None) -> Found:
    try:
        gaze = _read(path, declared)
        evidence = Evidence(
            modality="eye",
            root=root_name,
            paths=relative(root, (path,)),
            locator=declared.locator if declared else "",
            content_hash=content_hash((path,)),
            flags=gaze.flags,
            meta={
                "sfreq_hz": round(gaze.sfreq_hz, 3),
                "duration_s": round(float(gaze.time_s[-1]), 3),
                "unit": gaze.unit,
            },
        )
    except EvidenceError as error:
        return Found("", rejected(error, "eye", root_name, root, (path,)))
    except OSError:
        gone = EvidenceError("file.unreadable", "The file cannot be opened", "", "Check that it may be read")
        return Found("", rejected(gone, "eye", root_name, root, (path,)))
    return Found("", evidence)


def _read(path: Path, declared: GazeColumns | None) -> GazeRecording:
    names = columns_of(path)
    told = declared or gaze_columns(names)
    if told is None:
        raise EvidenceError("eye.columns", "Nothing says which columns are the gaze, and in which units", "", MEND)
    wanted = {name.lower() for name in (told.time, told.x, told.y, told.pupil, told.valid) if name}
    if missing := sorted(wanted - names):
        what = f"{len(missing)} of the declared columns are not there"
        raise EvidenceError("eye.columns", what, "", MEND)
    frame = open_samples(path, wanted)
    time_s = numbers(frame[told.time.lower()]) * SECONDS[told.time_unit]
    xy = np.stack([numbers(frame[told.x.lower()]), numbers(frame[told.y.lower()])])
    pupil = numbers(frame[told.pupil.lower()]) if told.pupil else np.full(len(frame), np.nan)
    seen = _seen(frame[told.valid.lower()], told.valid_is) if told.valid else np.ones(len(frame), bool)
    return checked(time_s, xy, pupil, seen, told)


def _seen(cells: "object", valid_is: Sequence[str]) -> Bool[Array, " n"]:
    """Whether the tracker says that it saw the eye: `1`, `1.0` and `True` are one word."""
    words = np.char.lower(np.char.strip(np.asarray(cells).astype(str)))
    whole = np.array([word.removesuffix(".0") for word in words])
    return np.asarray(np.isin(whole, [one.strip().lower() for one in valid_is]))
