"""What `clinic-mm saliency` stored of a case: found, checked, and handed to what draws it. Nothing is computed here.

In:  a case, a modality, the study that is shown. Out: the stored `Saliency` or a line that says why there is none; and
what a canvas needs of it. Amber where hiding lowers the answer (it speaks for the class), blue where it raises it.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import streamlit as st

from clinic_mm.errors import ClinicError
from clinic_mm.report.run import Prediction
from clinic_mm.report.saliency_store import FOLDER, KINDS, Saliency, belongs, read_saliency, read_skipped
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
    if found is None and len(mine) and mine["why"].iloc[0]:
        st.caption(f"{title(kind)}: not computed\\. {plain(mine['why'].iloc[0])}\\.")
    elif found is None:
        st.caption(f"{title(kind)}: {plain(not_computed(opened_run().path.name, prediction.case_key))}")
    elif found.told.model_hash == prediction.model_hash:
        st.caption(f"{title(kind)}: computed for another study\\.")
    else:
        st.caption(f"{title(kind)}: computed for another model\\. Ask for it again\\.")
    return None


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
