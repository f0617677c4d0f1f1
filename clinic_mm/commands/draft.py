"""Commands that draft findings as text: draft learn, draft write, draft evaluate. A draft is never evidence."""

from pathlib import Path
from typing import Annotated

import typer

from clinic_mm.commands.options import (
    CacheDir,
    CacheGb,
    CtPaths,
    EegPaths,
    Json,
    OtherPaths,
    RecordPaths,
    Verify,
    Workers,
    XrayPaths,
)
from clinic_mm.errors import UsageError


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
