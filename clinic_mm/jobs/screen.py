"""Screen a cohort: every case answered, skipped or set aside with its reason, whatever dies on the way.

    job spec -> plan (ledger) -> units -> engine -> shards, reports, ledger -> finish (run.json)

In:  a model folder, a cohort folder, a run folder. Out: the run (`report.run` owns its format), its job (`jobs.spec`)
and its ledger (`jobs.ledger`). A run that was stopped, or whose inputs changed, goes on with `resume`: finished work is
not done again unless what it rests on has changed. docs/decisions/0009 says why it is built like this.
"""

import hashlib
import re
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from clinic_mm.cohort.manifest import Cohort, open_cohort
from clinic_mm.cohort.stream import Wanted, case_index, index_hash, stream_cases
from clinic_mm.encoders.runtime.setting import runtime_of
from clinic_mm.errors import ClinicError, InputError, UsageError
from clinic_mm.evaluate.monitor.state import FILE as MONITOR
from clinic_mm.evaluate.monitor.state import MonitorState, read_state, state_bytes, write_state
from clinic_mm.jobs import ledger as ledgers
from clinic_mm.jobs import lock
from clinic_mm.jobs.drive import POLL_S, Drive, Stop, Stopped, listening, unchanged
from clinic_mm.jobs.engines.base import Attempt, Bench, make_engine
from clinic_mm.jobs.finish import finish, info_of, leave, sweep
from clinic_mm.jobs.ledger import Ledger
from clinic_mm.jobs.plan import plan
from clinic_mm.jobs.spec import (
    CacheAt,
    Head,
    JobSpec,
    Selection,
    Settings,
    read_head,
    read_spec,
    write_spec,
)
from clinic_mm.jobs.throttle import Throttle, Wait
from clinic_mm.jobs.unit import Answered, Broken, Died, Outcome, Unit
from clinic_mm.prep.batch import PreparedCases, Progress
from clinic_mm.prep.cache import PrepCache
from clinic_mm.report.run import Counts, RunInfo, open_run, write_run
from clinic_mm.times import site_zone
from clinic_mm.types import CaseRecord

EVERY: Final = Selection()


@dataclass(frozen=True, slots=True)
class ScreenOptions:
    """How to screen. What of level, explain, device, precision, unit and selection is not named stays as it was begun.

    Attributes:
        workers: Processes.
        cache: Of prepared evidence.
        progress: Told of cases done and of all cases.
        validate: Whether reports are validated.
        level: Of the prediction sets.
        say: Told what a person should know.
        explain: Also what experts that are networks rest on inside record and note, which takes longer than the answer.
        engine: Where units are done; None for worker processes, or for one worker this very process.
        address: Of the engine's cluster.
        device: Where networks run: cpu or cuda.
        precision: Of the networks: float32, or bfloat16 where `jobs.precision` finds that it moves no decision.
        unit: Cases answered together.
        selection: Which cases; what it does not name stays as it was begun.
        every: Whether what the run was begun with is no selection any more.
        resume: Whether the run folder may hold this run already.
        retry: On resuming, whether what failed or was refused when read is tried anew.
        counted: Told of the counts, and of the number of all cases, after every commit.
        throttle: What may hold work up; its hours are those of the site.
        waits: Told why nothing new is begun, and None when work goes on.
    """

    workers: int = 1
    cache: PrepCache | None = None
    progress: Progress | None = None
    validate: bool = True
    level: float | None = None
    say: Callable[[str], None] = lambda _: None
    explain: bool = False
    engine: str | None = None
    address: str = ""
    device: str | None = None
    precision: str | None = None
    unit: int | None = None
    selection: Selection = EVERY
    every: bool = False
    resume: bool = False
    retry: bool = False
    counted: Callable[[Counts, int], None] = lambda *_: None
    throttle: Throttle = field(default_factory=Throttle)
    waits: Callable[[Wait | None], None] = lambda _: None


DEFAULTS: Final = ScreenOptions()


