"""A screening run on disk: its format, how it is written piece by piece, and how it is read.

    run.json                            RunInfo: what was asked, of which model and cohort, with which counts
    shards/day=YYYY-MM-DD/part-*.parquet  one row per case: cheap columns, and the whole Prediction as JSON
    reports/<case_key>.json             FHIR, one per case
    skipped.csv                         cases without a Prediction, and why
    worklist.csv                        all cases, the most urgent first, each with its reason

In:  Predictions (writing) or a run folder (reading). Out: files, each whole or not there; or frames and Predictions.

The day of a shard is that of its screening, in UTC: a unit of cases is one file, while their decision times may lie
years apart. Shards are ordered by their number, whatever their day; where a case stands in two (it was answered again,
and the run is not finished yet), the later one counts. Runs of earlier versions have their shards directly in shards/.

Nothing here runs a model or touches the cohort.
"""

import csv
import hashlib
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, Literal

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import AwareDatetime, Field, ValidationError

from clinic_mm.errors import ArtifactError, InputError
from clinic_mm.predict.prediction import Prediction as Prediction  # the dashboards take them from here
from clinic_mm.predict.within.told import WAYS as WAYS
from clinic_mm.predict.within.told import Within as Within
from clinic_mm.report.atomic import all_written_whole, whole_text, written_whole
from clinic_mm.task import DecisionTime
from clinic_mm.types import SCHEMA_VERSION, Frozen

JOIN: Final = "+"
SKIPPED_COLUMNS: Final = ("case_key", "status", "modality", "code", "why")
WORKLIST_COLUMNS: Final = ("rank", "case_key", "urgency", "state", "answer", "evidence", "reason")
SAFE_KEY: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}")
AGAIN: Final = "Run clinic-mm screen again"


class ModelOf(Frozen):
    """The model that a run used: the folder as the operator named it, its hash, name and version."""

    path: str
    hash: str
    name: str
    version: str = ""


class Counts(Frozen):
    """Cases of a run: read (`silent` of them without an answer), skipped for want of evidence, failed by our fault.

    `failed` are tried again when the run is resumed; `quarantined` failed so often that they are left alone.
    """

    done: int = Field(default=0, ge=0)
    silent: int = Field(default=0, ge=0)
    skipped: int = Field(default=0, ge=0)
    failed: int = Field(default=0, ge=0)
    quarantined: int = Field(default=0, ge=0)

    @property
    def words(self) -> str:
        """As a person reads it."""
        answered = f"{self.done - self.silent} answered, {self.silent} without an answer"
        return f"{answered}, {self.skipped} skipped, {self.failed} failed, {self.quarantined} quarantined"

    @property
    def trouble(self) -> int:
        """Cases that our own fault cost their answer, so far or for good."""
        return self.failed + self.quarantined

    @property
    def total(self) -> int:
        """Cases that something became of."""
        return self.done + self.skipped + self.failed + self.quarantined


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

    @property
    def cohort_folder(self) -> Path:
        """Where the cohort lies: as the run names it, relative to the run folder if need be."""
        named = Path(self.info.cohort)
        return named if named.is_absolute() or named.is_dir() else (self.path / named).resolve()

    @cached_property
    def shards(self) -> tuple[Path, ...]:
        """All finished shards; what a killed run left half-written has another name."""
        return tuple(sorted((self.path / "shards").glob("**/part-*.parquet"), key=lambda shard: shard.name))

    def worklist(self) -> pd.DataFrame:
        """The cheap columns of all cases, one row each, in the order of the shards; no Prediction is parsed."""
        columns = list(_schema(len(self.info.classes)).names)
        columns.remove("prediction")
        frames = [_read(shard, columns) for shard in self.shards]
        if not frames:
            empty: pd.DataFrame = _schema(len(self.info.classes)).empty_table().select(columns).to_pandas()
            return empty
        return pd.concat(frames).drop_duplicates("case_key", keep="last", ignore_index=True)

    def prediction(self, case_key: str) -> Prediction:
        """One stored Prediction.

        Raises:
            InputError: If the run has no such case.
            ArtifactError: If the stored row is damaged.
        """
        for shard in reversed(self.shards):
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
        stale = self._stale()
        for shard in self.shards:
            found = _read(shard, ["case_key", "prediction"])
            for case_key, text in zip(found["case_key"], found["prediction"], strict=True):
                if (shard.name, case_key) not in stale:
                    yield _parsed(str(text), str(case_key))

    def stored(self, shard: Path) -> Iterator[tuple[str, int | None, str]]:
        """Case key, known class and Prediction as JSON, unparsed, of every row of one shard.

        Raises:
            ArtifactError: If the shard cannot be read.
        """
        found = _read(shard, ["case_key", "label", "prediction"])
        for case_key, label, text in zip(found["case_key"], found["label"], found["prediction"], strict=True):
            yield str(case_key), None if pd.isna(label) else int(label), str(text)

    def _stale(self) -> frozenset[tuple[str, str]]:
        """Shard and case of answers that a later shard replaces; a finished run has none."""
        if self.info.finished_at is not None:
            return frozenset()
        stands: dict[str, str] = {}
        stale = set()
        for shard in self.shards:
            for case_key in _read(shard, ["case_key"])["case_key"]:
                if earlier := stands.get(case_key):
                    stale.add((earlier, case_key))
                stands[case_key] = shard.name
        return frozenset(stale)

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
    """Write `run.json`: the last thing a run does; without `finished_at` the last thing an interrupted run does."""
    written_whole(folder / "run.json", (info.model_dump_json(indent=2) + "\n").encode())


def write_shard(
    predictions: Sequence[Prediction], path: Path, labels: Mapping[str, int | None] | None = None
) -> tuple[int, str]:
    """Write one Parquet shard: temp → fsync → rename.

    Args:
        predictions: At least one, all of the same classes; row order is kept.
        path: `<run>/shards/day=…/part-….parquet`.
        labels: Case key to known class index, where the cohort has one.

    Returns:
        Bytes and SHA-256 of the file: the same rows give the same.
    """
    assert predictions, "a shard without rows is never written"
    rows = [_row(prediction, (labels or {}).get(prediction.case_key)) for prediction in predictions]
    content = _bytes(pa.Table.from_pylist(rows, schema=_schema(len(predictions[0].classes))))
    written_whole(path, content)
    return len(content), hashlib.sha256(content).hexdigest()


def kept_rows(path: Path, case_keys: Collection[str]) -> bytes:
    """What a shard would hold with the rows of these cases alone.

    Raises:
        ArtifactError: If the shard cannot be read.
    """
    try:
        table = pq.read_table(path, partitioning=None)
        return _bytes(table.filter(pc.is_in(table["case_key"], value_set=pa.array(sorted(case_keys), pa.string()))))
    except (pa.ArrowInvalid, KeyError, OSError) as error:
        raise ArtifactError("A shard of the run cannot be read", path.name, AGAIN) from error


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


def checked_key(case_key: str) -> str:
    """The key, if it is fit for a file name.

    Raises:
        InputError: If it is not.
    """
    if not SAFE_KEY.fullmatch(case_key):
        raise InputError("A case key is not fit for a file name", "case_key", "Keys are letters, digits, - _ .")
    return case_key


def _bytes(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    content: bytes = sink.getvalue().to_pybytes()
    return content


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
