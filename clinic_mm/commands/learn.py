"""Commands that learn from a cohort, and look first whether they may: check, train, calibrate, compare."""

from pathlib import Path
from typing import Annotated

import typer

from clinic_mm.commands.options import CacheDir, CacheGb, Json, Key, Verify, Workers


def check(
    cohort: Annotated[Path, typer.Argument(help="Cohort folder.")],
    task: Annotated[Path, typer.Option(help="Task file (TOML), see docs/task_file.md.")],
    workers: Workers = 2,
    cache: CacheDir = None,
    cache_gb: CacheGb = 20.0,
    verify: Verify = False,
    json: Json = False,
) -> None:
    """Look for what would make figures dishonest before anything is learnt: copies, late evidence, shortcuts.

    Example:  clinic-mm check cohort --task task.toml
    """
    from clinic_mm.cohort.manifest import open_cohort
    from clinic_mm.console import progress, show, show_json
    from clinic_mm.errors import LeakError
    from clinic_mm.jobs.check import as_text, check_cohort
    from clinic_mm.prep.cache import open_cache
    from clinic_mm.task import read_task

    with progress("check", quiet=json) as advance:
        kept = open_cache(cache, cache_gb, verify=verify)
        told = check_cohort(open_cohort(cohort), read_task(task), workers=workers, cache=kept, progress=advance)
    show_json(told.model_dump(mode="json")) if json else show(as_text(told))
    if told.errors:
        raise typer.Exit(LeakError.exit_code)


def train(
    cohort: Annotated[Path, typer.Argument(help="Cohort folder.")],
    task: Annotated[Path, typer.Option(help="Task file (TOML), see docs/task_file.md.")],
    out: Annotated[Path, typer.Option(help="Artifact folder to write.")],
    test_share: Annotated[float, typer.Option(min=0.0, max=0.9, help="Share of patients left out for testing.")] = 0.0,
    accept_leaks: Annotated[
        bool, typer.Option("--accept-leaks", help="Train in spite of what clinic-mm check finds; the model tells it.")
    ] = False,
    keep_every: Annotated[
        float, typer.Option(min=0.0, metavar="SECONDS", help="How often a fit is kept on disk; 0: after each step.")
    ] = 30.0,
    runs: Annotated[
        Path | None, typer.Option(help="Folder of the log of trainings; training_runs beside the model where none is.")
    ] = None,
    share: Annotated[str, typer.Option(help="Under torchrun, each process fits: parts (networks) | batch (rows).")] = (
        "parts"
    ),
    tensorboard: Annotated[Path | None, typer.Option(help="Also write loss curves for TensorBoard here.")] = None,
    mlflow: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Also tell an MLflow server, such as http://host:5000.")
    ] = None,
    workers: Workers = 2,
    cache: CacheDir = None,
    cache_gb: CacheGb = 20.0,
    verify: Verify = False,
    json: Json = False,
) -> None:
    """Train experts, pool, residual and calibration, and write the artifact. Killed, it goes on when run again.

    Example:  clinic-mm train cohort --task task.toml --out model --test-share 0.4
    """
    from clinic_mm.cohort.manifest import open_cohort
    from clinic_mm.console import progress, say, show, show_json
    from clinic_mm.prep.cache import open_cache
    from clinic_mm.task import read_task
    from clinic_mm.training.session import Keep, beside
    from clinic_mm.training.together import share_named, together
    from clinic_mm.training.trackers import trackers
    from clinic_mm.training.train import Resources
    from clinic_mm.training.train import train as trained
    from clinic_mm.training.verdict import warning

    keep = Keep(keep_every, runs or beside(out), trackers(tensorboard, mlflow))
    with together(share_named(share)) as us, progress("prepare", quiet=json or not us.first) as advance:
        kept = open_cache(cache, cache_gb, verify=verify)
        use = Resources(workers, kept, advance, (lambda _: None) if json else say, keep)
        model, model_hash = trained(
            open_cohort(cohort), read_task(task), out, test_share=test_share, accept_leaks=accept_leaks, use=use
        )
    if not us.first:
        return
    if json:
        show_json({"model": model_hash, "out": str(out), "facts": dict(model.facts)})
    else:
        show((out / "card.md").read_text(encoding="utf-8"))
        if told := warning(model.facts):
            say(told)


