"""Screen a cohort: every case answered, skipped or set aside with its reason, whatever dies on the way.

    job spec -> plan (ledger) -> units -> engine -> shards, reports, ledger -> finish (run.json)

In:  a model folder, a cohort folder, a run folder. Out: the run (`report.run` owns its format), its job (`jobs.spec`)
and its ledger (`jobs.ledger`). A run that was stopped, or whose inputs changed, goes on with `resume`: finished work is
not done again unless what it rests on has changed. docs/decisions/0009 says why it is built like this.
"""

import signal
import time
from functools import partial
from pathlib import Path

from clinic_mm.cohort.manifest import open_cohort
from clinic_mm.encoders.runtime.setting import runtime_of
from clinic_mm.errors import ClinicError, InputError
from clinic_mm.evaluate.monitor.state import read_state
from clinic_mm.jobs import agreed, ledger_read, lock
from clinic_mm.jobs import ledger as ledgers
from clinic_mm.jobs.agreed import check_precision, engine_of, job_of, try_out, write_job
from clinic_mm.jobs.asked import DEFAULTS, Asked, ScreenOptions
from clinic_mm.jobs.drive import POLL_S, Drive, unchanged
from clinic_mm.jobs.engines.base import Bench, make_engine
from clinic_mm.jobs.finish import finish, info_of, leave, sweep
from clinic_mm.jobs.ledger import Ledger
from clinic_mm.jobs.plan import plan
from clinic_mm.jobs.spec import JobSpec, read_head, read_spec
from clinic_mm.jobs.stop import Stop, Stopped, listening
from clinic_mm.jobs.throttle import Throttle
from clinic_mm.report.run import Counts, RunInfo, open_run, write_run
from clinic_mm.times import site_zone


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
    asked = Asked(model_folder.resolve(), head, cohort, out, options, before, state)
    stop, info = Stop(), None
    try:
        with listening(stop), lock.only_driver(out):
            info = _begun(asked, stop)
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


def _begun(asked: Asked, stop: Stop) -> RunInfo | None:
    """Find what the job is, and do it; None where it was asked to stop."""
    try:
        spec = job_of(asked)
        if asked.before is None:
            write_job(asked, spec)  # a kill from here on leaves a run to go on with
        check_precision(asked, spec)
        with ledgers.opened(asked.out, asked.options.say) as ledger:
            try_out(asked, spec, ledger)
            return _screen(asked, spec, ledger, stop)
    except ClinicError:
        if asked.before is None and not stop.signal:
            _forget(asked.out)
        raise


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


def _screen(asked: Asked, spec: JobSpec, ledger: Ledger, stop: Stop) -> RunInfo | None:
    """Plan, drive, finish; None where it was asked to stop."""
    out, head, cohort, options = asked.out, asked.head, asked.cohort, asked.options
    agree = partial(write_job, asked, spec)
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
        driven = not ledger.pending() or _driven(asked, spec, ledger, stop)
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


def _driven(asked: Asked, spec: JobSpec, ledger: Ledger, stop: Stop) -> bool:
    """Whether all was done; false where it was asked to stop."""
    out, head, cohort, options = asked.out, asked.head, asked.cohort, asked.options
    total = ledger.total()

    def counted(counts: Counts) -> None:
        options.counted(counts, total)
        if options.progress:
            options.progress(counts.total, total)

    name = engine_of(options)
    runtime = runtime_of(spec.settings.device, spec.settings.precision, spec.settings.threads)
    options.say(f"Screening with {runtime.told}; engine {name}, workers: {options.workers}")
    bench = Bench(partial(agreed.hire, spec, out.resolve()), options.workers, spec.unit_limit_s, options.address)
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


def _forget(out: Path) -> None:
    """Take back a first start that came to nothing: what it was asked for is not to be asked for again by itself."""
    if (out / ledgers.FILE).is_file():
        with ledger_read.read_only(out) as ledger:
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
