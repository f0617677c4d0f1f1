"""Show a clinical note as the plain text that it is, with the words marked that its expert rests on."""

import streamlit as st

from clinic_mm.report.run import Within
from clinic_mm.signals import NoteText
from components.plain import plain
from components.within import marked, words_caption


def view_note(note: NoteText, key: str, within: Within | None = None) -> None:
    """The tile of one note; whatever stands in it is escaped, so that nothing acts as markup but our own marks."""
    shown = "".join(sign for sign in marked(note.text, within) if sign.isprintable() or sign in "\n\t")
    st.html(f'<div style="white-space:pre-wrap;line-height:1.6">{shown or "The note is empty."}</div>')
    if within is not None:
        words_caption(within)
    if note.kind:
        st.caption(plain(note.kind))