def search(
    cohort: Annotated[Path, typer.Argument(help="Cohort folder.")],
    task: Annotated[Path, typer.Option(help="Task file (TOML), see docs/task_file.md.")],
    out: Annotated[Path, typer.Option(help="Folder to write; a search that was stopped goes on there.")],
    trials: Annotated[int, typer.Option(min=1, help="How many settings are tried in all.")] = 20,
    folds: Annotated[int, typer.Option(min=2, help="Folds of the training patients that judge a setting.")] = 3,
    test_share: Annotated[
        float, typer.Option(min=0.0, max=0.9, help="As for train: these patients take no part.")
    ] = 0.0,
    space: Annotated[Path | None, typer.Option(help="Another space than schemas/search.toml.")] = None,
    workers: Workers = 2,
    cache: CacheDir = None,
    cache_gb: CacheGb = 20.0,
    verify: Verify = False,
    json: Json = False,
) -> None:
    """Search for better settings of a task by folds inside the training patients; killed, it goes on when run again.

    Example:  clinic-mm search cohort --task task.toml --out searched --trials 20 --test-share 0.4
    """
    from clinic_mm.cohort.manifest import open_cohort
    from clinic_mm.console import progress, say, show, show_json
    from clinic_mm.prep.cache import open_cache
    from clinic_mm.task import read_task
    from clinic_mm.training.search import read_space
    from clinic_mm.training.search import search as searched
    from clinic_mm.training.train import Resources

    with progress("prepare", quiet=json) as advance:
        kept = open_cache(cache, cache_gb, verify=verify)
        use = Resources(workers, kept, advance, (lambda _: None) if json else say)
        asked, settings = read_task(task), read_space(space)
        told = searched(
            open_cohort(cohort), asked, out, settings, trials=trials, folds=folds, test_share=test_share, use=use
        )
    if json:
        show_json(told)
    else:
        found = ", ".join(f"{name} = {value}" for name, value in told["settings"].items())
        show(f"Best of {len(told['trials'])}: {found} (NLL {told['nll']:.4f} on held folds, too good by the choice)")
        show(f"Next: clinic-mm train {cohort} --task {out / 'task.toml'} --out model --test-share {test_share:g}")


def runs_list(
    runs: Annotated[Path, typer.Option(help="Folder of the log of trainings.")] = Path("training_runs"),
    json: Json = False,
) -> None:
    """List trainings: when, of what, how long, what came out, and how each ended.

    Example:  clinic-mm runs list --runs training_runs
    """
    from clinic_mm.console import show_json, show_table
    from clinic_mm.training.runlog import runs_of, shown

    found = runs_of(runs)
    show_json(found) if json else show_table("Trainings, the newest first", shown(found))


def runs_show(
    run: Annotated[int, typer.Argument(help="Number of the run, as in clinic-mm runs list.")],
    runs: Annotated[Path, typer.Option(help="Folder of the log of trainings.")] = Path("training_runs"),
    json: Json = False,
) -> None:
    """Show what happened in one training: stages, fits, what was taken again, how it ended.

    Example:  clinic-mm runs show 12
    """
    from clinic_mm.console import show, show_json
    from clinic_mm.training.runlog import as_text, events_of

    events = events_of(runs, run)
    show_json(events) if json else show(as_text(events))


