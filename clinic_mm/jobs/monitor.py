"""Monitor runs: read them in time order, watch them against a reference, write what was found.

In:  run folders, a reference (run or model folder), outcomes as CSV. Out: the folder:

    monitor.json   the state, for dashboards and for `clinic-mm screen --monitor`
    monitor.html   for people

Nothing here runs a model on evidence.
"""

from collections.abc import Sequence
from pathlib import Path

from clinic_mm.errors import InputError
from clinic_mm.evaluate.monitor.outcomes import read_outcomes
from clinic_mm.evaluate.monitor.page import write_page
from clinic_mm.evaluate.monitor.policy import Policy, read_policy
from clinic_mm.evaluate.monitor.scores import Reference, reference_of_run, stream_of
from clinic_mm.evaluate.monitor.state import MonitorState, write_state
from clinic_mm.evaluate.monitor.watch import watch_stream
from clinic_mm.jobs.monitor_reference import reference_of_model
from clinic_mm.predict.artifact import load_model
from clinic_mm.report.run import open_run


def monitor_runs(
    runs: Sequence[Path],
    reference: Path,
    out: Path,
    *,
    outcomes: Path | None = None,
    policy: Path | None = None,
) -> MonitorState:
    """Watch runs and write the folder.

    Args:
        runs: Run folders of one model.
        reference: A run of the same model from when all was well, or the model.
        out: Folder to write.
        outcomes: CSV with case_key, label and, if known, arrived_at.
        policy: Another policy than schemas/monitor.toml.

    Raises:
        InputError: Runs of several models, a reference of another model or too small, outcomes that cannot be read.
        ArtifactError: A run or model that cannot be read.
        TaskError: A policy that is wrong.
    """
    rules = read_policy(policy)
    known = _reference(reference, rules)
    opened = [open_run(path) for path in runs]
    every = [prediction for run in opened for prediction in run.predictions()]
    stream = stream_of(every, rules.reference, known=known)
    became = read_outcomes(outcomes, stream, rules.outcomes) if outcomes else None
    simulated = any(run.info.simulated for run in opened)
    watched = watch_stream(stream, known, rules, became, simulated=simulated)
    write_page(watched, out)
    write_state(watched.state, out)
    return watched.state


def _reference(path: Path, policy: Policy) -> Reference:
    if (path / "run.json").is_file():
        return reference_of_run(tuple(open_run(path).predictions()), policy.reference)
    if (path / "model.json").is_file():
        return reference_of_model(*load_model(path))
    raise InputError("This is neither a run nor a model", str(path), "Name a run folder, or an artifact folder")
