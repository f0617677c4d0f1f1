"""The command line: one function per command, no logic. Heavy parts are imported by the command that needs them.

Exit codes: 0 done · 1 our fault · 2 the command line · 3 input · 4 task, ingest or mapping file · 5 optional part
missing · 6 model or run damaged · 7 the figures would not be honest. See docs/commands.md.
"""

import os
import sys
from inspect import cleandoc
from pathlib import Path
from typing import Annotated, Final

import typer

from clinic_mm.errors import UsageError

app = typer.Typer(
    name="clinic-mm",
    help="Clinical multimodal diagnostics: a case in as files, a calibrated and explained answer out. "
    "Not a medical device.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog="Exit codes: 0 done, 1 our fault, 2 command line, 3 input, 4 task or mapping file, 5 optional part missing, "
    "6 model or run damaged, 7 figures would not be honest.",
)

INTERRUPTED: Final = 130
"""Exit code of a command that was stopped from the keyboard: 128 + SIGINT, as shells have it."""

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, for machines.")]
Workers = Annotated[int, typer.Option(min=1, help="Processes that read and prepare.")]
Key = Annotated[Path | None, typer.Option(help="File of the pseudonym key; default in your configuration folder.")]
Paths = list[Path] | None
CtPaths = Annotated[Paths, typer.Option("--ct", metavar="PATH", help="DICOM folder or files, or NIfTI.")]
XrayPaths = Annotated[Paths, typer.Option("--xray", metavar="PATH", help="DICOM, PNG or JPEG.")]
EegPaths = Annotated[
    Paths, typer.Option("--eeg", metavar="PATH", help="EDF, BDF, BrainVision, EEGLAB, FIF, Nihon Kohden.")
]
RecordPaths = Annotated[Paths, typer.Option("--record", metavar="PATH", help="FHIR bundle or NDJSON.")]
NotePaths = Annotated[Paths, typer.Option("--note", metavar="PATH", help="Text file, or FHIR with DocumentReference.")]
OtherPaths = Annotated[
    list[str] | None, typer.Option("--evidence", metavar="NAME=PATH", help="Any other modality of the task.")
]
CacheDir = Annotated[
    Path | None, typer.Option("--cache", help="Folder that keeps prepared evidence for the next command.")
]
CacheGb = Annotated[float, typer.Option(min=0.01, help="Most that the cache takes on disk, in GB (10^9 bytes).")]
Explain = Annotated[
    bool,
    typer.Option("--explain", help="Also what a network rests on inside record and note; heads are always explained."),
]
Verify = Annotated[bool, typer.Option("--verify", help="Read every byte again: nothing changed since ingest is used.")]


Level = Annotated[
    float | None, typer.Option(min=0.5, max=0.99, help="Share of patients whose prediction set is to hold the truth.")
]


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Where everything is written.")] = Path("demo"),
    cases: Annotated[int, typer.Option(min=100, help="Simulated cases; 60 % train, 40 % test.")] = 400,
    seed: int = 2026,
    workers: Workers = 2,
) -> None:
    """The whole path on a simulated cohort: files, ingest, train, evaluate, screen, reports.

    Example:  clinic-mm demo --out demo
    """
    from clinic_mm.demo import run_demo

    run_demo(out, cases=cases, seed=seed, workers=workers)


