"""What becomes of what was asked: the job, tried before anything is given up for it.

In:  `Asked`, the ledger of the run. Out: the job spec, written once it is agreed; workers by it.

Only where weights are learnt or bfloat16 is looked at does the driver load networks; else workers alone do.
"""

import hashlib
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np

from clinic_mm.cohort.stream import Wanted, case_index, index_hash, stream_cases
from clinic_mm.encoders.runtime.setting import runtime_of
from clinic_mm.errors import ClinicError
from clinic_mm.evaluate.monitor.state import FILE as MONITOR
from clinic_mm.evaluate.monitor.state import state_bytes, write_state
from clinic_mm.jobs.asked import EVERY, Asked, ScreenOptions
from clinic_mm.jobs.drive import POLL_S
from clinic_mm.jobs.engines.base import Attempt, Bench, make_engine
from clinic_mm.jobs.ledger import Ledger
from clinic_mm.jobs.spec import CacheAt, JobSpec, Settings, write_spec
from clinic_mm.jobs.unit import Answered, Broken, Died, Outcome, Unit
from clinic_mm.types import CaseRecord


def job_of(asked: Asked) -> JobSpec:
    """The job as it is asked for now."""
    options, before = asked.options, asked.before
    was = before.settings if before else Settings()
    runtime = runtime_of(options.device or was.device, options.precision or was.precision, was.threads)
    kept = before.selection if before and not options.every else EVERY
    chosen = options.selection.over(kept)
    if kept != EVERY:
        options.say(f"Of the cohort only as the run was begun: {chosen.words}. With --all, all of it")
    started = datetime.now(UTC)
    settings = Settings(
        level=options.level if options.level is not None else was.level,
        explain=options.explain or was.explain,
        validate_reports=options.validate,
        monitor=_monitored(asked) if asked.state is not None or was.monitor else "",
        shift=_shift(asked),
        unit=options.unit or was.unit,
        device=runtime.device,
        precision=runtime.precision,
    )
    spec = JobSpec(
        run_id=before.run_id if before else started.strftime("%Y%m%dT%H%M%S"),
        model=str(asked.model),
        model_hash=asked.head.hash,
        cohort=str(asked.cohort.path.resolve()),
        cohort_hash=asked.cohort.info.content_hash,
        settings=settings,
        selection=chosen,
        cache=CacheAt.of(options.cache),
        created_at=before.created_at if before else started,
    )
    if before and (names := settings.other(before.settings)):
        options.say(f"Other settings than the run was begun with: {', '.join(names)}")
    return spec


def _monitored(asked: Asked) -> str:
    """SHA-256 of the monitoring state that the run is to have."""
    if asked.state is None:
        return _sha256(asked.out / MONITOR)
    return hashlib.sha256(state_bytes(asked.state)).hexdigest()


def write_job(asked: Asked, spec: JobSpec) -> None:
    """Write the job, once it is agreed: what is refused or stopped before leaves the former one as it was."""
    if asked.state is not None:
        write_state(asked.state, asked.out)
    write_spec(spec, asked.out)


def try_out(asked: Asked, spec: JobSpec, ledger: Ledger) -> None:
    """Before finished work is given up for another model or other settings, one worker is hired by them.

    Raises:
        ClinicError: If none can be: no such device, no memory, a damaged model.
    """
    if ledger.meta("maker") in ("", spec.maker) or not ledger.counts().total:
        return
    bench = Bench(partial(hire_on_trial, spec, asked.out.resolve()), 1, spec.unit_limit_s, asked.options.address)
    engine = make_engine(engine_of(asked.options), bench)
    try:
        engine.submit(Unit(0, (), datetime.now(UTC)))
        while not (ended := engine.wait(POLL_S)):
            pass
    finally:
        engine.stop()
    if isinstance(ended[0], Broken):
        raise ended[0].error
    if isinstance(ended[0], Died):
        mend = "What was done is kept: go on with --resume and the settings it was begun with"
        raise ClinicError(f"No worker lives with these settings ({ended[0].why})", str(asked.out), mend)


def hire_on_trial(spec: JobSpec, run: Path) -> Attempt:
    """A worker with all that it takes, who is given nothing to do. The monitoring state is not in the run yet."""
    hire(spec.model_copy(update={"settings": spec.settings.model_copy(update={"monitor": ""})}), run)
    return _nothing


def _nothing(unit: Unit) -> Outcome:
    return Answered(unit.number, (), None, 0.0)


def engine_of(options: ScreenOptions) -> str:
    """Where units are done, where nobody named it: many workers need processes, one does not."""
    return options.engine or ("local" if options.workers > 1 else "inline")


def check_precision(asked: Asked, spec: JobSpec) -> None:
    """Refuse bfloat16 where it moves a decision of this cohort: looked at at the first start.

    Raises:
        UsageError: If it moves one.
    """
    cohort, options = asked.cohort, asked.options
    model, settings = Path(spec.model), spec.settings
    runtime = runtime_of(settings.device, settings.precision, settings.threads)
    if runtime.precision == "float32":
        return
    # Here too the driver loads networks.
    from clinic_mm.jobs import precision
    from clinic_mm.jobs.weighted import reweighted
    from clinic_mm.predict.artifact import load_model
    from clinic_mm.predict.model import Model
    from clinic_mm.predict.shifted import at_level
    from clinic_mm.prep.batch import PreparedCases, prepare_cases

    def prepare() -> PreparedCases:
        cases, recipe = _some(asked, precision.MOST), load_model(model)[0].recipe
        return prepare_cases(cases, cohort.roots, recipe, workers=options.workers, cache=options.cache)

    def ready(opened: Model) -> Model:
        return reweighted(at_level(opened, settings.level), asked.out)

    moves = settings.model_copy(update={"explain": False, "validate_reports": True, "monitor": ""})
    rests_on = f"{index_hash(cohort, asked.head.task)} {moves.hash}"
    precision.check_narrow(model, runtime, prepare, asked.out, options.say, ready=ready, rests_on=rests_on)


def _some(asked: Asked, most: int) -> tuple[CaseRecord, ...]:
    """At most so many cases, spread evenly over the cohort."""
    keys = case_index(asked.cohort, asked.head.task)["case_key"]
    places = np.unique(np.linspace(0, len(keys) - 1, min(most, len(keys))).astype(int))
    return tuple(stream_cases(asked.cohort, asked.head.task, Wanted(keys=frozenset(keys.iloc[places]))))


def _shift(asked: Asked) -> str:
    """Weights for this cohort, where the task asks for them: learnt at the first start, and kept."""
    head, before, options = asked.head, asked.before, asked.options
    if head.task.sets.shift != "weighted":
        return ""
    # Only here does the driver load a network.
    from clinic_mm.jobs import weighted
    from clinic_mm.predict.artifact import load_model

    if before and before.model_hash == head.hash and before.settings.shift == _sha256(asked.out / weighted.FILE):
        return before.settings.shift
    cases = _some(asked, weighted.MOST)
    loaded, _ = load_model(asked.model)
    return weighted.weigh(loaded, asked.cohort, cases, asked.out, options.workers, options.cache, options.say)


def hire(spec: JobSpec, run: Path) -> Attempt:
    """A worker, where it is to work. Only there are torch and the model loaded."""
    from clinic_mm.jobs.worker import hire as hired

    return hired(spec, run)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
