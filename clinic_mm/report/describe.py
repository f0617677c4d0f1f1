"""A run in a few lines of text: what it answered, with what, what it skipped and why.

In:  a run, and which answers are hidden. Out: text. No number of an answer that is not given, or hidden, stands in it.
"""

from collections.abc import Callable

import pandas as pd

from clinic_mm.report.run import JOIN, Run
from clinic_mm.report.words import SIMULATED, probability

FIRST = 5


def run_as_text(run: Run, hidden: Callable[[tuple[str, ...]], str] = lambda _: "", how_far: str = "") -> str:
    """Counts, patterns, the head of the work list, and the reasons of what was skipped.

    Args:
        run: The run.
        hidden: Why the answer from a pattern is hidden, "" where it is not (`MonitorState.withheld`).
        how_far: Said in place of the counts of run.json, which are those of the last finish.
    """
    info, work = run.info, run.worklist()
    lines = [
        how_far or f"Run {info.run_id}: {info.counts.words}",
        f"Target {info.target} ({', '.join(info.classes)}); model {info.model.name} {info.model.hash[:12]}",
    ]
    if info.simulated:
        lines.append(SIMULATED)
    shut = {pattern: bool(hidden(tuple(pattern.split(JOIN)))) for pattern in work["pattern"].unique()}
    veiled = work["pattern"].map(shut).astype(bool)
    if veiled.any():
        lines.append(f"Hidden by monitoring: {veiled.sum()} of {len(work)}; the dashboard says why, and what to do")
    shown = work[(work["abstained"] == "") & ~veiled]
    if len(shown):
        top = f"p_{len(info.classes) - 1}"
        lines += ["", f"Highest probability of {info.classes[-1]}, of {len(shown)} answers:"]
        head = shown.sort_values(top, ascending=False).head(FIRST)
        lines += [
            f"  {key}  {probability(p):>6}  {pattern.replace(JOIN, ' + ')}"
            for key, p, pattern in zip(head["case_key"], head[top], head["pattern"], strict=True)
        ]
    skipped = run.skipped()
    if len(skipped):
        lines += ["", "Skipped, by reason:", *_skipped(skipped)]
    return "\n".join(lines)


def _skipped(rows: pd.DataFrame) -> list[str]:
    """A line for each code, most frequent first; words may name what is a study's own, and the commonest stand here."""
    told = []
    for (status, modality, _), alike in rows.groupby(["status", "modality", "code"]):
        words = alike["why"].value_counts()
        more = f" (and {len(words) - 1} more like it)" if len(words) > 1 else ""
        told.append((status, -len(alike), f"  {len(alike):5d}  {modality} {status}: {words.index[0]}{more}"))
    return [line for *_, line in sorted(told)]