@app.command()
def simulate(
    out: Annotated[Path, typer.Argument(help="New folder for the files.")],
    cases: Annotated[int, typer.Option(min=1)] = 400,
    seed: int = 1,
    missing: Annotated[str, typer.Option(help="MCAR | MAR | MNAR")] = "MCAR",
    rate: Annotated[float, typer.Option(min=0.0, max=0.95, help="Share of each modality that is missing.")] = 0.3,
    synergy: Annotated[bool, typer.Option(help="Add a part that only two modalities together tell.")] = False,
    modalities: Annotated[
        str, typer.Option(metavar="NAMES", help="Which, with commas; also of those that are not the default.")
    ] = "ct,xray,eeg,record,note",
    workers: Workers = 2,
    json: Json = False,
) -> None:
    """Write a SIMULATED cohort in DICOM, EDF+ and FHIR whose best possible AUC is known (limit.json).

    Example:  clinic-mm simulate sim --cases 400 --seed 1 --missing MAR --rate 0.3
    """
    from clinic_mm.console import progress, show, show_json
    from clinic_mm.simulate.cohort import write_cohort

    with progress("simulate", quiet=json) as advance:
        limit = write_cohort(
            out,
            cases=cases,
            seed=seed,
            missing=missing,
            rate=rate,
            synergy=synergy,
            modalities=tuple(name.strip() for name in modalities.split(",") if name.strip()),
            workers=workers,
            progress=advance,
        )
    if json:
        show_json(limit.model_dump(mode="json"))
    else:
        show(f"{cases} simulated cases in {out}; best possible AUC {limit.auc_limit:.3f}")
        show(f"Next: clinic-mm ingest {out} --out cohort")


@app.command()
def ingest(
    source: Annotated[Path, typer.Argument(help="A cohort.toml, or a folder that holds one, or a folder of files.")],
    out: Annotated[Path, typer.Option(help="Cohort folder to write.")],
    key: Key = None,
    json: Json = False,
) -> None:
    """Join files by patient and time into one manifest. Copies no pixels; keeps every refusal with its reason.

    Example:  clinic-mm ingest sim --out cohort
    """
    from clinic_mm.cohort.describe import as_text
    from clinic_mm.cohort.describe import describe as described
    from clinic_mm.cohort.ingest import ingest as ingested
    from clinic_mm.console import show, show_json, stages

    with stages("ingest", quiet=json) as at:
        cohort = ingested(source, out, key=key, progress=at)
    told = described(cohort)
    if json:
        show_json(told.model_dump(mode="json"))
    else:
        show(as_text(told))


@app.command()
def describe(
    folder: Annotated[Path, typer.Argument(help="A cohort folder, or a run folder.")],
    target: Annotated[str | None, typer.Option(help="Label column whose balance is shown.")] = None,
    task: Annotated[
        Path | None, typer.Option(help="Task file (TOML): also how well its modalities can be told from each other.")
    ] = None,
    workers: Workers = 2,
    json: Json = False,
) -> None:
    """Who has what: counts per availability pattern, refusals and why, label balance, time span.

    Example:  clinic-mm describe cohort --target label
    """
    from clinic_mm.console import progress, show, show_json, show_table

    if (folder / "run.json").is_file():
        from clinic_mm.report.describe import run_as_text
        from clinic_mm.report.run import open_run

        run = open_run(folder)
        show_json(run.info.model_dump(mode="json")) if json else show(run_as_text(run))
        return
    from clinic_mm.cohort.describe import as_text
    from clinic_mm.cohort.describe import describe as described
    from clinic_mm.cohort.manifest import open_cohort

    cohort = open_cohort(folder)
    told = described(cohort, target=target)
    table = None
    if task is not None:
        from clinic_mm.jobs.translations import TITLE, told_from_others
        from clinic_mm.task import read_task

        with progress("prepare", quiet=json) as advance:
            table = told_from_others(cohort, read_task(task), workers=workers, progress=advance)
    if json:
        rows = {} if table is None else {"translations": table.to_dict("records")}
        show_json({**told.model_dump(mode="json"), **rows})
        return
    show(as_text(told))
    if table is not None:
        show_table(TITLE, table)


@app.command()
def features(
    cohort: Annotated[Path, typer.Argument(help="Cohort folder.")],
    out: Annotated[Path, typer.Option(help="Parquet file to write.")],
    task: Annotated[Path | None, typer.Option(help="Task file (TOML); the record alone where none is given.")] = None,
    like: Annotated[Path | None, typer.Option(help="An earlier table whose columns are wanted again.")] = None,
    workers: Workers = 2,
    json: Json = False,
) -> None:
    """Write one row of features per case as known at its decision time, for boosted trees and statistics of your own.

    Example:  clinic-mm features cohort --out features.parquet
    """
    from clinic_mm.cohort.manifest import open_cohort
    from clinic_mm.console import progress, show, show_json
    from clinic_mm.jobs.features import write_features
    from clinic_mm.task import read_task

    with progress("prepare", quiet=json) as advance:
        asked = read_task(task) if task else None
        made = write_features(open_cohort(cohort), out, task=asked, like=like, workers=workers, progress=advance)
    if json:
        show_json({"cases": made.cases, "features": made.features, "empty": made.empty, "out": str(out)})
    else:
        show(f"{made.cases} cases by {made.features} features in {out}; of {made.empty} cases nothing is known")


