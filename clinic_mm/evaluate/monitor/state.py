"""What monitoring found, as `monitor.json`: read by people, by the dashboard, and by `clinic-mm screen --monitor`.

In:  a MonitorState. Out: a file, whole or not there; or the state that stands in one.
"""

from pathlib import Path
from typing import Final, Literal

from pydantic import AwareDatetime, Field, ValidationError

from clinic_mm.errors import ArtifactError
from clinic_mm.evaluate.monitor.policy import About, Hide
from clinic_mm.predict.prediction import Prediction
from clinic_mm.report.atomic import written_whole
from clinic_mm.types import SCHEMA_VERSION, Frozen

FILE: Final = "monitor.json"
AGAIN: Final = "Run clinic-mm monitor again"


class Place(Frozen):
    """A case of the stream: its number, from 1, and its decision time."""

    number: int = Field(ge=1)
    time: AwareDatetime | None = None


class Detector(Frozen):
    """One watched score.

    Attributes:
        reference: Values of the reference that it is ranked among; 0 where it is held against the model's own promise.
        seen: Cases of the stream that it has judged.
        evidence: Against "nothing has changed", as a share of what an alarm takes.
    """

    about: About
    name: str
    what: str
    reference: int
    seen: int
    evidence: float


class Alarm(Frozen):
    """A detector that reached its threshold.

    Attributes:
        at: Where it did.
        since: Where the change most probably began.
        change: What changed, in words and figures.
        chance_cases: Cases between two such alarms of this detector where nothing changes, at least.
    """

    about: About
    name: str
    what: str
    at: Place
    since: Place
    change: str
    chance_cases: int


class Stop(Frozen):
    """What a rule says of alarms of one modality, pattern or of all: what it hides from `at` on, why, what to do."""

    hide: Hide
    name: str
    say: str
    mend: str
    since: Place
    at: Place

    def hides(self, pattern: tuple[str, ...]) -> bool:
        """Whether the answer from this evidence is hidden."""
        match self.hide:
            case "all":
                return True
            case "modality":
                return self.name in pattern
            case "pattern":
                return tuple(self.name.split("+")) == pattern
            case "nothing":
                return False


class OutcomesSeen(Frozen):
    """Outcomes known, and judged: not all that are known can be.

    Attributes:
        undated: Of cases without a decision time, where an age is asked for.
        hidden: Of answers that nobody was shown.
    """

    known: int = 0
    judged: int = 0
    strangers: int = 0
    waiting: int = 0
    late: int = 0
    undated: int = 0
    hidden: int = 0


class MonitorState(Frozen):
    """All that a dashboard needs to know of a watch.

    Attributes:
        cases: Judged, first to last; `passed_over` counts those of patients that had just been counted.
        cases_between_false_alarms: On average, all detectors together, while nothing changes.
    """

    schema_version: str = SCHEMA_VERSION
    model_hash: str
    reference: Literal["run", "model"]
    reference_cases: int
    cases: int
    passed_over: int = 0
    first: Place
    last: Place
    simulated: bool = False
    cases_between_false_alarms: int
    outcomes: OutcomesSeen | None = None
    alarms: tuple[Alarm, ...] = ()
    stops: tuple[Stop, ...] = ()
    detectors: tuple[Detector, ...] = ()

    def withheld(self, pattern: tuple[str, ...]) -> str:
        """Why an answer from this evidence is hidden, and what to do; "" where it is not."""
        found = [stop for stop in self.stops if stop.hides(pattern)]
        return " ".join(f"{stop.say}. To do: {stop.mend}." for stop in found)

    def marked(self, prediction: Prediction) -> Prediction:
        """The same answer, marked where it is hidden; what was marked before stays so."""
        why = self.withheld(prediction.pattern)
        return prediction.model_copy(update={"withheld": why}) if why else prediction


def write_state(state: MonitorState, folder: Path) -> None:
    """Write `monitor.json`."""
    written_whole(folder / FILE, state_bytes(state))


def state_bytes(state: MonitorState) -> bytes:
    """What `write_state` writes."""
    return (state.model_dump_json(indent=2) + "\n").encode()


def state_of_run(run: Path, model_hash: str) -> MonitorState | None:
    """The state in a run's folder, which hides its answers wherever they are shown; None where nobody watches.

    Raises:
        ArtifactError: If it is damaged, or of another model.
    """
    return read_state(run, model_hash) if (run / FILE).is_file() else None


def read_state(path: Path, model_hash: str | None = None) -> MonitorState:
    """Read `monitor.json`, or the one in a folder.

    Args:
        path: File or folder.
        model_hash: What it must be of; None for any model.

    Raises:
        ArtifactError: If there is none, it is damaged, of an unknown version, or of another model.
    """
    file = path / FILE if path.is_dir() else path
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise ArtifactError("There is no monitoring state", str(file), "Make one: clinic-mm monitor") from None
    try:
        state = MonitorState.model_validate_json(text)
    except ValidationError:
        raise ArtifactError("The monitoring state is damaged, or of another version", str(file), AGAIN) from None
    if state.schema_version.partition(".")[0] != SCHEMA_VERSION.partition(".")[0]:
        raise ArtifactError(f"The monitoring state is of version {state.schema_version}", str(file), AGAIN)
    if model_hash is not None and state.model_hash != model_hash:
        mend = "Name the state of this model, or none: a recalibrated model starts a new watch"
        raise ArtifactError("The monitoring state is of another model", str(file), mend)
    return state
