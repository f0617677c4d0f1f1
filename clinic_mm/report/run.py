"""A screening run on disk: its format, and how it is read.

    run.json                            RunInfo: what was asked, of which model and cohort, with which counts
    shards/day=YYYY-MM-DD/part-*.parquet  one row per case: cheap columns, and the whole Prediction as JSON
    reports/<case_key>.json             FHIR, one per case
    skipped.csv                         cases without a Prediction, and why
    worklist.csv                        all cases, the most urgent first, each with its reason

In:  a run folder. Out: frames and Predictions. `run_info`, `shards` and `run_files` have the parts of the format, and
how they are written; what others need of them can be had from here.

The day of a shard is that of its screening, in UTC: a unit of cases is one file, while their decision times may lie
years apart. Shards are ordered by their number, whatever their day; where a case stands in two (it was answered again,
and the run is not finished yet), the later one counts. Runs of earlier versions have their shards directly in shards/.

Nothing here runs a model or touches the cohort.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd
from pydantic import ValidationError

from clinic_mm.errors import ArtifactError, InputError
from clinic_mm.predict.prediction import Prediction as Prediction  # the dashboards take them from here
from clinic_mm.predict.within.told import WAYS as WAYS
from clinic_mm.predict.within.told import Within as Within
from clinic_mm.report.atomic import written_whole
from clinic_mm.report.run_files import SKIPPED_COLUMNS as SKIPPED_COLUMNS
from clinic_mm.report.run_files import WORKLIST_COLUMNS as WORKLIST_COLUMNS
from clinic_mm.report.run_files import drop_reports as drop_reports
from clinic_mm.report.run_files import write_reports as write_reports
from clinic_mm.report.run_files import write_skipped as write_skipped
from clinic_mm.report.run_files import write_worklist as write_worklist
from clinic_mm.report.run_info import Counts as Counts
from clinic_mm.report.run_info import ModelOf as ModelOf
from clinic_mm.report.run_info import RunInfo as RunInfo
from clinic_mm.report.run_info import checked_key as checked_key
from clinic_mm.report.shards import AGAIN as AGAIN
from clinic_mm.report.shards import JOIN as JOIN
from clinic_mm.report.shards import kept_rows as kept_rows
from clinic_mm.report.shards import parsed, read_shard, shard_schema
from clinic_mm.report.shards import write_shard as write_shard
from clinic_mm.types import SCHEMA_VERSION


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
        columns = list(shard_schema(len(self.info.classes)).names)
        columns.remove("prediction")
        frames = [read_shard(shard, columns) for shard in self.shards]
        if not frames:
            empty: pd.DataFrame = shard_schema(len(self.info.classes)).empty_table().select(columns).to_pandas()
            return empty
        return pd.concat(frames).drop_duplicates("case_key", keep="last", ignore_index=True)

    def prediction(self, case_key: str) -> Prediction:
        """One stored Prediction.

        Raises:
            InputError: If the run has no such case.
            ArtifactError: If the stored row is damaged.
        """
        for shard in reversed(self.shards):
            found = read_shard(shard, ["prediction"], [("case_key", "=", case_key)])
            if len(found):
                return parsed(str(found["prediction"].iloc[0]), case_key)
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
            found = read_shard(shard, ["case_key", "prediction"])
            for case_key, text in zip(found["case_key"], found["prediction"], strict=True):
                if (shard.name, case_key) not in stale:
                    yield parsed(str(text), str(case_key))

    def stored(self, shard: Path) -> Iterator[tuple[str, int | None, str]]:
        """Case key, known class and Prediction as JSON, unparsed, of every row of one shard.

        Raises:
            ArtifactError: If the shard cannot be read.
        """
        found = read_shard(shard, ["case_key", "label", "prediction"])
        for case_key, label, text in zip(found["case_key"], found["label"], found["prediction"], strict=True):
            yield str(case_key), None if pd.isna(label) else int(label), str(text)

    def _stale(self) -> frozenset[tuple[str, str]]:
        """Shard and case of answers that a later shard replaces; a finished run has none."""
        if self.info.finished_at is not None:
            return frozenset()
        stands: dict[str, str] = {}
        stale = set()
        for shard in self.shards:
            for case_key in read_shard(shard, ["case_key"])["case_key"]:
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
