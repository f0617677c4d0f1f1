"""Screen a cohort on a Ray cluster: choose, start, and say how it went. Killed, it goes on with the same command.

    python pipelines/screen_on_ray.py model cohort --out run --ray-address 10.0.0.5:6379 --workers 32
    ray job submit --address http://10.0.0.5:8265 -- python screen_on_ray.py ...   (the same, as a job of the cluster)

Without an address Ray is started on this machine for the run. On a cluster all machines see model, cohort, files and
run folder under the same paths; RAY_AUTH_MODE=token and the cluster's token are set there and here. The same as
`clinic-mm screen --engine ray`, for who wants to build on it.
"""

from pathlib import Path
from typing import Annotated

import typer

from clinic_mm.jobs.asked import ScreenOptions
from clinic_mm.jobs.screen import screen_cohort
from clinic_mm.jobs.told import run_told
from clinic_mm.prep.cache import open_cache


def main(
    model: Path,
    cohort: Path,
    out: Annotated[Path, typer.Option()],
    ray_address: Annotated[str, typer.Option(envvar="RAY_ADDRESS", help="HOST:PORT of the head node.")] = "",
    workers: int = 2,
    cache: Path | None = None,
) -> None:
    """Screen, or go on where the run in that folder stopped."""
    options = ScreenOptions(
        engine="ray",
        address=ray_address,
        workers=workers,
        cache=open_cache(cache, 20.0) if cache else None,
        resume=True,
        say=lambda told: typer.echo(told, err=True),
        progress=lambda done, of: typer.echo(f"{done} of {of} cases", err=True),
    )
    screen_cohort(model, cohort, out, options=options)
    typer.echo(run_told(out))


if __name__ == "__main__":
    typer.run(main)