def calibrate(
    model: Annotated[Path, typer.Argument(help="Artifact folder.")],
    cohort: Annotated[Path, typer.Argument(help="Cohort folder of the new site, with labels; 50 cases or more.")],
    out: Annotated[Path, typer.Option(help="Folder of the new version; the old one stays as it is.")],
    unseen: Annotated[bool, typer.Option(help="Leave out patients that the model has seen; else refuse.")] = False,
    workers: Workers = 2,
    cache: CacheDir = None,
    cache_gb: CacheGb = 20.0,
    verify: Verify = False,
    json: Json = False,
) -> None:
    """Fit a model to another site from few labelled cases: prior, temperature and prediction sets; a new version.

    Example:  clinic-mm calibrate model new_site --out model_of_new_site
    """
    from clinic_mm.console import progress, show, show_json
    from clinic_mm.jobs.shown import calibration_words
    from clinic_mm.prep.cache import open_cache
    from clinic_mm.training.calibrate import calibrate_model

    kept = open_cache(cache, cache_gb, verify=verify)
    with progress("calibrate", quiet=json) as advance:
        made, made_hash = calibrate_model(
            model, cohort, out, unseen_only=unseen, workers=workers, cache=kept, progress=advance
        )
    if json:
        show_json({"model": made_hash, "out": str(out), "calibrated": made.facts["calibrated"]})
    else:
        show(calibration_words(made, out))


def compare(
    cohort: Annotated[Path, typer.Argument(help="Cohort folder.")],
    task: Annotated[Path, typer.Option(help="Task file (TOML), see docs/task_file.md.")],
    out: Annotated[Path, typer.Option(help="Folder to write; a stopped run goes on where it stopped.")],
    methods: Annotated[str, typer.Option(help="Names with commas between, or all; see docs/methods.md.")] = "all",
    repeats: Annotated[int, typer.Option(min=1, help="Splits, each with other test patients.")] = 5,
    test_share: Annotated[float, typer.Option(min=0.05, max=0.9, help="Share of patients tested in each.")] = 0.2,
    draws: Annotated[int, typer.Option(min=50, help="Bootstrap draws behind each interval.")] = 500,
    noise: Annotated[
        list[str] | None,
        typer.Option(metavar="MODALITY:HOW:LEVEL", help="Disturb one modality at test, such as xray:noise:0 (dB)."),
    ] = None,
    few_labels: Annotated[int | None, typer.Option(min=10, help="Keep so many labels for training.")] = None,
    limit: Annotated[Path | None, typer.Option(help="limit.json of a simulated cohort.")] = None,
    key: Key = None,
    accept_leaks: Annotated[
        bool, typer.Option("--accept-leaks", help="Compare in spite of what clinic-mm check finds; the page tells it.")
    ] = False,
    workers: Workers = 2,
    cache: CacheDir = None,
    cache_gb: CacheGb = 20.0,
    verify: Verify = False,
    json: Json = False,
) -> None:
    """Say which way of joining pays on your data: every method on the same patient-level splits, one page.

    Example:  clinic-mm compare cohort --task task.toml --out compared --methods average,gated,boosting
    """
    from clinic_mm.cohort.manifest import open_cohort
    from clinic_mm.compare import compare as compared
    from clinic_mm.compare import plan_of
    from clinic_mm.console import progress, say, show, show_table
    from clinic_mm.prep.cache import open_cache
    from clinic_mm.task import read_task
    from clinic_mm.training.train import Resources

    plan = plan_of(methods, repeats=repeats, test_share=test_share, draws=draws, noise=noise or (), labels=few_labels)
    with progress("prepare", quiet=json) as advance:
        kept = open_cache(cache, cache_gb, verify=verify)
        use = Resources(workers, kept, advance, (lambda _: None) if json else say)
        tables = compared(
            open_cohort(cohort), read_task(task), out, plan, limit=limit, key=key, accept_leaks=accept_leaks, use=use
        )
    if json:
        show((out / "compare.json").read_text(encoding="utf-8"))
    else:
        show_table("All test cases, 95 % intervals by patient", tables.shown())
        show(f"{tables.words} The page: {out / 'compare.html'}")
