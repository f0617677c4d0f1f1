"""The command that writes reports: one case or a whole run, as text, HTML, PDF, FHIR or DICOM SR."""

from pathlib import Path
from typing import Annotated

import typer

from clinic_mm.commands.options import Json


def report(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    case: Annotated[str, typer.Argument(help="Case key, as in the work list; all cases where none is named.")] = "",
    spelling: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="text | html | pdf | fhir | sr (DICOM).")
    ] = "text",
    out: Annotated[Path | None, typer.Option(help="File to write; a folder for all cases.")] = None,
    identified: Annotated[
        bool, typer.Option("--identified", help="Name the patient, from the DICOM sources that the cohort knows.")
    ] = False,
    store: Annotated[
        str,
        typer.Option(
            metavar="STORE", help="Where it was read and signed: SQLite file, or postgresql://USER@HOST/NAME."
        ),
    ] = "",
    heads: Annotated[
        Path | None, typer.Option(help="Folder of the store's heads; heads/ beside an SQLite file.")
    ] = None,
    json: Json = False,
) -> None:
    """Report one case of a run, or all: the answer, what it rests on, what is missing and why; alike in every format.

    Example:  clinic-mm report run 4f1c2d3e4f5a6b7c --format pdf --out case.pdf
    """
    from clinic_mm.console import progress, show, show_json
    from clinic_mm.jobs.report import needs_out, reports_of, write_all, write_report
    from clinic_mm.jobs.told import case_of

    reports = reports_of(run, spelling, identified=identified, store=store, heads=heads)
    if json and case and out is None and spelling == "text":
        show_json(case_of(run, case).model_dump(mode="json"))
        return
    needs_out(spelling, case, out, json=json)
    if out is None:
        show(reports.of_case(case).decode().rstrip("\n"))
        return
    with progress("report", quiet=json or bool(case)) as advance:
        written = [write_report(reports, case, out)] if case else write_all(reports, out, advance)
    if json:
        show_json({"written": [str(path) for path in written]})
    else:
        show(str(written[0]) if case else f"{len(written)} reports in {out}")
