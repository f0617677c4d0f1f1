"""A finished screening run on disk: its format, how it is written piece by piece, and how it is read.

    run.json                 RunInfo: what was asked, of which model and cohort, with which counts
    shards/part-*.parquet    one row per case: cheap columns, and the whole Prediction as JSON
    reports/<case_key>.json  FHIR, one per case
    skipped.csv              cases without a Prediction, and why

In:  Predictions (writing) or a run folder (reading). Out: files, each whole or not there; or frames and Predictions.

Nothing here runs a model or touches the cohort.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, Literal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import AwareDatetime, Field, ValidationError

from clinic_mm.errors import ArtifactError, InputError
from clinic_mm.predict.prediction import Prediction as Prediction  # the dashboards take them from here
from clinic_mm.predict.within.told import WAYS as WAYS
from clinic_mm.predict.within.told import Within as Within
from clinic_mm.report.atomic import written_whole
from clinic_mm.task import DecisionTime
from clinic_mm.types import SCHEMA_VERSION, Frozen

JOIN: Final = "+"
SKIPPED_COLUMNS: Final = ("case_key", "status", "modality", "code", "why")
SAFE_KEY: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}")
AGAIN: Final = "Run clinic-mm screen again"


class ModelOf(Frozen):
    """The model that a run used: the folder as the operator named it, its hash, name and version."""

    path: str
    hash: str
    name: str
    version: str = ""


class Counts(Frozen):
    """Cases of a run: read (`silent` of them without an answer), skipped for want of evidence, failed by our fault."""

    done: int = Field(default=0, ge=0)
    silent: int = Field(default=0, ge=0)
    skipped: int = Field(default=0, ge=0)
    failed: int = Field(default=0, ge=0)

    @property
    def words(self) -> str:
        """As a person reads it."""
        answered = f"{self.done - self.silent} answered, {self.silent} without an answer"
        return f"{answered}, {self.skipped} skipped, {self.failed} failed"


class RunInfo(Frozen):
    """What `run.json` holds.

    Attributes:
        cohort: Its folder, absolute or relative to the run folder.
        modalities: Each name of the task with its kind in the table of modalities.
        decision_time: As in the task, so that the same cases are formed again for viewing.
        finished_at: None where the run was stopped.
    """

    schema_version: str = SCHEMA_VERSION
    run_id: str
    model: ModelOf
    cohort: str
    target: str
    kind: Literal["binary", "multiclass"] = "binary"
    classes: tuple[str, ...]
    modalities: dict[str, str]
    decision_time: DecisionTime = DecisionTime()
    counts: Counts = Counts()
    simulated: bool = False
    finished_at: AwareDatetime | None = None


@dataclass(frozen=True)
class Run:
    """A run folder, opened for reading.

    Attributes:
        path: The folder.
        info: What `run.json` says.
    """

    path: Path
    info: RunInfo

    @cached_property
    def shards(self) -> tuple[Path, ...]:
        """All finished shards; what a killed run left half-written has another name."""
        return tuple(sorted((self.path / "shards").glob("part-*.parquet")))

    def worklist(self) -> pd.DataFrame:
        """The cheap columns of all cases, one row each, in the order of the shards; no Prediction is parsed."""
        columns = list(_schema(len(self.info.classes)).names)
        columns.remove("prediction")
        frames = [_read(shard, columns) for shard in self.shards]
        if not frames:
            empty: pd.DataFrame = _schema(len(self.info.classes)).empty_table().select(columns).to_pandas()
            return empty
        return pd.concat(frames, ignore_index=True)

    def prediction(self, case_key: str) -> Prediction:
        """One stored Prediction.

        Raises:
            InputError: If the run has no such case.
            ArtifactError: If the stored row is damaged.
        """
        for shard in self.shards:
            found = _read(shard, ["prediction"], [("case_key", "=", case_key)])
            if len(found):
                return _parsed(str(found["prediction"].iloc[0]), case_key)
        reasons = self.skipped()
        mine = reasons[reasons["case_key"] == case_key]
        if len(mine):
            why = "; ".join(f"{row.modality} {row.status}: {row.why}" for row in mine.itertuples())
            raise InputError("This case was skipped, so there is no answer", f"case {case_key}", why)
        raise InputError("This run has no such case", "case_key", "Each file below reports/ is named after its case")

    def predictions(self) -> Iterator[Prediction]:
        """Every stored Prediction, in the order of the shards.

        Raises:
            ArtifactError: If a stored row is damaged.
        """
        for shard in self.shards:
            found = _read(shard, ["case_key", "prediction"])
            for case_key, text in zip(found["case_key"], found["prediction"], strict=True):
                yield _parsed(str(text), str(case_key))

    def report_path(self, case_key: str) -> Path:
        """Where the FHIR report of a case lies.

        Raises:
            InputError: If the key could lead out of the folder, or monitoring hid the answer, which has no report.
        """
        path = self.path / "reports" / f"{checked_key(case_key)}.json"
        if not path.is_file() and (hidden := self.prediction(case_key).withheld):
            raise InputError("This answer is hidden by monitoring, and has no report", f"case {case_key}", hidden)
        return path

    def skipped(self) -> pd.DataFrame:
        """Cases without an answer, one row per reason (SKIPPED_COLUMNS); empty where none was skipped."""
        path = self.path / "skipped.csv"
        if not path.is_file():
            return pd.DataFrame({name: pd.Series(dtype="str") for name in SKIPPED_COLUMNS})
        try:
            return pd.read_csv(path, dtype="str", keep_default_na=False)[list(SKIPPED_COLUMNS)]
        except (KeyError, ValueError) as error:
            raise ArtifactError("The list of skipped cases cannot be read", "skipped.csv", AGAIN) from error


def open_run(path: Path) -> Run:
    """Open a run folder.

    Raises:
        ArtifactError: If it is not one, is damaged, or is of an unknown major version.
    """
    try:
        given = json.loads((path / "run.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise ArtifactError("This folder holds no finished run", str(path), "Make one: clinic-mm screen") from None
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise ArtifactError("run.json is not JSON", str(path), AGAIN) from None
    major = str(given.get("schema_version", "")).partition(".")[0] if isinstance(given, dict) else ""
    if major != SCHEMA_VERSION.partition(".")[0]:
        mend = f"This clinic_mm reads version {SCHEMA_VERSION}: use the version that wrote it, or screen again"
        raise ArtifactError(f"The run is of version {major or 'unknown'}", f"{path} / run.json / schema_version", mend)
    try:
        return Run(path, RunInfo.model_validate(given))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise ArtifactError(f"run.json is damaged: {first['msg']}", f"{path} / {field}", AGAIN) from None


def write_run(info: RunInfo, folder: Path) -> None:
    """Write `run.json`; the last thing a run does, so that a folder with one is a finished run."""
    written_whole(folder / "run.json", (info.model_dump_json(indent=2) + "\n").encode())


def write_shard(predictions: Sequence[Prediction], path: Path, labels: Mapping[str, int | None] | None = None) -> None:
    """Write one Parquet shard: temp → fsync → rename.

    Args:
        predictions: At least one, all of the same classes; row order is kept.
        path: `<run>/shards/part-….parquet`.
        labels: Case key to known class index, where the cohort has one.
    """
    assert predictions, "a shard without rows is never written"
    rows = [_row(prediction, (labels or {}).get(prediction.case_key)) for prediction in predictions]
    table = pa.Table.from_pylist(rows, schema=_schema(len(predictions[0].classes)))
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    written_whole(path, sink.getvalue().to_pybytes())


def write_skipped(rows: Iterable[Mapping[str, str]], folder: Path) -> None:
    """Write `skipped.csv` from rows of SKIPPED_COLUMNS."""
    frame = pd.DataFrame(list(rows), columns=list(SKIPPED_COLUMNS))
    written_whole(folder / "skipped.csv", frame.to_csv(index=False, lineterminator="\n").encode())


def write_report(content: bytes, case_key: str, folder: Path) -> None:
    """Write `reports/<case_key>.json`."""
    written_whole(folder / "reports" / f"{checked_key(case_key)}.json", content)


def checked_key(case_key: str) -> str:
    """The key, if it is fit for a file name.

    Raises:
        InputError: If it is not.
    """
    if not SAFE_KEY.fullmatch(case_key):
        raise InputError("A case key is not fit for a file name", "case_key", "Keys are letters, digits, - _ .")
    return case_key


def _schema(classes: int) -> pa.Schema:
    texts = ("case_key", "patient_key", "pattern")
    more = ("decision", "prediction_set", "missing", "flags", "abstained")
    return pa.schema(
        [
            *((name, pa.string()) for name in texts),
            ("label", pa.int64()),
            *((name, pa.string()) for name in more),
            *((f"p_{index}", pa.float64()) for index in range(classes)),
            ("prediction", pa.string()),
        ]
    )


def _row(prediction: Prediction, label: int | None) -> dict[str, object]:
    return {
        "case_key": checked_key(prediction.case_key),
        "patient_key": prediction.patient_key,
        "pattern": JOIN.join(prediction.pattern),
        "label": label,
        "decision": prediction.decision,
        "prediction_set": JOIN.join(prediction.prediction_set.classes),
        "missing": JOIN.join(f"{m.modality}:{m.status}" for m in prediction.missing),
        "flags": JOIN.join(sorted({f.flag.code for f in prediction.flags})),
        "abstained": prediction.abstained,
        **{f"p_{index}": value for index, value in enumerate(prediction.probabilities)},
        "prediction": prediction.model_dump_json(),
    }


def _read(shard: Path, columns: list[str], filters: list[tuple[str, str, str]] | None = None) -> pd.DataFrame:
    try:
        frame: pd.DataFrame = pq.read_table(shard, columns=columns, filters=filters, partitioning=None).to_pandas()
    except (pa.ArrowInvalid, pa.ArrowKeyError, OSError) as error:
        raise ArtifactError("A shard of the run cannot be read", shard.name, AGAIN) from error
    if missing := set(columns) - set(frame.columns):
        raise ArtifactError(f"A shard lacks columns: {sorted(missing)}", shard.name, AGAIN)
    if "label" in frame:
        frame["label"] = frame["label"].astype("Int64")
    return frame


def _parsed(text: str, case_key: str) -> Prediction:
    try:
        return Prediction.model_validate_json(text)
    except ValidationError:
        raise ArtifactError("A stored Prediction is damaged", f"case {case_key}", AGAIN) from None