@app.command()
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


@app.command()
def train(
    cohort: Annotated[Path, typer.Argument(help="Cohort folder.")],
    task: Annotated[Path, typer.Option(help="Task file (TOML), see docs/task_file.md.")],
    out: Annotated[Path, typer.Option(help="Artifact folder to write.")],
    test_share: Annotated[float, typer.Option(min=0.0, max=0.9, help="Share of patients left out for testing.")] = 0.0,
    accept_leaks: Annotated[
        bool, typer.Option("--accept-leaks", help="Train in spite of what clinic-mm check finds; the model tells it.")
    ] = False,
    workers: Workers = 2,
    cache: CacheDir = None,
    cache_gb: CacheGb = 20.0,
    verify: Verify = False,
    json: Json = False,
) -> None:
    """Train experts, pool, residual and calibration, and write the artifact.

    Example:  clinic-mm train cohort --task task.toml --out model --test-share 0.4
    """
    from clinic_mm.cohort.manifest import open_cohort
    from clinic_mm.console import progress, say, show, show_json
    from clinic_mm.prep.cache import open_cache
    from clinic_mm.task import read_task
    from clinic_mm.training.train import Resources
    from clinic_mm.training.train import train as trained
    from clinic_mm.training.verdict import warning

    with progress("prepare", quiet=json) as advance:
        kept = open_cache(cache, cache_gb, verify=verify)
        use = Resources(workers, kept, advance, (lambda _: None) if json else say)
        model, model_hash = trained(
            open_cohort(cohort), read_task(task), out, test_share=test_share, accept_leaks=accept_leaks, use=use
        )
    if json:
        show_json({"model": model_hash, "out": str(out), "facts": dict(model.facts)})
    else:
        show((out / "card.md").read_text(encoding="utf-8"))
        if told := warning(model.facts):
            say(told)


@app.command()
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


@app.command()
def evaluate(
    model: Annotated[Path, typer.Argument(help="Artifact folder.")],
    cohort: Annotated[Path, typer.Argument(help="Cohort folder; patients trained on are left out.")],
    out: Annotated[Path, typer.Option(help="Evaluation folder to write.")],
    limit: Annotated[Path | None, typer.Option(help="limit.json of a simulated cohort.")] = None,
    level: Level = None,
    workers: Workers = 2,
    cache: CacheDir = None,
    cache_gb: CacheGb = 20.0,
    verify: Verify = False,
    json: Json = False,
) -> None:
    """Metrics per availability pattern with intervals, beside the baselines; the fusion gain; figures.

    Example:  clinic-mm evaluate model cohort --out evaluation --limit sim/limit.json
    """
    from clinic_mm.console import progress, show_json, show_table
    from clinic_mm.jobs.evaluate import evaluate_model
    from clinic_mm.jobs.shown import method_table, pattern_table
    from clinic_mm.prep.cache import open_cache

    kept = open_cache(cache, cache_gb, verify=verify)
    with progress("evaluate", quiet=json) as advance:
        scores = evaluate_model(
            model, cohort, out, limit=limit, level=level, workers=workers, cache=kept, progress=advance
        )
    if json:
        tables = {"by_pattern": scores.by_pattern, "by_subset": scores.by_subset}
        show_json({name: table.to_dict("records") for name, table in tables.items()})
    else:
        show_table("AUROC per availability pattern, 95 % interval by patient", pattern_table(scores.by_subset))
        show_table(f"All test cases; everything is in {out}", method_table(scores.by_pattern))


