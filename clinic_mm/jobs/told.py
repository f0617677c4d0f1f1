"""What a terminal says of a run and of its cases, with what monitoring hides left out.

In:  a run folder, and the monitoring state in it where there is one. Out: text, or a marked Prediction.

Nothing here runs a model. A state that came after the run counts as one that it was screened with.
"""

from pathlib import Path

from clinic_mm.evaluate.monitor.state import state_of_run
from clinic_mm.jobs.state import run_state, state_in_words
from clinic_mm.predict.prediction import Prediction
from clinic_mm.report.describe import run_as_text
from clinic_mm.report.run import open_run


def run_told(folder: Path) -> str:
    """The run in a few lines, and how far it is where it is not finished.

    Raises:
        ArtifactError: If it is no run, or its monitoring state is damaged or of another model.
    """
    how_far = run_state(folder)
    first = state_in_words(how_far) if how_far else ""
    if first and not (folder / "run.json").is_file():
        return first
    run = open_run(folder)
    state = state_of_run(folder, run.info.model.hash)
    return run_as_text(run, state.withheld, first) if state else run_as_text(run, how_far=first)


def run_as_json(folder: Path) -> dict[str, object]:
    """What run.json says, with the ledger's counts, and under `state` how far the run is; that alone without run.json.

    Raises:
        ArtifactError: If it is no run.
    """
    how_far = run_state(folder)
    if how_far is None:
        return open_run(folder).info.model_dump(mode="json")
    state = how_far.model_dump(mode="json")
    if not (folder / "run.json").is_file():
        return {"state": state}
    return {**open_run(folder).info.model_dump(mode="json"), "counts": state["counts"], "state": state}


def case_of(folder: Path, case_key: str) -> Prediction:
    """One stored answer, marked where it is hidden.

    Raises:
        InputError: If the run has no such case.
        ArtifactError: As `run_told`.
    """
    run = open_run(folder)
    found, state = run.prediction(case_key), state_of_run(folder, run.info.model.hash)
    return state.marked(found) if state else found
