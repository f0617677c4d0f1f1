"""One tile per modality: the evidence itself, or why there is none.

In:  a case and the kinds of its modalities. Out: bordered tiles, images first.

A study that cannot be shown leaves a reason in its tile and never stops the page.
"""

from collections.abc import Callable
from datetime import datetime
from inspect import signature
from typing import Any, Final

import streamlit as st

from clinic_mm.errors import ClinicError, InputError
from clinic_mm.modalities import modality, resolve
from clinic_mm.report.run import Prediction, Within
from clinic_mm.report.saliency_store import Saliency
from clinic_mm.report.words import label_of, missing_in_words, time_before
from clinic_mm.sources.choose import in_order
from clinic_mm.types import CaseRecord, Evidence
from components.evidence import address, case_record, signal
from components.opened import opened_run
from components.plain import plain
from components.saliency import stored
from components.within import stored_within

ROWS: Final = (("ct",), ("xray", "note"), ("eeg",), ("record",))
"""Kinds side by side, from top to bottom; kinds not named here follow one by one."""

Tile = tuple[str, list[str]]
"""A kind, and the modalities that are read from the same evidence of it."""


def tiles(prediction: Prediction, kinds: dict[str, str], labels: dict[str, str]) -> None:
    """All tiles of a case; modalities that are read from the same evidence share one, never acquired ones have none."""
    absent = {one.modality for one in prediction.missing if one.status == "absent"}
    present = {kind for name, kind in kinds.items() if name not in absent}
    known = {kind for row in ROWS for kind in row}
    rows = [*ROWS, *((kind,) for kind in dict.fromkeys(kinds.values()) if kind in present - known)]
    for here in [side_by_side for row in rows for side_by_side in _rows(prediction, row, kinds, absent)]:
        for column, (kind, names) in zip(st.columns(len(here)) if here else [], here, strict=True):
            with column, st.container(border=True):
                _tile(prediction, kind, names, labels)


def _rows(prediction: Prediction, row: tuple[str, ...], kinds: dict[str, str], absent: set[str]) -> list[list[Tile]]:
    """One row, or one below the other where a kind has tiles of its own for single modalities."""
    found = [_shared(prediction, kind, kinds) for kind in row]
    shown = [[tile for tile in some if not absent.issuperset(tile[1])] for some in found]
    return [[some[depth] for some in shown if depth < len(some)] for depth in range(max(map(len, shown), default=0))]


def _shared(prediction: Prediction, kind: str, kinds: dict[str, str]) -> list[Tile]:
    """The tiles of a kind: one, or one for each modality where evidence is meant for single ones."""
    names = [name for name in kinds if kinds[name] == kind]
    try:
        meant = any(one.named for one in case_record(prediction.case_key).usable(kind))
    except ClinicError:
        meant = False  # said in the tile
    return [(kind, [name]) for name in names] if meant else [(kind, names)]


def _tile(prediction: Prediction, kind: str, names: list[str], labels: dict[str, str]) -> None:
    st.markdown(f"##### {plain(label_of(kind) if len(names) > 1 else label_of(names[0], labels))}")
    missing = [m for m in prediction.missing if m.modality in names]
    for one in missing:
        whose = f"{label_of(one.modality, labels)}: " if len(names) > 1 else ""
        if one.status == "absent":
            st.caption(plain(f"{whose}{missing_in_words(one)}"))
        else:
            st.warning(plain(f"{whose}{missing_in_words(one)}"), icon=":material/block:")
    try:
        _studies(prediction, kind, names[0] if len(names) == 1 else "")
    except ClinicError as error:
        mend = f" {plain(error.mend)}\\." if error.mend else ""
        st.warning(f"Cannot be shown: {plain(error.what)}\\.{mend}", icon=":material/visibility_off:")


def _studies(prediction: Prediction, kind: str, name: str) -> None:
    case = case_record(prediction.case_key)
    usable = in_order(case.usable(kind, name), "latest")  # what was most likely taken comes first
    if not usable:
        st.caption("The cohort holds no usable study")
        return
    key = f"{prediction.case_key}-{name or kind}"
    chosen = usable[0]
    if len(usable) > 1:
        chosen = st.selectbox("Study", usable, format_func=_dated, key=f"{key}-study")
    st.caption(f"{plain(_dated(chosen))}{_before(chosen.acquired_at, case.decision_time)}")
    saliency = stored(prediction, _names(kind, name), kind, chosen)
    within = stored_within(prediction, _names(kind, name))
    _view(case, chosen, kind, f"{key}-{usable.index(chosen)}", saliency, within)


def _names(kind: str, name: str) -> list[str]:
    """The modalities that a tile shows, as stored files name them."""
    return [name] if name else [one for one, its in opened_run().info.modalities.items() if its == kind]


def _view(
    case: CaseRecord, chosen: Evidence, kind: str, key: str, saliency: Saliency | None, within: Within | None
) -> None:
    """Hand the decoded study to the viewer of its row.

    One that has a parameter `at` is told the decision time, one that has `saliency` or `within` gets what is stored.
    One that has `address` is told where the study is served instead of being handed it: nothing is decoded in the page.

    Raises:
        ClinicError: If the study cannot be decoded.
    """
    dotted = modality(kind).viewer
    if not dotted:
        st.caption("There is no viewer for this kind of evidence yet")
        return
    try:
        viewer: Callable[..., None] = resolve(dotted)
        asked = signature(viewer).parameters
        given = {"at": case.decision_time, "saliency": saliency, "within": within, "evidence": chosen}
        given["case"] = case.case_key
        more: dict[str, Any] = {name: value for name, value in given.items() if name in asked}
        if "address" in asked:
            viewer(address(case.case_key, kind, chosen), key, **more)
        else:
            viewer(signal(chosen, kind), key, **more)
    except ClinicError:
        raise
    except Exception as error:  # noqa: BLE001 - the border to viewers, other packages' too: a page has no traceback
        what = f"Its viewer failed ({type(error).__name__})"
        raise InputError(what, kind, "Report this as a fault of the viewer") from None


def _dated(evidence: Evidence) -> str:
    when = f"{evidence.acquired_at:%Y-%m-%d %H:%M} UTC" if evidence.acquired_at else "Undated"
    slices, kernel = evidence.meta.get("n_slices"), evidence.meta.get("kernel")
    return ", ".join([when, *([f"{slices} slices"] if slices else []), *([f"kernel {kernel}"] if kernel else [])])


def _before(acquired_at: datetime | None, decision_time: datetime | None) -> str:
    if acquired_at is None or decision_time is None:
        return ""
    return f" · {time_before((decision_time - acquired_at).total_seconds() / 3600)} the decision"
