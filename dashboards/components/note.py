"""Show a clinical note as the plain text that it is."""

import streamlit as st

from clinic_mm.signals import NoteText
from components.plain import plain


def view_note(note: NoteText, key: str) -> None:
    """The tile of one note; `st.text` acts on no markup."""
    st.text("".join(sign for sign in note.text if sign.isprintable() or sign in "\n\t") or "The note is empty.")
    if note.kind:
        st.caption(plain(note.kind))