@app.command()
def card(
    model: Annotated[Path, typer.Argument(help="Artifact folder.")],
    out: Annotated[Path, typer.Option(help="Folder for card.html, card.md and card.fhir.json.")],
    evaluation: Annotated[
        Path | None, typer.Option(help="Evaluation folder of this very model: its figures stand in the card.")
    ] = None,
    json: Json = False,
) -> None:
    """Write the model card as HTML, Markdown and FHIR DocumentReference, from the artifact and an evaluation alone.

    Example:  clinic-mm card model --evaluation evaluation --out card
    """
    from clinic_mm.console import show, show_json
    from clinic_mm.jobs.card import write_card

    files = write_card(model, out, evaluation=evaluation)
    show_json({name: str(path) for name, path in files.items()}) if json else show("\n".join(map(str, files.values())))


@app.command()
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


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(help="Artifact folder.")],
    ct: CtPaths = None,
    xray: XrayPaths = None,
    eeg: EegPaths = None,
    record: RecordPaths = None,
    note: NotePaths = None,
    evidence: OtherPaths = None,
    decision_time: Annotated[
        str | None, typer.Option(metavar="TIME", help="When the answer is due, ISO 8601; later evidence is refused.")
    ] = None,
    site_timezone: Annotated[str, typer.Option(help="Zone of times that have none.")] = "UTC",
    level: Level = None,
    fhir: Annotated[Path | None, typer.Option(help="Also write the FHIR R4B report here.")] = None,
    explain: Explain = False,
    json: Json = False,
) -> None:
    """Answer one case, whatever subset of evidence is given as paths. Each option may be given several times.

    Example:  clinic-mm predict model --ct case/ct --note case/note.txt
    """
    from clinic_mm.console import show, show_json
    from clinic_mm.jobs.one import given_paths, predict_paths
    from clinic_mm.report.card import as_text

    paths = given_paths({"ct": ct, "xray": xray, "eeg": eeg, "record": record, "note": note}, evidence)
    prediction = predict_paths(
        model, paths, decision_time=decision_time, site_timezone=site_timezone, level=level, fhir=fhir, explain=explain
    )
    show_json(prediction.model_dump(mode="json")) if json else show(as_text(prediction))


@app.command()
def retrieve(
    model: Annotated[Path, typer.Argument(help="Artifact folder, of a method whose modalities share a space.")],
    cohort: Annotated[Path, typer.Argument(help="Cohort folder to look in.")],
    looked_from: Annotated[
        str, typer.Option("--from", metavar="NAMES", help="What speaks for the query: xray, or xray+record.")
    ] = "",
    looked_in: Annotated[
        str, typer.Option("--to", metavar="NAMES", help="What speaks for the cases looked in: note, or eeg+note.")
    ] = "",
    case: Annotated[str, typer.Option(metavar="KEY", help="Whose nearest cases: a case of the cohort.")] = "",
    ct: CtPaths = None,
    xray: XrayPaths = None,
    eeg: EegPaths = None,
    record: RecordPaths = None,
    note: NotePaths = None,
    evidence: OtherPaths = None,
    k: Annotated[int, typer.Option("--k", min=1, help="How many cases.")] = 5,
    evaluate: Annotated[
        bool, typer.Option("--evaluate", help="Instead: R@k and MAP beside chance, on patients not trained on.")
    ] = False,
    workers: Workers = 2,
    cache: CacheDir = None,
    cache_gb: CacheGb = 20.0,
    verify: Verify = False,
    json: Json = False,
) -> None:
    """Find the nearest cases, from any modalities to any others: X-ray to notes, EEG to record.

    Example:  clinic-mm retrieve model cohort --from xray --to note --case 4f1c2d3e4f5a6b7c
    """
    from clinic_mm.console import progress, show_json, show_table
    from clinic_mm.jobs.one import given_paths
    from clinic_mm.jobs.retrieve import nearest
    from clinic_mm.jobs.retrieve_figures import retrieval_figures
    from clinic_mm.jobs.shown import nearest_table, nearest_words, retrieval_table
    from clinic_mm.jobs.space import Use, names_of
    from clinic_mm.prep.cache import open_cache

    paths = given_paths({"ct": ct, "xray": xray, "eeg": eeg, "record": record, "note": note}, evidence)
    sides = {"looked_from": names_of(looked_from), "looked_in": names_of(looked_in)}
    with progress("retrieve", quiet=json) as advance:
        use = Use(workers, open_cache(cache, cache_gb, verify=verify), advance)
        if evaluate:
            figures = retrieval_figures(model, cohort, case_key=case, paths=paths, **sides, use=use)
        else:
            found = nearest(model, cohort, case_key=case, paths=paths, **sides, k=k, use=use)
    if json:
        show_json(figures.to_dict("records") if evaluate else found.as_json())
    elif evaluate:
        show_table("Unseen patients: figure (95 % interval by patient) | chance", retrieval_table(figures))
    else:
        show_table(nearest_words(found), nearest_table(found))


