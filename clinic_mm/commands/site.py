"""Commands about this installation: demo, dashboard, doctor."""

from pathlib import Path
from typing import Annotated

import typer

from clinic_mm.commands.options import Json, Workers


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
