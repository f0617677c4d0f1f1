"""Commands that make, join, show and de-identify data: simulate, ingest, describe, features, deidentify."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from clinic_mm.commands.options import Json, Key, Verify, Workers
from clinic_mm.errors import UsageError


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
    manifest_only: Annotated[
        bool, typer.Option("--manifest-only", help="A cohort folder without files, to try out a million cases.")
    ] = False,
    workers: Workers = 2,
    json: Json = False,
) -> None:
    """Write a SIMULATED cohort in DICOM, EDF+ and FHIR whose best possible AUC is known (limit.json).

    Example:  clinic-mm simulate sim --cases 400 --seed 1 --missing MAR --rate 0.3
    """
    from clinic_mm.console import progress, show, show_json
    from clinic_mm.simulate.cohort import write_cohort
    from clinic_mm.simulate.limit import Limit
    from clinic_mm.simulate.without_files import write_without_files

    write = write_without_files if manifest_only else partial(write_cohort, workers=workers)
    with progress("simulate", quiet=json) as advance:
        made = write(
            out,
            cases=cases,
            seed=seed,
            missing=missing,
            rate=rate,
            synergy=synergy,
            modalities=tuple(name.strip() for name in modalities.split(",") if name.strip()),
            progress=advance,
        )
    if json:
        show_json(made.model_dump(mode="json"))
    elif isinstance(made, Limit):
        show(f"{cases} simulated cases in {out}; best possible AUC {made.auc_limit:.3f}")
        show(f"Next: clinic-mm ingest {out} --out cohort")
    else:
        show(f"The manifest of {cases} simulated cases in {out}; its evidence was never made, and cannot be read")
        show(f"Next: clinic-mm describe {out} --target label")


def ingest(
    source: Annotated[Path, typer.Argument(help="A cohort.toml, or a folder that holds one, or a folder of files.")],
    out: Annotated[Path, typer.Option(help="Cohort folder to write.")],
    key: Key = None,
    verify: Verify = False,
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
        cohort = ingested(source, out, key=key, progress=at, verify=verify)
    told = described(cohort)
    if json:
        show_json(told.model_dump(mode="json"))
    else:
        show(as_text(told))


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

    if any((folder / name).is_file() for name in ("run.json", "job.json")):
        from clinic_mm.jobs.told import run_as_json, run_told

        show_json(run_as_json(folder)) if json else show(run_told(folder))
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
