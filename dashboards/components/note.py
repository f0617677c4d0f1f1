"""Show a clinical note as the plain text that it is, with the words marked that its expert rests on."""

from typing import Final

import streamlit as st

from clinic_mm.report.run import Within
from clinic_mm.report.words import signed
from clinic_mm.signals import NoteText
from components.plain import plain
from components.within import marked, of_this_text, words_caption

NAMED: Final = 6
LONGEST: Final = 40


def view_note(note: NoteText, key: str, within: Within | None = None) -> None:
    """The tile of one note; whatever stands in it is escaped, so that nothing acts as markup but our own marks."""
    shown = "".join(sign for sign in marked(note.text, within) if sign.isprintable() or sign in "\n\t")
    st.html(f'<div style="white-space:pre-wrap;line-height:1.6">{shown or "The note is empty."}</div>')
    if within is not None:
        if said := weightiest(note.text, within):
            st.caption(f"Most weight: {plain(said)}")
        words_caption(within)
    if note.kind:
        st.caption(plain(note.kind))


def weightiest(text: str, within: Within) -> str:
    """The words that weigh most, with their shares in log-odds: what colours alone would tell only by sight.

    Nothing where the stored places are of another text.
    """
    if not of_this_text(text, within):
        return ""
    most = sorted(within.words, key=lambda word: -abs(word.share))[:NAMED]
    return " · ".join(f"{text[one.start : one.end][:LONGEST]} {signed(one.share)}" for one in most)
