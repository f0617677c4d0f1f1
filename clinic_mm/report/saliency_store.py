"""Saliency on disk: one file per case and modality, whole or not there, sealed.

    <folder>/<case_key>.<modality>.safetensors    arrays, and `told`: what they are, as JSON
    <folder>/skipped.csv                          what was asked for and has no saliency, and why
    <folder>/requested/<case_key>                 empty: a reader asked for it, the next job computes it

In:  a `Saliency` (writing), or the folder, a case and a modality (reading). Out: files; or a `Saliency`, or None where
nothing was computed. A file that was changed, or that was made for another case, is refused.

The seal is the SHA-256 of everything else in the file. No pickle, nothing that can run. Nothing here runs a model.
"""

import hashlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import Final

import numpy as np
import orjson
import pandas as pd
from numpy import ndarray as Array
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load, save

from clinic_mm.errors import ArtifactError, InputError
from clinic_mm.predict.saliency.result import KINDS as KINDS  # the dashboards take these from here
from clinic_mm.predict.saliency.result import Saliency as Saliency
from clinic_mm.predict.saliency.result import SaliencyTold, evidence_hash
from clinic_mm.report.atomic import written_whole
from clinic_mm.report.run import checked_key
from clinic_mm.types import SCHEMA_VERSION, Evidence

FOLDER: Final = "saliency"
SKIPPED: Final = "skipped.csv"
REQUESTED: Final = "requested"
COLUMNS: Final = ("case_key", "modality", "status", "code", "why")
TOLD, SEAL = "told", "seal"
AGAIN: Final = "Run clinic-mm saliency again"


def write_saliency(saliency: Saliency, folder: Path) -> Path:
    """Write one saliency; what was there is replaced in one step."""
    path = path_of(folder, saliency.told.case_key, saliency.told.modality)
    arrays = {name: np.ascontiguousarray(array, np.float32) for name, array in sorted(saliency.arrays.items())}
    arrays[TOLD] = np.frombuffer(saliency.told.model_dump_json().encode(), np.uint8)
    written_whole(path, save({**arrays, SEAL: np.frombuffer(_seal(arrays), np.uint8)}))
    return path


def read_saliency(folder: Path, case_key: str, modality: str) -> Saliency | None:
    """What was computed for one modality of one case; None where nothing was.

    Raises:
        ArtifactError: If the file is damaged, of an unknown version, or of another case or modality.
    """
    path = path_of(folder, case_key, modality)
    if not path.is_file():
        return None
    try:
        arrays = load(path.read_bytes())
        seal = arrays.pop(SEAL).tobytes()
        if seal != _seal(arrays):
            raise ArtifactError("A stored saliency is not what was written", path.name, AGAIN)
        raw = arrays.pop(TOLD).tobytes()
        version = str(orjson.loads(raw).get("schema_version"))
        if version.partition(".")[0] != SCHEMA_VERSION.partition(".")[0]:
            raise ArtifactError(f"A stored saliency is of the unknown version {version}", path.name, AGAIN)
        told = SaliencyTold.model_validate_json(raw)
    except (SafetensorError, KeyError, ValidationError, orjson.JSONDecodeError, AttributeError, OSError):
        raise ArtifactError("A stored saliency cannot be read", path.name, AGAIN) from None
    if (told.case_key, told.modality) != (case_key, modality):
        raise ArtifactError("A stored saliency is of another case", path.name, AGAIN)
    return Saliency(told, arrays)


def path_of(folder: Path, case_key: str, modality: str) -> Path:
    """Where the saliency of one modality of one case lies.

    Raises:
        InputError: If the key or the name could lead out of the folder.
    """
    return folder / f"{checked_key(case_key)}.{checked_key(modality)}.safetensors"


def belongs(saliency: Saliency, evidence: Evidence) -> bool:
    """Whether a saliency was computed from this very piece of evidence."""
    return bool(saliency.told.evidence_hash) and saliency.told.evidence_hash == evidence_hash(evidence)


def write_skipped(rows: Iterable[Mapping[str, str]], folder: Path) -> None:
    """Write which of what was asked for has no saliency, and why; earlier reasons of the same are replaced."""
    new = pd.DataFrame(list(rows), columns=list(COLUMNS), dtype="str")
    every = pd.concat([read_skipped(folder), new]).drop_duplicates(["case_key", "modality"], keep="last")
    there = [path_of(folder, str(row.case_key), str(row.modality)).is_file() for row in every.itertuples()]
    left = every[~np.array(there, dtype=bool)].sort_values(["case_key", "modality"])
    written_whole(folder / SKIPPED, left.to_csv(index=False, lineterminator="\n").encode())


def read_skipped(folder: Path) -> pd.DataFrame:
    """What was asked for and has no saliency, and why (COLUMNS); empty where there is none.

    Raises:
        ArtifactError: If the list cannot be read.
    """
    path = folder / SKIPPED
    if not path.is_file():
        return pd.DataFrame({name: pd.Series(dtype="str") for name in COLUMNS})
    try:
        return pd.read_csv(StringIO(path.read_text("utf-8")), dtype="str", keep_default_na=False)[list(COLUMNS)]
    except (KeyError, ValueError, OSError) as error:
        raise ArtifactError("The list of what has no saliency cannot be read", SKIPPED, AGAIN) from error


def request(folder: Path, case_key: str) -> None:
    """Ask the next job for the saliency of a case.

    Raises:
        InputError: If the key could lead out of the folder, or the folder cannot be written.
    """
    path = folder / REQUESTED / checked_key(case_key)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    except OSError:
        what, mend = "The folder of the run cannot be written", "Let the dashboard write there, or run the job by hand"
        raise InputError(what, FOLDER, mend) from None


def requested(folder: Path) -> tuple[str, ...]:
    """Cases that readers asked for and no job has computed since, the oldest wish first."""
    try:
        wishes = sorted((path.stat().st_mtime_ns, path.name) for path in (folder / REQUESTED).iterdir())
    except OSError:
        return ()
    return tuple(name for _, name in wishes)


def settle(folder: Path, case_key: str) -> None:
    """Take back a request: a job has computed it, or said why it cannot."""
    with suppress(OSError):
        (folder / REQUESTED / checked_key(case_key)).unlink(missing_ok=True)


def _seal(arrays: Mapping[str, Array]) -> bytes:
    total = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        total.update(f"{name} {array.dtype} {array.shape}\n".encode() + array.tobytes())
    return total.digest()
