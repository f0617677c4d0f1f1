"""How far a screening run is, also while it runs or after it was killed: read from its ledger, which is not written.

In:  a run folder. Out: `RunState`, and the same in words.
"""

from pathlib import Path

from pydantic import Field

from clinic_mm.jobs import ledger_read, lock
from clinic_mm.jobs.spec import read_spec
from clinic_mm.report.run import Counts
from clinic_mm.types import Frozen


class RunState(Frozen):
    """How far a run is.

    Attributes:
        cases: All of the run.
        pending: That wait, or are being worked on.
        claimed: That were handed out to a worker; without a driver, by one that was killed.
        running: Whether a driver is at work on this machine.
        finished: Whether nothing is left to do.
    """

    run_id: str
    model: str
    cohort: str
    cases: int = Field(ge=0)
    pending: int = Field(ge=0)
    claimed: int = Field(ge=0)
    counts: Counts
    running: bool
    finished: bool


def run_state(run: Path) -> RunState | None:
    """How far a run is; None for a run of a version that kept no ledger.

    Raises:
        ArtifactError: If its job or its ledger cannot be read.
    """
    spec = read_spec(run)
    if spec is None or not (run / ledger_read.FILE).is_file():
        return None
    with ledger_read.read_only(run) as ledger:
        return RunState(
            run_id=spec.run_id,
            model=spec.model,
            cohort=spec.cohort,
            cases=ledger.total(),
            pending=ledger.pending(),
            claimed=ledger.claimed(),
            counts=ledger.counts(),
            running=lock.is_driven(run),
            finished=not ledger.meta("unfinished"),
        )


def state_in_words(state: RunState) -> str:
    """As a person reads it; "" of a finished run."""
    if state.finished:
        return ""
    done = state.cases - state.pending
    told = f"Run {state.run_id} is not finished: {done} of {state.cases} cases have an end; {state.counts.words}"
    if state.running:
        return f"{told}. It is being worked on ({state.claimed} cases handed out)"
    return f"{told}. Nobody works on it: go on with clinic-mm screen … --resume"
