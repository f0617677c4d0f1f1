"""A monitoring state in words: for the terminal, the page and the dashboard.

In:  a MonitorState. Out: text. Nothing here draws.
"""

from typing import Final

from clinic_mm.evaluate.monitor.policy import About
from clinic_mm.evaluate.monitor.state import MonitorState, OutcomesSeen, Place
from clinic_mm.modalities import label
from clinic_mm.report.run import JOIN

LEGEND: Final = (
    "Of a modality: present, whether it is there; opinion, what its expert says from it alone; "
    "axis and remainder, where its measurements lie along, and beside, their main directions; "
    "gaps, the share that was not measured; distance, how far from the middle of training. Of a "
    "combination: its share of all cases, and where its answers lie. Calibration and "
    "coverage are held against outcomes."
)
"""What scores are of, for who has not read METHODS."""


def headline(state: MonitorState) -> str:
    """The answer in one line."""
    hidden = [stop for stop in state.stops if stop.hide != "nothing"]
    if any(stop.hide == "all" for stop in hidden):
        return "The AI is hidden: all answers"
    if hidden:
        names = dict.fromkeys(
            f"answers that {'use' if s.hide == 'modality' else 'rest on exactly'} {in_words(s.name)}" for s in hidden
        )
        return f"The AI is hidden for {'; '.join(names)}"
    if state.stops:
        return "The AI is shown, with a warning"
    return "No change was found: the AI is shown" if state.detectors else "Nothing could be watched: the AI is shown"


def as_text(state: MonitorState) -> str:
    """The same for a terminal."""
    lines = [headline(state), f"  {about(state)}"]
    if state.simulated:
        lines.append("  SIMULATED cases, not patients")
    if not state.stops:
        lines.append(f"  {quiet(state)}")
    lines.append(f"  {outcomes_in_words(state.outcomes)}.")
    for stop in state.stops:
        lines += [f"- {stop.say}, since {place_in_words(stop.since)}", f"  To do: {stop.mend}"]
    return "\n".join(lines)


def about(state: MonitorState) -> str:
    """What was watched, against what."""
    what = {"run": "a run on unseen cases", "model": "what the model kept of its training"}[state.reference]
    told = (
        f"{state.cases} cases, from {place_in_words(state.first)} to {place_in_words(state.last)}, against {what} "
        f"({state.reference_cases} cases); model {state.model_hash[:12]}."
    )
    if state.passed_over:
        told += f" {state.passed_over} further cases are of the reference, or of patients counted shortly before."
    return told


def outcomes_in_words(seen: OutcomesSeen | None) -> str:
    """What became of the outcomes that were given: judged, or why not."""
    if seen is None:
        return "No outcomes were given (--outcomes): whether answers are borne out is not watched"
    if seen.strangers and not seen.known:
        return (
            f"WARNING: none of the {seen.strangers} outcomes is of a case of these runs: nothing is judged by them. "
            "To do: put the case_key of the work list into the column case_key"
        )
    parts = {
        "are of cases that are too young": seen.waiting,
        "came too late to be judged without favour": seen.late,
        "are of cases without a decision time": seen.undated,
        "are of answers that were hidden when the cases came": seen.hidden,
        "are of no case that is watched": seen.strangers,
    }
    told = [f"{seen.known} outcomes are known, {seen.judged} are judged", *(f"{n} {w}" for w, n in parts.items() if n)]
    return "; ".join(told)


def quiet(state: MonitorState) -> str:
    """How far the nearest score is from an alarm."""
    nearest = max(state.detectors, key=lambda d: d.evidence, default=None)
    if nearest is None:
        return f"The reference is too small: {state.reference_cases} cases. Name a run of more."
    what = f"{nearest.what} of {known_about(nearest.about, nearest.name)}"
    return (
        f"{len(state.detectors)} scores are watched. Nearest to an alarm is {what}, with {nearest.evidence:.1g} of 1."
    )


def place_in_words(place: Place) -> str:
    """A case by its number, and when it was."""
    time = f" ({place.time:%Y-%m-%d %H:%M} UTC)" if place.time else ""
    return f"case {place.number}{time}"


def known_about(about: About, name: str) -> str:
    """A modality, a pattern, or all answers, in words."""
    return "all answers" if about == "all" else in_words(name)


def in_words(name: str) -> str:
    """`CT + Patient record` of `ct+record`."""
    return " + ".join(label(one) for one in name.split(JOIN))