def screen_cohort(
    model_folder: Path,
    cohort_folder: Path,
    out: Path,
    *,
    monitor: Path | None = None,
    options: ScreenOptions = DEFAULTS,
) -> RunInfo:
    """Screen the cases of a cohort folder.

    Args:
        model_folder: The artifact.
        cohort_folder: The cohort.
        out: Run folder, new or empty; with `resume` also one that holds this run.
        monitor: What `clinic-mm monitor` found of this model, file or folder: what it hides is marked.
        options: Which cases, how, and whom to tell.

    Raises:
        InputError: If the run folder holds anything else or another process screens into it, the cohort has no case or
            changes meanwhile, or the run cannot be written.
        LeakError: If only unseen patients are asked for, and there is none.
        UsageError: For an unknown device or precision, or if bfloat16 moves a decision.
        ArtifactError: If model, monitoring state, job or ledger cannot be read.
        ClinicError: If the run does not come out even, or one unit after the other dies.
        KeyboardInterrupt: If it was stopped from the keyboard; everything recorded stays recorded.
        SystemExit: With 143, if it was stopped by SIGTERM.
    """
    head, cohort = read_head(model_folder), open_cohort(cohort_folder)
    state = read_state(monitor, head.hash) if monitor is not None else None
    before = check_run(out, resume=options.resume)
    stop, info = Stop(), None
    try:
        with listening(stop), lock.only_driver(out):
            info = _begun(model_folder.resolve(), head, cohort, out, before, state, stop, options)
    except Stopped:
        pass
    except Exception:
        # What SQLite and others make of being stopped in the middle is an error of theirs.
        if not (stop.signal and stop.at_once):
            raise
    if info is not None:
        return info
    options.say("Stopped. What is done is kept: go on with the same command and --resume")
    if stop.signal == signal.SIGTERM:
        raise SystemExit(128 + signal.SIGTERM)
    raise KeyboardInterrupt


def _begun(
    model: Path,
    head: Head,
    cohort: Cohort,
    out: Path,
    before: JobSpec | None,
    state: MonitorState | None,
    stop: Stop,
    options: ScreenOptions,
) -> RunInfo | None:
    """Find what the job is, and do it; None where it was asked to stop."""
    try:
        spec = _spec(model, head, cohort, out, before, state, options)
        if before is None:
            _write(spec, state, out)  # a kill from here on leaves a run to go on with
        _narrow(head, cohort, spec, out, options)
        with ledgers.opened(out, options.say) as ledger:
            _try_out(ledger, spec, out, options)
            return _screen(ledger, out, spec, head, cohort, stop, options, partial(_write, spec, state, out))
    except ClinicError:
        if before is None and not stop.signal:
            _forget(out)
        raise


def selection_of(
    *, unseen: bool = False, since: str | None = None, pattern: str | None = None, limit: int | None = None
) -> Selection:
    """Which cases, as a person writes it.

    Args:
        unseen: Only of patients that the model was not trained on.
        since: ISO 8601; UTC where it names no zone.
        pattern: Names of modalities, joined by + or commas.
        limit: At most so many.

    Raises:
        UsageError: If `since` is no time.
    """
    names = None if pattern is None else tuple(sorted(filter(None, re.split(r"[+,\s]+", pattern))))
    moment = None
    if since is not None:
        try:
            moment = datetime.fromisoformat(since)
        except ValueError:
            raise UsageError("This is no time", "--since", "Write it as 2026-11-22 or 2026-11-22T08:00+01:00") from None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return Selection(unseen=unseen, since=moment, pattern=names, limit=limit)


def check_run(out: Path, *, resume: bool) -> JobSpec | None:
    """A run is written to a new or empty folder, or goes on in its own.

    Returns:
        The job that stands there.

    Raises:
        InputError: If the folder holds anything else, or a run and `resume` is not asked for.
        ArtifactError: If its job cannot be read.
    """
    if out.exists() and not out.is_dir():
        raise InputError("This is a file, not a folder", str(out), "Name a new or empty folder")
    before = read_spec(out)
    if before is not None:
        if not resume:
            raise InputError("The run folder is not empty", str(out), "Name a new folder, or go on with --resume")
        return before
    # A start that was killed at once leaves its lock, and temp files.
    if out.exists() and any(path.name != lock.FILE and not path.name.startswith(".") for path in out.iterdir()):
        raise InputError("The run folder is not empty", str(out), "Name a new folder; it holds no run to go on with")
    return None


