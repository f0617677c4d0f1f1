"""The command that answers a whole cohort: screen."""

from pathlib import Path
from typing import Annotated

import typer

from clinic_mm.commands.options import (
    CacheDir,
    CacheGb,
    Device,
    Explain,
    Hours,
    Json,
    Key,
    Level,
    MostPerHour,
    PauseAbove,
    Precision,
    Verify,
    Workers,
)
from clinic_mm.errors import UsageError


def screen(
    model: Annotated[Path, typer.Argument(help="Artifact folder.")],
    cohort: Annotated[Path, typer.Argument(help="Cohort folder; with --watch also files.")],
    out: Annotated[Path, typer.Option(help="Run folder to write.")],
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in that folder: only what is new, changed or undone.")
    ] = False,
    retry: Annotated[
        bool, typer.Option("--retry", help="With --resume, also what failed, was quarantined or refused when read.")
    ] = False,
    engine: Annotated[str, typer.Option(help="Where the work is done: local, ray, dask, inline.")] = "local",
    address: Annotated[str, typer.Option(help="Of the engine's cluster; this machine where none is named.")] = "",
    workers: Workers = 2,
    device: Device = None,
    precision: Precision = None,
    unit: Annotated[int | None, typer.Option(min=1, help="Cases answered together at most; 64 unless named.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many cases.")] = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Only cases to be decided since then, ISO 8601.")
    ] = None,
    only_pattern: Annotated[
        str | None, typer.Option(metavar="NAMES", help="Only cases with exactly this evidence: ct+eeg.")
    ] = None,
    unseen: Annotated[bool, typer.Option(help="Only patients that the model was not trained on.")] = False,
    every_case: Annotated[
        bool, typer.Option("--all", help="With --resume, all cases again, but for what is named beside it.")
    ] = False,
    level: Level = None,
    monitor: Annotated[
        Path | None, typer.Option(help="What clinic-mm monitor found: answers that it hides are stored as withheld.")
    ] = None,
    cache: CacheDir = None,
    cache_gb: CacheGb = 20.0,
    verify: Verify = False,
    explain: Explain = False,
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Go on for ever: screen what arrives in the cohort, or in a folder of files."),
    ] = False,
    every: Annotated[str, typer.Option(metavar="TIME", help="With --watch, between two looks: 30s, 5min, 1h.")] = "30s",
    settle: Annotated[
        str, typer.Option(metavar="TIME", help="With --watch, files are read when their folder is still for so long.")
    ] = "10s",
    cohort_out: Annotated[
        Path | None, typer.Option(help="With --watch, where files are ingested; OUT-cohort unless named.")
    ] = None,
    key: Key = None,
    hours: Hours = None,
    pause_above: PauseAbove = None,
    most_per_hour: MostPerHour = None,
    json: Json = False,
) -> None:
    """Answer every case of a cohort: Parquet, one FHIR R4B report each, and what was skipped and why.

    It may be stopped or killed at any time, and goes on with --resume. docs/operations.md says how to run it nightly.

    Example:  clinic-mm screen model cohort --out run --workers 4 --resume
    """
    from clinic_mm.console import pace, say, show, show_json
    from clinic_mm.jobs.asked import ScreenOptions, selection_of
    from clinic_mm.jobs.screen import screen_cohort
    from clinic_mm.jobs.throttle import Hours as HoursOf
    from clinic_mm.jobs.throttle import Throttle, seconds_of
    from clinic_mm.jobs.told import run_told
    from clinic_mm.prep.cache import open_cache

    with pace("screen", quiet=json) as progress:
        options = ScreenOptions(
            workers=workers,
            cache=open_cache(cache, cache_gb, verify=verify),
            counted=progress.counted,
            waits=progress.waits,
            level=level,
            say=say,
            explain=explain,
            engine=engine,
            address=address,
            device=device,
            precision=precision,
            unit=unit,
            selection=selection_of(unseen=unseen, since=since, pattern=only_pattern, limit=limit),
            every=every_case,
            resume=resume,
            retry=retry,
            throttle=Throttle(HoursOf.parse(hours) if hours else None, pause_above, most_per_hour),
        )
        if watch:
            from clinic_mm.console import show_line
            from clinic_mm.jobs.watch import Watch
            from clinic_mm.jobs.watch_source import source_of

            if limit:
                raise UsageError("A watch has no limit", "--limit", "Leave it out, or leave out --watch")
            settle_s, every_s = seconds_of(settle, "--settle"), seconds_of(every, "--every")
            source = source_of(cohort, out, cohort=cohort_out, key=key, settle_s=settle_s, say=say)
            told = show_line if json else progress.round_over
            Watch(model, source, out, monitor, options, every_s, told).run()
        info = screen_cohort(model, cohort, out, monitor=monitor, options=options)
    show_json(info.model_dump(mode="json")) if json else show(f"{run_told(out)}\n\nNext: clinic-mm dashboard {out}")
