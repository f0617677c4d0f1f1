"""The command line: the app, its commands in the order of --help, and how each ends.

What a command does stands in clinic_mm/commands/, one function each, no logic. Heavy parts are imported by the command
that needs them.

Exit codes: 0 done · 1 our fault · 2 the command line · 3 input · 4 task, ingest or mapping file · 5 optional part
missing · 6 model or run damaged · 7 the figures would not be honest · 8 a training cannot go on. See docs/commands.md.
"""

import os
import sys
from collections.abc import Callable
from inspect import cleandoc
from typing import Final

import typer

from clinic_mm.commands import answer, audit, data, draft, learn, reports, screening, site, watch

INTERRUPTED: Final = 130
"""Exit code of a command that was stopped from the keyboard: 128 + SIGINT, as shells have it."""

app = typer.Typer(
    name="clinic-mm",
    help="Clinical multimodal diagnostics: a case in as files, a calibrated and explained answer out. "
    "Not a medical device.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog="Exit codes: 0 done, 1 our fault, 2 command line, 3 input, 4 task or mapping file, 5 optional part missing, "
    "6 model or run damaged, 7 figures would not be honest, 8 a training cannot go on.",
)
drafts = typer.Typer(rich_markup_mode=None, help="Draft findings as text. A draft is never evidence.")
app.add_typer(drafts, name="draft")
audits = typer.Typer(rich_markup_mode=None, help="Whether the audit of a store is as it was written.")
app.add_typer(audits, name="audit")
runs = typer.Typer(rich_markup_mode=None, help="The log of trainings.")
app.add_typer(runs, name="runs")


def _register(group: typer.Typer, command: Callable[..., None], name: str | None = None) -> None:
    """Add a command under its name, or that of its function."""
    # The sign before it keeps the line of the example whole, to be copied.
    told = cleandoc(command.__doc__ or "").replace("Example:", "\b\nExample:")
    group.command(name, help=told)(command)


for _command in (
    site.demo,
    data.simulate,
    data.ingest,
    data.describe,
    data.features,
    learn.check,
    learn.train,
    learn.calibrate,
    watch.evaluate,
    watch.card,
    learn.compare,
    learn.search,
    answer.predict,
    answer.retrieve,
    screening.screen,
    answer.saliency,
    watch.monitor,
    answer.advise,
    reports.report,
    data.deidentify,
    site.dashboard,
    site.doctor,
):
    _register(app, _command)
_register(runs, learn.runs_list, "list")
_register(runs, learn.runs_show, "show")
_register(audits, audit.audit_verify, "verify")
_register(audits, audit.audit_heads, "heads")
_register(drafts, draft.draft_learn, "learn")
_register(drafts, draft.draft_write, "write")
_register(drafts, draft.draft_evaluate, "evaluate")


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