drafts = typer.Typer(rich_markup_mode=None, help="Draft findings as text. A draft is never evidence.")
app.add_typer(drafts, name="draft")


@drafts.command("learn")
def draft_learn(
    cohort: Annotated[Path, typer.Argument(help="Cohort folder with notes.")],
    task: Annotated[
        Path, typer.Option(help="Task file (TOML): its modalities, but for notes, are what drafts rest on.")
    ],
    out: Annotated[Path, typer.Option(help="Drafter folder to write; it is patient-derived.")],
    k: Annotated[int, typer.Option("--k", min=3, help="Patients whose notes must have a word that is written.")] = 5,
    test_share: Annotated[float, typer.Option(min=0.0, max=0.9, help="Share of patients left out for testing.")] = 0.0,
    workers: Workers = 2,
    cache: CacheDir = None,
    cache_gb: CacheGb = 20.0,
    verify: Verify = False,
    json: Json = False,
) -> None:
    """Learn to draft findings from a cohort's own notes; rare words, numbers and names are never written.

    Example:  clinic-mm draft learn cohort --task task.toml --out drafter --test-share 0.3
    """
    from clinic_mm.cohort.manifest import open_cohort
    from clinic_mm.console import progress, say, show, show_json
    from clinic_mm.jobs.shown import drafter_words
    from clinic_mm.prep.cache import open_cache
    from clinic_mm.task import read_task
    from clinic_mm.training.drafts import learn_drafter
    from clinic_mm.training.train import Resources

    with progress("prepare", quiet=json) as advance:
        kept = open_cache(cache, cache_gb, verify=verify)
        use = Resources(workers, kept, advance, (lambda _: None) if json else say)
        made, made_hash = learn_drafter(open_cohort(cohort), read_task(task), out, k=k, test_share=test_share, use=use)
    if json:
        show_json({"drafter": made_hash, "out": str(out), "facts": dict(made.facts)})
    else:
        show(drafter_words(made, out))


@drafts.command("write")
def draft_write(
    drafter: Annotated[Path, typer.Argument(help="Drafter folder.")],
    ct: CtPaths = None,
    xray: XrayPaths = None,
    eeg: EegPaths = None,
    record: RecordPaths = None,
    evidence: OtherPaths = None,
    cohort: Annotated[Path | None, typer.Option(help="Cohort folder, where a case is named by its key.")] = None,
    case: Annotated[str, typer.Option(metavar="KEY", help="Case of the cohort.")] = "",
    method: Annotated[
        list[str] | None, typer.Option(help="decoder | retrieval | most_frequent; all where none is named.")
    ] = None,
    decision_time: Annotated[
        str | None, typer.Option(metavar="TIME", help="When the draft is due, ISO 8601; later evidence is refused.")
    ] = None,
    site_timezone: Annotated[str, typer.Option(help="Zone of times that have none.")] = "UTC",
    out: Annotated[Path | None, typer.Option(help="Also write each draft here, as text and as FHIR, marked.")] = None,
    json: Json = False,
) -> None:
    """Draft findings of one case from its files, or by its key. Marked as a draft; no reader takes it as a note.

    Example:  clinic-mm draft write drafter --xray case/xray.dcm --out drafts
    """
    from clinic_mm.console import show, show_json
    from clinic_mm.jobs.draft import draft_case, draft_paths, methods_of, write_files
    from clinic_mm.jobs.one import given_paths
    from clinic_mm.report.draft import draft_as_text

    paths = given_paths({"ct": ct, "xray": xray, "eeg": eeg, "record": record}, evidence)
    if bool(case) == bool(paths) or bool(case) != bool(cohort):
        raise UsageError("Give files, or --cohort and --case", "draft write", "See clinic-mm draft write --help")
    methods = methods_of(method)
    if cohort:
        made = draft_case(drafter, cohort, case, methods=methods)
    else:
        made = draft_paths(drafter, paths, methods=methods, decision_time=decision_time, site_timezone=site_timezone)
    if out:
        write_files(made, out)
    if json:
        show_json([one.model_dump(mode="json") for one in made])
    else:
        show("\n".join(map(draft_as_text, made)))


