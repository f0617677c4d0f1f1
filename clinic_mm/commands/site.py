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
    run: Annotated[Path, typer.Argument(help="Run folder.")] = Path("demo/run"),
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8501,
    monitor: Annotated[
        Path | None, typer.Option(help="What clinic-mm monitor found, which hides answers; else that of the run.")
    ] = None,
    site: Annotated[Path | None, typer.Option(help="dashboard.toml: see docs/dashboard.md.")] = None,
    home: Annotated[
        Path | None, typer.Option(help="Where signatures, users and the audit are kept; else beside the run.")
    ] = None,
    demo: Annotated[bool, typer.Option(help="Simulated cases without a password; makes demo/run first.")] = False,
    invite: Annotated[str, typer.Option(help="Print a new one-time link for this user.")] = "",
    address: Annotated[str, typer.Option(help="To listen on; others than loopback need a proxy.")] = "127.0.0.1",
    processes: Annotated[int, typer.Option(min=1, max=16, help="Behind a sticky proxy, from this port on.")] = 1,
) -> None:
    """Open the reading room of a run: sign in, read and sign cases. On this machine only, unless told otherwise.

    Example:  clinic-mm dashboard demo/run
    """
    from clinic_mm.jobs.serve import HOME, Place, serve_dashboard

    if demo and not run.exists():
        from clinic_mm.demo import run_demo

        run_demo(run.parent, cases=400, seed=2026, workers=2)
    place = Place(home or run.parent / HOME, site, address, port, processes, demo, invite, monitor)
    raise typer.Exit(serve_dashboard(run, place, typer.echo))


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
