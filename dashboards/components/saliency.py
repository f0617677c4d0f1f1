"""What `clinic-mm saliency` stored of a case: found, checked, and handed to what draws it. Nothing is computed here.

In:  a case, a modality, the study that is shown. Out: the stored `Saliency` or a line that says why there is none; and
what a canvas needs of it. Amber where hiding lowers the answer (it speaks for the class), blue where it raises it.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
import streamlit as st

import guard
from clinic_mm.errors import ClinicError
from clinic_mm.report.run import Prediction
from clinic_mm.report.saliency_store import (
    FOLDER,
    KINDS,
    Saliency,
    belongs,
    read_saliency,
    read_skipped,
    request,
    requested,
)
from clinic_mm.report.saliency_words import CAUTION, not_computed, peak_in_words, title
from clinic_mm.report.words import shows_answer
from clinic_mm.types import Evidence
from components.opened import opened_run
from components.plain import plain

TOWARDS, AWAY = (227, 168, 87), (108, 178, 232)
MOST_ALPHA: Final = 0.5
LEAST_SHOWN: Final = 0.15
"""Of the largest value: what is weaker is left as it is, so that tissue stays in sight."""
FAINTEST: Final = 0.1
"""Log-odds that the full colour stands for at least: a map of nothing must not glow."""
PICTURES: Final = ("ct", "xray")
ATTENTION: Final = "Model attention, not lesion boundary"
"""As the switch of the canvas says it, too."""
AXES: Final = ("row", "column", "x", "y", "z", "time_s")


def stored(prediction: Prediction, names: Sequence[str], kind: str, shown: Evidence) -> Saliency | None:
    """The saliency of the study that is shown; None, and a line that says why, where there is none.

    Where no answer is shown nothing is, and nothing is offered: a map tells what the answer would be.
    """
    if kind not in KINDS or not set(names) & set(prediction.pattern) or not shows_answer(prediction):
        return None
    folder = opened_run().path / FOLDER
    try:
        found = next((s for name in names if (s := read_saliency(folder, prediction.case_key, name))), None)
        if found is not None and found.told.model_hash == prediction.model_hash and belongs(found, shown):
            return found
        skipped = read_skipped(folder)
    except ClinicError as error:
        st.caption(f"Saliency cannot be shown: {plain(error.what)}\\. {plain(error.mend)}\\.")
        return None
    mine = skipped[(skipped["case_key"] == prediction.case_key) & skipped["modality"].isin(names)]
    name = ATTENTION if kind in PICTURES else title(kind)
    st.caption(f"{name}: {plain(_why_none(found, mine, prediction))}\\.")
    _offer(prediction, names[0])
    return None


def _why_none(found: Saliency | None, skipped: pd.DataFrame, prediction: Prediction) -> str:
    """In words, why there is no map to show."""
    if prediction.case_key in requested(opened_run().path / FOLDER):
        return "requested; clinic-mm saliency --requested computes it"
    if found is None and len(skipped) and skipped["why"].iloc[0]:
        return f"not computed. {skipped['why'].iloc[0]}"
    if found is None:
        return not_computed(opened_run().path.name, prediction.case_key)
    if found.told.model_hash == prediction.model_hash:
        return "computed for another study"
    return "computed for another model. Ask for it again"


def _offer(prediction: Prediction, name: str) -> None:
    """A button for those who may ask the next job for it."""
    folder, key = opened_run().path / FOLDER, prediction.case_key
    if key in requested(folder) or not guard.current().may("request_saliency", key):
        return
    if st.button("Ask for it", key=f"ask-{name}-{key}", help="The next saliency job computes it"):
        try:
            request(folder, key)
        except ClinicError as error:
            st.caption(f"{plain(error.what)}\\. {plain(error.mend)}\\.")
        else:
            st.rerun()


def attention(found: Saliency | None) -> dict[str, Any] | None:
    """What a canvas draws of a stored map: cells, the positions of their centres, what its full colour stands for."""
    if found is None:
        return None
    cells = np.nan_to_num(found.arrays["map"])
    axes = [found.arrays[name].tolist() for name in axes_of(found)]
    values = [round(float(value), 4) for value in cells.ravel()]
    return {"map": {"axes": axes, "shape": list(cells.shape), "values": values}, "full": full_colour(found)}


def legend(found: Saliency) -> str:
    """What the colours mean, how fine they are, and where hiding costs the class most. Markdown."""
    told = found.told
    name, most = plain(told.target), peak_in_words(told)
    return (
        f":orange[■] speaks for {name}: hiding it lowers the log\\-odds · :blue[■] speaks against: hiding it raises "
        f"them · full colour: {full_colour(found):.2f} log\\-odds · cells of {plain(told.stride)}\\. "
        f"{plain(most[:1].upper() + most[1:])}\\. {CAUTION}"
    )


def full_colour(found: Saliency) -> float:
    """Log-odds that the full colour stands for."""
    main = found.arrays["map" if "map" in found.arrays else "time_band"]
    return max(FAINTEST, float(np.nanmax(np.abs(main), initial=0.0)))


def strongest(found: Saliency) -> dict[str, float]:
    """Where hiding changes the answer most, up or down: positions along the axes of the original, or `time_s`."""
    name = "map" if "map" in found.arrays else "time_band"
    values = np.nan_to_num(np.abs(found.arrays[name]))
    at = np.unravel_index(int(values.argmax()), values.shape)
    return {axis: float(found.arrays[axis][place]) for axis, place in zip(axes_of(found), at, strict=False)}


def axes_of(found: Saliency) -> list[str]:
    """The axes of the original that a map goes along, in its order."""
    return [axis for axis in AXES if axis in found.arrays]