def _spec(
    model: Path,
    head: Head,
    cohort: Cohort,
    out: Path,
    before: JobSpec | None,
    state: MonitorState | None,
    options: ScreenOptions,
) -> JobSpec:
    """The job as it is asked for now."""
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
        monitor=_monitored(state, out) if state is not None or was.monitor else "",
        shift=_shift(model, head, cohort, out, before, options),
        unit=options.unit or was.unit,
        device=runtime.device,
        precision=runtime.precision,
    )
    spec = JobSpec(
        run_id=before.run_id if before else started.strftime("%Y%m%dT%H%M%S"),
        model=str(model),
        model_hash=head.hash,
        cohort=str(cohort.path.resolve()),
        cohort_hash=cohort.info.content_hash,
        settings=settings,
        selection=chosen,
        cache=CacheAt.of(options.cache),
        created_at=before.created_at if before else started,
    )
    if before and (names := settings.other(before.settings)):
        options.say(f"Other settings than the run was begun with: {', '.join(names)}")
    return spec


def _monitored(state: MonitorState | None, out: Path) -> str:
    """SHA-256 of the monitoring state that the run is to have."""
    return hashlib.sha256(state_bytes(state)).hexdigest() if state is not None else _sha256(out / MONITOR)


def _write(spec: JobSpec, state: MonitorState | None, out: Path) -> None:
    """The job, once it is agreed: what is refused or stopped before leaves the former one as it was."""
    if state is not None:
        write_state(state, out)
    write_spec(spec, out)


def _try_out(ledger: Ledger, spec: JobSpec, out: Path, options: ScreenOptions) -> None:
    """Before finished work is given up for another model or other settings, one worker is hired by them.

    Raises:
        ClinicError: If none can be: no such device, no memory, a damaged model.
    """
    if ledger.meta("maker") in ("", spec.maker) or not ledger.counts().total:
        return
    bench = Bench(partial(hire_on_trial, spec, out.resolve()), 1, spec.unit_limit_s, options.address)
    engine = make_engine(_engine(options), bench)
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
        raise ClinicError(f"No worker lives with these settings ({ended[0].why})", str(out), mend)


def hire_on_trial(spec: JobSpec, run: Path) -> Attempt:
    """A worker with all that it takes, who is given nothing to do. The monitoring state is not in the run yet."""
    hire(spec.model_copy(update={"settings": spec.settings.model_copy(update={"monitor": ""})}), run)
    return _nothing


def _nothing(unit: Unit) -> Outcome:
    return Answered(unit.number, (), None, 0.0)


def _engine(options: ScreenOptions) -> str:
    return options.engine or ("local" if options.workers > 1 else "inline")


def _narrow(head: Head, cohort: Cohort, spec: JobSpec, out: Path, options: ScreenOptions) -> None:
    """bfloat16 only where it moves no decision of this cohort: looked at at the first start."""
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
    from clinic_mm.prep.batch import prepare_cases

    def prepare() -> PreparedCases:
        cases, recipe = _some(cohort, head, precision.MOST), load_model(model)[0].recipe
        return prepare_cases(cases, cohort.roots, recipe, workers=options.workers, cache=options.cache)

    def ready(opened: Model) -> Model:
        return reweighted(at_level(opened, settings.level), out)

    moves = settings.model_copy(update={"explain": False, "validate_reports": True, "monitor": ""})
    rests_on = f"{index_hash(cohort, head.task)} {moves.hash}"
    precision.check_narrow(model, runtime, prepare, out, options.say, ready=ready, rests_on=rests_on)


def _some(cohort: Cohort, head: Head, most: int) -> tuple[CaseRecord, ...]:
    """At most so many cases, spread evenly over the cohort."""
    keys = case_index(cohort, head.task)["case_key"]
    places = np.unique(np.linspace(0, len(keys) - 1, min(most, len(keys))).astype(int))
    return tuple(stream_cases(cohort, head.task, Wanted(keys=frozenset(keys.iloc[places]))))


