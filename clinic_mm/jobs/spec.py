"""What a screening job is, as one frozen document: RUN/job.json, written before the first case is answered.

In:  a model folder, a cohort folder, settings. Out: `JobSpec`, and what a job needs to know of a model without loading
its networks.

Two jobs of one model hash and one settings hash give the same rows for the same inputs, whatever engine, number of
workers, cache or selection they were run with. Nothing here runs a model.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import orjson
from pydantic import AwareDatetime, Field, JsonValue, ValidationError

from clinic_mm import __version__
from clinic_mm.errors import ArtifactError
from clinic_mm.predict.sealed import read_sealed
from clinic_mm.report.atomic import written_whole
from clinic_mm.task import Task, parse_task
from clinic_mm.types import SCHEMA_VERSION, Frozen

if TYPE_CHECKING:
    from clinic_mm.prep.cache import PrepCache

FILE: Final = "job.json"
UNIT: Final = 64
"""Cases answered together, written as one shard."""


class Settings(Frozen):
    """All that a row hangs on beside the model and the case: another value of any of it is another answer.

    Attributes:
        level: Of the prediction sets, the model's own where None.
        explain: Also what networks rest on inside record and note.
        validate_reports: Whether every FHIR report is checked.
        monitor: SHA-256 of the monitoring state in the run's folder, "" where there is none.
        shift: SHA-256 of the weights for this cohort in the run's folder, "" where there are none.
        unit: Cases answered together at most: sums of another number of rows differ in the last bits.
        threads: Of one worker, for the same reason.
        device: Where networks run.
        precision: Of the networks.
        program: Version of clinic_mm.
    """

    level: float | None = None
    explain: bool = False
    validate_reports: bool = True
    monitor: str = ""
    shift: str = ""
    unit: int = Field(default=UNIT, ge=1)
    threads: int = Field(default=1, ge=1)
    device: str = "cpu"
    precision: str = "float32"
    program: str = __version__

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical JSON."""
        return hashlib.sha256(orjson.dumps(self.model_dump(), option=orjson.OPT_SORT_KEYS)).hexdigest()

    def other(self, than: "Settings") -> tuple[str, ...]:
        """Names of what differs."""
        return tuple(name for name in type(self).model_fields if getattr(self, name) != getattr(than, name))


class Selection(Frozen):
    """Which cases of the cohort: all where nothing is said.

    Attributes:
        unseen: Only of patients that the model was not trained on.
        since: Decision time from which on.
        pattern: With usable evidence of exactly these modalities.
        limit: At most so many, in the order of the cohort.
    """

    unseen: bool = False
    since: AwareDatetime | None = None
    pattern: tuple[str, ...] | None = None
    limit: int | None = Field(default=None, ge=1)

    def over(self, before: "Selection") -> "Selection":
        """What is named here, and where nothing is, what was named before."""
        named = {name: value for name, value in self if value != type(self).model_fields[name].default}
        return before.model_copy(update=named)

    @property
    def words(self) -> str:
        """As a person reads it; "" of all cases."""
        since = f"since {self.since:%Y-%m-%d %H:%M %Z}" if self.since else ""
        pattern = "+".join(self.pattern or ("",))
        some = (
            "unseen patients" if self.unseen else "",
            since,
            f"only {pattern}" if self.pattern is not None else "",
            f"at most {self.limit}" if self.limit else "",
        )
        return ", ".join(filter(None, some))


class CacheAt(Frozen):
    """The cache of prepared evidence; without a folder files are only checked."""

    folder: str | None = None
    most_gb: float = 20.0
    verify: bool = False

    @classmethod
    def of(cls, cache: "PrepCache | None") -> "CacheAt | None":
        """Where a cache lies."""
        if cache is None:
            return None
        if cache.kept is None:
            return cls(verify=cache.contents.verify)
        most_gb = cache.kept.most_bytes / 1e9
        return cls(folder=str(cache.kept.folder.resolve()), most_gb=most_gb, verify=cache.contents.verify)

    def opened(self) -> "PrepCache":
        """As a worker uses it.

        Raises:
            InputError: If the folder cannot be made.
        """
        # Only workers need it: it brings torch, and who asks how far a run is does not wait for that.
        from clinic_mm.prep.cache import PrepCache

        return PrepCache(Path(self.folder) if self.folder else None, self.most_gb, verify=self.verify)


class JobSpec(Frozen):
    """One screening job.

    Attributes:
        run_id: Of the run, given at its first start.
        model: Artifact folder, absolute.
        model_hash: Hash of the artifact.
        cohort: Cohort folder, absolute.
        cohort_hash: Hash of its manifest.
        unit_limit_s: How long a unit may take before its worker is taken for hung; the rows do not hang on it.
        created_at: When the run was started first.
    """

    schema_version: str = SCHEMA_VERSION
    run_id: str
    model: str
    model_hash: str
    cohort: str
    cohort_hash: str
    settings: Settings = Settings()
    selection: Selection = Selection()
    cache: CacheAt | None = None
    unit_limit_s: float = Field(default=3600.0, gt=0)
    created_at: AwareDatetime

    @property
    def maker(self) -> str:
        """Of its rows: rows of two are never mixed."""
        return f"{self.model_hash} {self.settings.hash}"


class Head(NamedTuple):
    """What is known of a model without loading it: its hash, task, and facts of its making."""

    hash: str
    task: Task
    facts: Mapping[str, JsonValue]


def read_head(folder: Path) -> Head:
    """Check every byte of an artifact, and read who it is; neither torch nor a network is loaded.

    Raises:
        ArtifactError: If it is no artifact, of an unknown version, or a file is not what was written.
    """
    files, model_hash = read_sealed(folder, "model.json", "clinic-mm train")
    try:
        told = orjson.loads(files["model.json"])
        return Head(model_hash, parse_task(told["task"], "model.json"), told["facts"])
    except (KeyError, TypeError, ValueError) as error:
        mend = "Copy the folder again, or train the model again"
        raise ArtifactError(f"The model cannot be read ({type(error).__name__})", str(folder), mend) from error


def write_spec(spec: JobSpec, run: Path) -> None:
    """Write RUN/job.json."""
    written_whole(run / FILE, (spec.model_dump_json(indent=2) + "\n").encode())


def read_spec(run: Path) -> JobSpec | None:
    """The job that a run folder is of; None where none was ever started there.

    Raises:
        ArtifactError: If job.json is damaged, or of an unknown major version.
    """
    try:
        text = (run / FILE).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        spec = JobSpec.model_validate_json(text)
    except ValidationError:
        mend = "Screen again into a new folder"
        raise ArtifactError("job.json is damaged, or of another version", str(run), mend) from None
    if spec.schema_version.partition(".")[0] != SCHEMA_VERSION.partition(".")[0]:
        mend = f"This clinic_mm reads version {SCHEMA_VERSION}: use the version that wrote it, or name a new folder"
        raise ArtifactError(f"The job is of version {spec.schema_version}", f"{run} / {FILE}", mend)
    return spec
