"""Commands that say how good a model is and stays: evaluate, card, monitor."""

from pathlib import Path
from typing import Annotated

import typer

from clinic_mm.commands.options import CacheDir, CacheGb, Json, Level, Verify, Workers


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
    from clinic_mm.console import progress, say, show_json, show_table
    from clinic_mm.jobs.evaluate import evaluate_model
    from clinic_mm.jobs.shown import method_table, pattern_table
    from clinic_mm.prep.cache import open_cache

    kept = open_cache(cache, cache_gb, verify=verify)
    with progress("evaluate", quiet=json) as advance:
        scores = evaluate_model(
            model, cohort, out, limit=limit, level=level, workers=workers, cache=kept, progress=advance, say=say
        )
    if json:
        tables = {"by_pattern": scores.by_pattern, "by_subset": scores.by_subset}
        show_json({name: table.to_dict("records") for name, table in tables.items()})
    else:
        show_table("AUROC per availability pattern, 95 % interval by patient", pattern_table(scores.by_subset))
        show_table(f"All test cases; everything is in {out}", method_table(scores.by_pattern))


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
    if json:
        show_json({name: str(path) for name, path in files.items()})
    else:
        show("\n".join(["The model card, for people, for text and for a record system:", *map(str, files.values())]))


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
    if json:
        show_json(state.model_dump(mode="json"))
    else:
        show(f"{as_text(state)}\nThe page: {out / 'monitor.html'}")
        show(f"Next: clinic-mm dashboard {runs[-1]} --monitor {out}, and --monitor {out} with clinic-mm screen")
