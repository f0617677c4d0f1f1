"""What `clinic-mm saliency` stored of a case: found, checked, and turned into colours. Nothing is computed here.

In:  a case, a modality, the study that is shown. Out: the stored `Saliency` or a line that says why there is none; and
translucent colours: amber where hiding lowers the answer (it speaks for the class), blue where hiding raises it.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import streamlit as st
from PIL import Image
from scipy import ndimage

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
LINE_AT: Final = 0.5
FINEST: Final = 256

Colours = npt.NDArray[np.uint8]


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


def switched_on(found: Saliency | None, key: str) -> Saliency | None:
    """The saliency, if there is one and the reader wants to see it; its legend stands below the switch."""
    if found is None or not st.toggle(title(found.told.kind), value=True, key=f"{key}-saliency"):
        return None
    told = found.told
    name, most = plain(told.target), peak_in_words(told)
    st.caption(
        f":orange[■] speaks for {name}: hiding it lowers the log\\-odds · :blue[■] speaks against: hiding it raises "
        f"them · full colour: {full_colour(found):.2f} log\\-odds · cells of {plain(told.stride)}\\. "
        f"{plain(most[:1].upper() + most[1:])}\\. {CAUTION}"
    )
    return found


def full_colour(found: Saliency) -> float:
    """Log-odds that the full colour stands for."""
    main = found.arrays["map" if "map" in found.arrays else "time_band"]
    return max(FAINTEST, float(np.nanmax(np.abs(main), initial=0.0)))


def strongest(found: Saliency) -> dict[str, float]:
    """Where hiding changes the answer most, up or down: positions along the axes of the original, or `time_s`."""
    name = "map" if "map" in found.arrays else "time_band"
    values = np.nan_to_num(np.abs(found.arrays[name]))
    at = np.unravel_index(int(values.argmax()), values.shape)
    axes = [axis for axis in ("row", "column", "x", "y", "z", "time_s") if axis in found.arrays]
    return {axis: float(found.arrays[axis][place]) for axis, place in zip(axes, at, strict=False)}


def sampled(found: Saliency, at: dict[str, npt.NDArray[np.floating]]) -> npt.NDArray[np.float64]:
    """The map at positions of the original, one array of positions per axis, linear between the centres of cells."""
    cells = found.arrays["map"]
    places = [np.interp(at[name], found.arrays[name], np.arange(n)) for name, n in zip(at, cells.shape, strict=True)]
    grid = np.meshgrid(*places, indexing="ij")
    return np.asarray(ndimage.map_coordinates(cells.astype(float), grid, order=1, mode="nearest"))


def positions(n: int) -> npt.NDArray[np.float64]:
    """At most FINEST positions over an axis of n samples."""
    fine = min(n, FINEST)
    return (np.arange(fine) + 0.5) * n / fine - 0.5


def coloured(image: Image.Image, heat: npt.NDArray[np.floating], full: float) -> Image.Image:
    """An image with translucent colours over it, and a line around what exceeds half of the full colour."""
    share = np.asarray(Image.fromarray((heat / full).astype(np.float32)).resize(image.size, Image.Resampling.BILINEAR))
    weight = np.clip((np.abs(share) - LEAST_SHOWN) / (1 - LEAST_SHOWN), 0, 1)[..., None] * MOST_ALPHA
    for sign in (1, -1):
        strong = sign * share > LINE_AT
        weight[strong & ~ndimage.binary_erosion(strong, iterations=2, border_value=1)] = 1.0
    colour = np.where(share[..., None] > 0, TOWARDS, AWAY)
    mixed = np.asarray(image.convert("RGB"), float) * (1 - weight) + colour * weight
    return Image.fromarray(mixed.round().astype(np.uint8))