def _shift(model: Path, head: Head, cohort: Cohort, out: Path, before: JobSpec | None, options: ScreenOptions) -> str:
    """Weights for this cohort, where the task asks for them: learnt at the first start, and kept."""
    if head.task.sets.shift != "weighted":
        return ""
    # Only here does the driver load a network.
    from clinic_mm.jobs import weighted
    from clinic_mm.predict.artifact import load_model

    if before and before.model_hash == head.hash and before.settings.shift == _sha256(out / weighted.FILE):
        return before.settings.shift
    cases = _some(cohort, head, weighted.MOST)
    loaded, _ = load_model(model)
    return weighted.weigh(loaded, cohort, cases, out, options.workers, options.cache, options.say)


def _screen(
    ledger: Ledger,
    out: Path,
    spec: JobSpec,
    head: Head,
    cohort: Cohort,
    stop: Stop,
    options: ScreenOptions,
    agree: Callable[[], None],
) -> RunInfo | None:
    """Plan, drive, finish; None where it was asked to stop."""
    with stop.within(ledger):
        decided = plan(ledger, out, spec, head, cohort, retry=options.retry, say=options.say, agree=agree)
    if decided.again:
        options.say(f"Done again: {'; '.join(decided.again)}")
    if not ledger.meta("unfinished") and (there := _finished(out)) is not None:
        return there
    sweep(ledger, out)
    # Whoever reads the run meanwhile, such as the dashboard, sees what it is of, and that it is not finished.
    write_run(info_of(ledger, spec, head, cohort, finished_at=None), out)
    try:
        driven = not ledger.pending() or _driven(ledger, out, spec, head, cohort, stop, options)
    except Stopped:
        driven = False
    stop.at_once = True
    if not driven:
        leave(ledger, out, spec, head, cohort, at_once=True)
        return None
    with stop.within(ledger):
        info = finish(ledger, out, spec, head, cohort)
    if told := ", ".join(f"{n} {code}" for code, n in ledger.refused()):
        options.say(f"Taken by ingest and refused when read: {told}. The cases' pages say how to mend each")
    return info


def _driven(
    ledger: Ledger, out: Path, spec: JobSpec, head: Head, cohort: Cohort, stop: Stop, options: ScreenOptions
) -> bool:
    total = ledger.total()

    def counted(counts: Counts) -> None:
        options.counted(counts, total)
        if options.progress:
            options.progress(counts.total, total)

    name = _engine(options)
    runtime = runtime_of(spec.settings.device, spec.settings.precision, spec.settings.threads)
    options.say(f"Screening with {runtime.told}; engine {name}, workers: {options.workers}")
    bench = Bench(partial(hire, spec, out.resolve()), options.workers, spec.unit_limit_s, options.address)
    counted(ledger.counts())
    check, throttle = unchanged(spec), options.throttle
    throttle.zone = site_zone(cohort.info.site_timezone)
    while not stop.signal:
        if not _rested(throttle, stop, options):  # before workers are hired
            break
        engine = make_engine(name, bench)
        here = name == "inline"
        if Drive(ledger, spec, cohort, head.task, engine, stop, counted, check, throttle, options.waits, here).run():
            return True
        stop.at_once = True
        if not stop.signal:
            leave(ledger, out, spec, head, cohort)
    return False


def _rested(throttle: Throttle, stop: Stop, options: ScreenOptions) -> bool:
    """Wait as long as it takes long; whether it was not asked to stop meanwhile."""
    while (wait := throttle.wait()) is not None and wait.long and not stop.signal:
        options.waits(wait)
        time.sleep(POLL_S)
    return not stop.signal


def hire(spec: JobSpec, run: Path) -> Attempt:
    """A worker, where it is to work. Only there are torch and the model loaded."""
    from clinic_mm.jobs.worker import hire as hired

    return hired(spec, run)


def _forget(out: Path) -> None:
    """Take back a first start that came to nothing: what it was asked for is not to be asked for again by itself."""
    if (out / ledgers.FILE).is_file():
        with ledgers.read_only(out) as ledger:
            if ledger.total():
                return
    for path in out.iterdir():  # there was nothing here but locks
        if path.is_file() and path.name != lock.FILE and not path.name.startswith("."):
            path.unlink()


def _finished(out: Path) -> RunInfo | None:
    """What run.json says of a finished run."""
    try:
        info = open_run(out).info
    except ClinicError:
        return None
    return info if info.finished_at else None


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