@drafts.command("evaluate")
def draft_evaluate(
    drafter: Annotated[Path, typer.Argument(help="Drafter folder.")],
    cohort: Annotated[Path, typer.Argument(help="Cohort folder; patients learnt from are left out.")],
    out: Annotated[Path, typer.Option(help="Folder for the figures; no text is kept.")],
    workers: Workers = 2,
    cache: CacheDir = None,
    cache_gb: CacheGb = 20.0,
    verify: Verify = False,
    json: Json = False,
) -> None:
    """Score drafts of unseen patients against their notes, beside the most frequent sentences.

    Example:  clinic-mm draft evaluate drafter cohort --out draft_figures
    """
    from clinic_mm.console import progress, show_json, show_table
    from clinic_mm.jobs.draft import evaluate_drafter
    from clinic_mm.jobs.shown import text_metrics_table
    from clinic_mm.prep.cache import open_cache

    with progress("draft", quiet=json) as advance:
        kept = open_cache(cache, cache_gb, verify=verify)
        figures = evaluate_drafter(drafter, cohort, out, workers=workers, cache=kept, progress=advance)
    if json:
        show_json(figures.to_dict("records"))
    else:
        show_table(
            "Drafts against notes, 95 % interval by patient; gain over the baseline", text_metrics_table(figures)
        )


@app.command()
def screen(
    model: Annotated[Path, typer.Argument(help="Artifact folder.")],
    cohort: Annotated[Path, typer.Argument(help="Cohort folder.")],
    out: Annotated[Path, typer.Option(help="Run folder to write.")],
    unseen: Annotated[bool, typer.Option(help="Only patients that the model was not trained on.")] = False,
    level: Level = None,
    monitor: Annotated[
        Path | None, typer.Option(help="What clinic-mm monitor found: answers that it hides are stored as withheld.")
    ] = None,
    workers: Workers = 2,
    cache: CacheDir = None,
    cache_gb: CacheGb = 20.0,
    verify: Verify = False,
    explain: Explain = False,
    json: Json = False,
) -> None:
    """Answer every case of a cohort: Parquet, one FHIR R4B report each, and what was skipped and why.

    Example:  clinic-mm screen model cohort --out run
    """
    from clinic_mm.console import progress, say, show, show_json
    from clinic_mm.jobs.screen import ScreenOptions, screen_cohort
    from clinic_mm.prep.cache import open_cache
    from clinic_mm.report.describe import run_as_text
    from clinic_mm.report.run import open_run

    with progress("screen", quiet=json) as advance:
        kept = open_cache(cache, cache_gb, verify=verify)
        options = ScreenOptions(workers, kept, advance, level=level, say=say, explain=explain)
        info = screen_cohort(model, cohort, out, unseen_only=unseen, monitor=monitor, options=options)
    show_json(info.model_dump(mode="json")) if json else show(run_as_text(open_run(out)))


