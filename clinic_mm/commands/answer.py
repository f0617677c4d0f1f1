"""Commands that answer about cases: predict, retrieve, saliency, advise."""

from pathlib import Path
from typing import Annotated

import typer

from clinic_mm.commands.options import (
    CacheDir,
    CacheGb,
    CtPaths,
    Device,
    EegPaths,
    Explain,
    Json,
    Level,
    NotePaths,
    OtherPaths,
    Precision,
    RecordPaths,
    Verify,
    Workers,
    XrayPaths,
)
from clinic_mm.errors import UsageError


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
    device: Device = None,
    precision: Precision = None,
    json: Json = False,
) -> None:
    """Answer one case, whatever subset of evidence is given as paths. Each option may be given several times.

    Example:  clinic-mm predict model --ct case/ct --note case/note.txt
    """
    from clinic_mm.console import say, show, show_json
    from clinic_mm.encoders.runtime.setting import runtime_of
    from clinic_mm.jobs.one import given_paths, predict_paths
    from clinic_mm.report.card import as_text

    paths = given_paths({"ct": ct, "xray": xray, "eeg": eeg, "record": record, "note": note}, evidence)
    prediction = predict_paths(
        model,
        paths,
        decision_time=decision_time,
        site_timezone=site_timezone,
        level=level,
        fhir=fhir,
        explain=explain,
        runtime=runtime_of(device or "cpu", precision or "float32"),
        say=say,
    )
    show_json(prediction.model_dump(mode="json")) if json else show(as_text(prediction))


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
    if evaluate and (case or paths):
        raise UsageError("Figures are of all cases, not of one", "--evaluate", "Leave --evaluate, or the case, out")
    sides = {"looked_from": names_of(looked_from), "looked_in": names_of(looked_in)}
    with progress("retrieve", quiet=json) as advance:
        use = Use(workers, open_cache(cache, cache_gb, verify=verify), advance)
        if evaluate:
            figures = retrieval_figures(model, cohort, **sides, use=use)
        else:
            found = nearest(model, cohort, case_key=case, paths=paths, **sides, k=k, use=use)
    if json:
        show_json(figures.to_dict("records") if evaluate else found.as_json())
    elif evaluate:
        show_table("Unseen patients: figure (95 % interval by patient) | chance", retrieval_table(figures))
    else:
        show_table(nearest_words(found), nearest_table(found))


def saliency(
    model: Annotated[Path, typer.Argument(metavar="RUN|MODEL", help="Run folder, or artifact folder.")],
    cohort: Annotated[Path | None, typer.Argument(help="Cohort folder; that of the run where none is named.")] = None,
    case: Annotated[str, typer.Option(metavar="KEY", help="One case, as in the work list.")] = "",
    top: Annotated[int, typer.Option(min=0, help="Instead: so many cases, the most probable first.")] = 0,
    requested: Annotated[
        bool, typer.Option("--requested", help="Instead: the cases that readers asked for in the dashboard.")
    ] = False,
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
    from clinic_mm.console import progress, say, show_json, show_table
    from clinic_mm.jobs.saliency import SaliencyOptions
    from clinic_mm.jobs.saliency import saliency as computed
    from clinic_mm.jobs.shown import saliency_table
    from clinic_mm.prep.cache import open_cache

    with progress("saliency", quiet=json) as advance:
        kept = open_cache(cache, cache_gb, verify=verify)
        options = SaliencyOptions(tuple(modality or ()), workers, kept, advance, say)
        rows = computed(model, cohort, case_key=case, top=top, wishes=requested, out=out, options=options)
    if json:
        show_json([row.as_json() for row in rows])
    else:
        show_table("Where hiding the evidence costs the answer most", saliency_table(rows))


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
