"""What an expert rests on inside its modality: bars for the features of a record, marks on the words of a note.

In:  a stored `Within`, and the evidence itself, which alone knows names and words. Out: a chart, or text with marks.

Colours are those of the shares of modalities: towards the class that the answer speaks of, and away from it.
"""

import hashlib
from html import escape
from typing import Final

import altair as alt
import pandas as pd
import streamlit as st

from clinic_mm.report.run import WAYS, Prediction, Within
from clinic_mm.report.within_words import BORN, value_in_words
from clinic_mm.report.words import shows_answer, signed
from clinic_mm.signals import PatientRecord
from components.chart import APART, draw
from components.colours import AWAY, TOWARDS
from components.plain import plain

RGB: Final = {True: "227,168,87", False: "108,178,232"}
PALEST, DARKEST = 0.1, 0.45
"""How much of its colour a mark has; with more, words on it fall below 4.5:1 in the dark theme."""
BARS: Final = 8
BAR_PX: Final = 26
AXIS_PX: Final = 50
FAINTEST: Final = 0.12
"""Words of less than this part of the weightiest one are not marked."""
DEEPEST: Final = 0.1
"""Log-odds that the full depth of a mark stands for at least: words that say nothing must not glow."""


def stored_within(prediction: Prediction, names: list[str]) -> Within | None:
    """What is stored of the first of some modalities; None where no reason may be shown."""
    if not shows_answer(prediction):
        return None
    return next((one for one in prediction.within if one.modality in names), None)


def feature_bars(told: Within, record: PatientRecord) -> None:
    """The weightiest codes with the patient's own values."""
    if not told.features:
        return
    names = _names(record)
    rows = [
        {
            "what": "Age" if f.code == BORN else _short(names.get(f.code, f.code)),
            "value": value_in_words(f),
            "share": f.share,
            "text": signed(f.share),
        }
        for f in told.features[:BARS]
    ]
    frame = pd.DataFrame(rows)
    frame["label"] = frame["what"] + " · " + frame["value"] + APART + frame["text"]
    draw(_bars(frame), f"What its expert rests on, in log-odds: {', '.join(frame['label'])}")
    st.caption(_caption(told))


def marked(text: str, told: Within | None) -> str:
    """HTML of a text with its weighty words marked; the plain text, escaped, where the places are of another text."""
    if told is None or not of_this_text(text, told):
        return escape(text)
    most = max((abs(word.share) for word in told.words), default=0.0)
    full = max(most, DEEPEST)
    parts, at = [], 0
    for word in told.words:
        if abs(word.share) >= FAINTEST * most:
            depth = PALEST + (DARKEST - PALEST) * abs(word.share) / full
            style = f"background:rgba({RGB[word.share > 0]},{depth:.2f});color:inherit;border-radius:3px;padding:0 2px"
            parts += [escape(text[at : word.start]), f'<mark style="{style}" title="{signed(word.share)}">']
            parts += [escape(text[word.start : word.end]), "</mark>"]
            at = word.end
    return "".join([*parts, escape(text[at:])])


def of_this_text(text: str, told: Within) -> bool:
    """Whether the stored places of words are places in this very text."""
    return hashlib.sha256(text.encode()).hexdigest() == told.text_hash


def words_caption(told: Within) -> None:
    """What the marks mean."""
    st.caption(_caption(told))


def _caption(told: Within) -> str:
    """From its own average case, and before other evidence is weighed in: no part of the shares further up."""
    how = plain(WAYS[told.way])
    whole = plain(signed(told.opinion - told.baseline))
    rest = plain(signed(told.rest + sum(f.share for f in told.features[BARS:])))
    return (
        "What its expert alone rests on, before other evidence is weighed in: amber towards, blue away\\. "
        f"{whole} log\\-odds from its average case, {rest} of it not shown\\. Method: {how}\\."
    )


def _names(record: PatientRecord) -> dict[str, str]:
    """The source's own words for each code."""
    rows = record.rows[record.rows["display"] != ""].drop_duplicates("code")
    return dict(zip(rows["code"], rows["display"], strict=True))


def _short(name: str, most: int = 34) -> str:
    """A name without what LOINC adds of property and system: `Sodium` of `Sodium [Moles/volume] in Serum or Plasma`."""
    name = name.partition(" [")[0]
    return name if len(name) <= most else f"{name[: most - 1]}…"


def _bars(frame: pd.DataFrame) -> alt.LayerChart:
    reach = max(0.25, float(frame["share"].abs().max()) * 1.35)
    scale = alt.Scale(domain=[-reach, reach])
    x = alt.X("share:Q", title="log-odds", scale=scale, axis=alt.Axis(grid=False, tickCount=5))
    y = alt.Y("label:N", sort=None, title=None, axis=alt.Axis(labelLimit=390, ticks=False, domain=False))
    colour = alt.condition(alt.datum.share > 0, alt.value(TOWARDS), alt.value(AWAY))
    tips = [
        alt.Tooltip("what:N", title="What"),
        alt.Tooltip("value:N", title="Value"),
        alt.Tooltip("text:N", title="Log-odds"),
    ]
    bars = alt.Chart(frame).mark_bar(height=12).encode(x=x, y=y, color=colour, tooltip=tips)
    zero = alt.Chart(pd.DataFrame({"share": [0.0]})).mark_rule().encode(x="share:Q")
    return alt.layer(bars, zero).properties(height=BAR_PX * len(frame) + AXIS_PX)