@app.command()
def saliency(
    model: Annotated[Path, typer.Argument(metavar="RUN|MODEL", help="Run folder, or artifact folder.")],
    cohort: Annotated[Path | None, typer.Argument(help="Cohort folder; that of the run where none is named.")] = None,
    case: Annotated[str, typer.Option(metavar="KEY", help="One case, as in the work list.")] = "",
    top: Annotated[int, typer.Option(min=0, help="Instead: so many cases, the most probable first.")] = 0,
    modality: Annotated[
        list[str] | None, typer.Option(help="Only this one: an X-ray, CT or EEG of the task; may be repeated.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write; `saliency` inside the run where none is.")] = None,
    workers: Workers = 2,
    cache: CacheDir = None,
    cache_gb: CacheGb = 20.0,
    verify: Verify = False,
    json: Json = False,
) -> None:
    """Store where hiding an X-ray, a CT or an EEG changes what the model's expert says: seconds per piece of evidence.

    Example:  clinic-mm saliency run --top 50
    """
    from clinic_mm.console import progress, show_json, show_table
    from clinic_mm.jobs.saliency import SaliencyOptions
    from clinic_mm.jobs.saliency import saliency as computed
    from clinic_mm.jobs.shown import saliency_table
    from clinic_mm.prep.cache import open_cache

    with progress("saliency", quiet=json) as advance:
        kept = open_cache(cache, cache_gb, verify=verify)
        options = SaliencyOptions(tuple(modality or ()), workers, kept, advance)
        rows = computed(model, cohort, case_key=case, top=top, out=out, options=options)
    if json:
        show_json([row.as_json() for row in rows])
    else:
        show_table("Where hiding the evidence costs the answer most", saliency_table(rows))


@app.command()
def monitor(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders of one model.")],
    reference: Annotated[
        Path, typer.Option(metavar="RUN|MODEL", help="A run on unseen cases from when all was well, or the model.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for monitor.json and monitor.html.")],
    outcomes: Annotated[
        Path | None, typer.Option(help="CSV with case_key, label and, if known, arrived_at; as many as there are yet.")
    ] = None,
    policy: Annotated[Path | None, typer.Option(help="Another policy than schemas/monitor.toml.")] = None,
    json: Json = False,
) -> None:
    """Say whether what the model sees has changed, whether its answers are borne out, and when the AI is to be hidden.

    Example:  clinic-mm monitor run_may run_june --reference run_april --outcomes outcomes.csv --out monitoring
    """
    from clinic_mm.console import show, show_json
    from clinic_mm.evaluate.monitor.words import as_text
    from clinic_mm.jobs.monitor import monitor_runs

    state = monitor_runs(runs, reference, out, outcomes=outcomes, policy=policy)
    show_json(state.model_dump(mode="json")) if json else show(as_text(state))


@app.command()
def advise(
    model: Annotated[Path, typer.Argument(help="Artifact folder, with its bank of training answers.")],
    source: Annotated[Path, typer.Argument(metavar="COHORT|RUN", help="Cohort folder, or run folder of this model.")],
    test: Annotated[
        list[str] | None, typer.Option(help="Modality that may be tested; may be repeated; all where none is named.")
    ] = None,
    budget: Annotated[str, typer.Option(help="Share of what testing all would cost, or units of cost.")] = "50%",
    out: Annotated[Path | None, typer.Option(help="Folder for advice.csv and advice.json.")] = None,
    workers: Workers = 2,
    cache: CacheDir = None,
    cache_gb: CacheGb = 20.0,
    verify: Verify = False,
    json: Json = False,
) -> None:
    """Say whom to test where not everybody can be: patients ranked by what a further test should tell for its cost.

    Example:  clinic-mm advise model cohort --test eeg --budget 50%
    """
    from clinic_mm.console import progress, show, show_json, show_table
    from clinic_mm.jobs.advise import AdviseOptions, advise_budget, in_words, shown
    from clinic_mm.prep.cache import open_cache

    with progress("advise", quiet=json) as advance:
        options = AdviseOptions(workers, open_cache(cache, cache_gb, verify=verify), advance)
        ranked = advise_budget(model, source, tests=test or (), budget=budget, out=out, options=options)
    if json:
        show_json({**ranked.told, "tests": ranked.rows.to_dict("records")})
    else:
        show_table("Whom to test first", shown(ranked))
        show(in_words(ranked))


