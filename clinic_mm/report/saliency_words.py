"""The words that tables and pages use for saliency, so that none of them says it differently.

In:  what a stored saliency says of itself. Out: plain sentences, nothing escaped.
"""

from typing import Final

from clinic_mm.predict.saliency.result import SaliencyTold

TITLE: Final = "Where hiding the {what} changes the answer"
WHAT: Final = {"xray": "image", "ct": "image", "eeg": "signal"}
CAUTION: Final = "This is what the model attends to, not the outline of a lesion: what is not marked may still matter."
SMALL_DROP: Final = 0.05
"""Log-odds; what lowers the answer by less is not worth a place in words."""


def title(kind: str) -> str:
    """What the overlay shows."""
    return TITLE.format(what=WHAT.get(kind, "evidence"))


def not_computed(run: str, case_key: str) -> str:
    """What to ask for where nothing was computed."""
    return f"not computed for this case. To ask for it: clinic-mm saliency {run} --case {case_key}"


def peak_in_words(told: SaliencyTold) -> str:
    """Where hiding costs most, and how much; or that it costs nothing anywhere."""
    peak = told.peak
    drop = float(str(peak["logodds"]))
    if drop < SMALL_DROP:
        return f"Hiding no single place lowers the log-odds of {told.target} by {SMALL_DROP:g} or more"
    return f"{_place(told)}: hiding it lowers the log-odds of {told.target} by {drop:.2f}"


def _place(told: SaliencyTold) -> str:
    peak = told.peak
    if told.kind == "xray":
        return f"row {_number(peak['row'])}, column {_number(peak['column'])}"
    if told.kind == "ct":
        sides = [
            (peak["right_mm"], "right", "left"),
            (peak["anterior_mm"], "anterior", "posterior"),
            (peak["superior_mm"], "superior", "inferior"),
        ]
        offsets = [f"{abs(float(str(mm))):.0f} mm {one if float(str(mm)) >= 0 else other}" for mm, one, other in sides]
        return f"slice {_number(peak['z'])} from the feet, {', '.join(offsets)} of the middle of the volume"
    start = float(str(peak["time_s"])) - float(str(peak["window_s"])) / 2
    end = start + float(str(peak["window_s"]))
    return f"{peak['band']} from {max(start, 0):.1f} to {end:.1f} s, most in {peak['channel']}"


def _number(value: object) -> str:
    return f"{float(str(value)):.0f}"
