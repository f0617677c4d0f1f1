"""What a night operator reads: is the AI hidden, of what, since when, how sure is that, what is to be done.

In:  Watched. Out: monitor.html with its figures inside: no script, nothing loaded from elsewhere.
"""

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np

from clinic_mm.evaluate import figures
from clinic_mm.evaluate.monitor.blocks import known_share, outcome_blocks
from clinic_mm.evaluate.monitor.state import Alarm, MonitorState, Stop
from clinic_mm.evaluate.monitor.watch import Watched
from clinic_mm.evaluate.monitor.words import (
    LEGEND,
    about,
    headline,
    in_words,
    known_about,
    outcomes_in_words,
    place_in_words,
    quiet,
)
from clinic_mm.report.atomic import written_whole

FILE: Final = "monitor.html"
DRAWN: Final = 6
STYLE: Final = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 1000px; margin: 2rem auto; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13px; margin: .5rem 0 1.5rem }
th, td { padding: .25rem .6rem; text-align: left; border-bottom: 1px solid #ddd; vertical-align: top }
.stop, .warn, .quiet { padding: .6rem 1rem; border-left: 5px solid #b3261e; background: #fdecea; margin: .6rem 0 }
.warn { border-color: #b8860b; background: #fff3cd } .quiet { border-color: #2e7d32; background: #edf7ed }
img { max-width: 100% } .small { color: #666; font-size: 13px } h1 { font-size: 1.5rem }
"""


def write_page(watched: Watched, folder: Path) -> None:
    """Write `monitor.html`."""
    written_whole(folder / FILE, _page(watched).encode())


def _page(watched: Watched) -> str:
    state = watched.state
    mark = '<p class="warn"><b>SIMULATED cases, not patients.</b></p>' if state.simulated else ""
    parts = [
        f"<h1>{escape(headline(state))}</h1>{mark}<p>{escape(about(state))}</p>",
        *(_stop(stop, state.alarms) for stop in state.stops),
        "" if state.stops else f'<p class="{"quiet" if state.detectors else "warn"}">{escape(quiet(state))}</p>',
        _evidence(watched) if state.detectors else "",
        *_outcomes(watched),
        *(_detectors(state) if state.detectors else []),
    ]
    head = f"<meta charset=utf-8><title>{escape(headline(state))}</title><style>{STYLE}</style>"
    foot = "<p class=small>clinic_mm is not a medical device.</p>"
    return f"<!doctype html><html lang=en><head>{head}</head><body>{''.join(parts)}{foot}</body></html>"


def _stop(stop: Stop, alarms: Sequence[Alarm]) -> str:
    behind = [a for a in alarms if stop.hide == "all" or a.name == stop.name]
    hides = {
        "nothing": "Nothing is hidden.",
        "modality": f"Hidden: every answer that uses {in_words(stop.name)}. Answers without it stay.",
        "pattern": f"Hidden: answers that rest on exactly {in_words(stop.name)}.",
        "all": "Hidden: every answer.",
    }[stop.hide]
    rows = [
        (
            a.what,
            a.change,
            place_in_words(a.since),
            place_in_words(a.at),
            f"by chance at most once in {a.chance_cases:,} cases of its own",
        )
        for a in behind
    ]
    table = _table(("what", "how", "began, most probably", "sure since", "how sure"), rows)
    kind = "warn" if stop.hide == "nothing" else "stop"
    told = f"<b>{escape(stop.say)}</b>, since {escape(place_in_words(stop.since))}. {escape(hides)}"
    return f'<div class="{kind}">{told}<br><b>To do:</b> {escape(stop.mend)}.</div>{table}'


def _evidence(watched: Watched) -> str:
    paths = {
        f"{score.what} of {known_about(score.about, score.name)}": family.seen.evidence[:, k]
        for family in watched.families
        for k, score in enumerate(family.scores)
    }
    most = sorted(paths, key=lambda name: -float(paths[name].max(initial=0.0)))[:DRAWN]
    with TemporaryDirectory() as folder:
        file = Path(folder) / "evidence.png"
        figures.evidence_paths({name: paths[name] for name in most}, file, simulated=watched.state.simulated)
        image = base64.b64encode(file.read_bytes()).decode()
    alt = "Evidence against nothing has changed, over the cases"
    note = "The scores nearest to an alarm. At 1 an alarm is given and stands, until a new reference is named."
    return f'<h2>Evidence</h2><img alt="{alt}" src="data:image/png;base64,{image}"><p class=small>{note}</p>'


def _outcomes(watched: Watched) -> list[str]:
    seen, outcomes = watched.state.outcomes, watched.outcomes
    told = f"<h2>Outcomes</h2><p>{escape(outcomes_in_words(seen))}."
    if seen is None or outcomes is None or not seen.judged:
        return [f"{told}</p>"]
    blocks = outcome_blocks(watched.stream, outcomes)
    rows = [
        (
            f"{b['from']} to {b['to']}",
            str(b["n"]),
            f"{b['said']:.2f}",
            f"{b['seen']:.2f} ({b['seen_low']:.2f} to {b['seen_high']:.2f})",
            f"{b['nll']:.3f}",
            f"{b['nll_expected']:.3f} ± {1.96 * float(b['nll_error']):.3f}",
            f"{b['coverage']:.2f} ({b['coverage_low']:.2f} to {b['coverage_high']:.2f})",
        )
        for b in blocks.to_dict("records")
    ]
    heads = ("cases", "judged", "said", "came true (95 %)", "NLL", "NLL if calibrated (95 %)", "in the set (95 %)")
    shares = [
        (str(r["answers"]), str(r["cases"]), f"{100 * float(r['judged']):.0f} %")
        for r in known_share(watched.stream, outcomes).to_dict("records")
    ]
    return [
        f"{told} Sets promise {100 * watched.stream.level:.0f} %.</p>",
        _table(heads, rows),
        "<p class=small>For whom outcomes are known may depend on the answer; it may not depend on the outcome.</p>",
        _table(("answers", "cases", "outcome judged"), shares),
    ]


def _detectors(state: MonitorState) -> list[str]:
    ranked = sorted(state.detectors, key=lambda d: -d.evidence)
    rows = [
        (
            known_about(d.about, d.name),
            d.what,
            str(d.reference) if d.reference else "the model's promise",
            str(d.seen),
            f"{d.evidence:.2g}" if np.isfinite(d.evidence) else "",
        )
        for d in ranked
    ]
    told = (
        f"All {len(rows)} scores together give a false alarm at most once in "
        f"{state.cases_between_false_alarms:,} cases on average while nothing changes."
    )
    heads = ("of", "what", "reference values", "cases judged", "evidence (alarm at 1)")
    return [f"<h2>What is watched</h2><p>{told}</p>", f"<p class=small>{escape(LEGEND)}</p>", _table(heads, rows)]


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in heads)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"