@app.command()
def report(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    case: Annotated[str, typer.Argument(help="Case key, as in the work list.")],
    fhir: Annotated[bool, typer.Option(help="The FHIR R4B bundle instead of the text.")] = False,
    json: Json = False,
) -> None:
    """Show one case of a run: the answer, what it rests on, what is missing and why.

    Example:  clinic-mm report run 4f1c2d3e4f5a6b7c
    """
    from clinic_mm.console import show, show_json
    from clinic_mm.report.card import as_text
    from clinic_mm.report.run import open_run

    opened = open_run(run)
    prediction = opened.prediction(case)
    if fhir:
        show(opened.report_path(case).read_text(encoding="utf-8"))
    elif json:
        show_json(prediction.model_dump(mode="json"))
    else:
        show(as_text(prediction, simulated=opened.info.simulated))


@app.command()
def deidentify(
    source: Annotated[
        Path | None, typer.Argument(help="A folder of files, or one file. Nothing in it changes.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write: new, or made earlier under the same key.")] = None,
    key: Key = None,
    keep: Annotated[
        list[str] | None, typer.Option(metavar="OPTION", help="What is kept beside the basic profile; see --plan.")
    ] = None,
    patient: Annotated[str, typer.Option(help="Whose a text file is: header (unknown) | folder | stem")] = "header",
    refused: Annotated[Path | None, typer.Option(help="List refused files here; it holds source paths.")] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Only list what happens to every element, path and field.")
    ] = False,
    json: Json = False,
) -> None:
    """Write DICOM, EDF and BDF, FHIR and notes without who they are of: keep-lists, pseudonyms, shifted dates.

    Example:  clinic-mm deidentify hospital --out deidentified --key pseudonym.key
    """
    from clinic_mm.console import progress, show, show_json
    from clinic_mm.deid.plan import as_markdown
    from clinic_mm.deid.plan import plan as planned
    from clinic_mm.deid.run import deidentify as deidentified
    from clinic_mm.deid.run import told_text, write_refused

    if plan:
        rows = planned(keep or ())
        show_json([row._asdict() for row in rows]) if json else show(as_markdown(rows))
        return
    if source is None or out is None:
        raise UsageError("Source and --out are needed", "deidentify", "See clinic-mm deidentify --help")
    with progress("deidentify", quiet=json) as advance:
        told = deidentified(source, out, key=key, options=keep or (), patient_from=patient, progress=advance)
    if refused:
        write_refused(told, refused, out)
    show_json(told.record.model_dump(mode="json")) if json else show(told_text(told))
    raise typer.Exit(told.exit_code)


@app.command()
def dashboard(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8501,
    monitor: Annotated[
        Path | None, typer.Option(help="What clinic-mm monitor found, which hides answers; else that of the run.")
    ] = None,
) -> None:
    """Open the work list and the case pages of a run, on this machine only.

    Example:  clinic-mm dashboard demo/run
    """
    from clinic_mm.jobs.serve import serve_dashboard

    raise typer.Exit(serve_dashboard(run, port, monitor))


@app.command()
def doctor(json: Json = False) -> None:
    """Say what is installed, which optional parts are not, and how to get them.

    Example:  clinic-mm doctor
    """
    from clinic_mm.console import show_json, show_table
    from clinic_mm.extras import check_up

    found = check_up()
    if json:
        show_json(found)
    else:
        import pandas as pd

        show_table("clinic_mm", pd.DataFrame(found))


for _command in (
    *app.registered_commands,
    *drafts.registered_commands,
):  # \b keeps the line of the example whole, to be copied
    assert _command.callback is not None
    _command.help = cleandoc(_command.callback.__doc__ or "").replace("Example:", "\b\nExample:")


def main() -> None:
    """Run a command, and end with its exit code: an error is one line, never a traceback."""
    # Before torch is loaded: threads that wait for work let others compute, on machines that are shared.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        code = app(sys.argv[1:] or ["--help"], standalone_mode=False)
        if code == INTERRUPTED:  # what typer makes of Ctrl-C
            raise KeyboardInterrupt
        sys.stdout.flush()
    except BaseException as error:  # noqa: BLE001 - the one border to a terminal
        from clinic_mm.console import end

        code = end(error, as_json="--json" in sys.argv)
    raise SystemExit(code)


if __name__ == "__main__":
    main()
