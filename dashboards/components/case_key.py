"""The case of the address: `?case=<case_key>`, which is opaque."""

from typing import Final

import streamlit as st

LONGEST: Final = 128


def asked_case() -> str:
    """The key in the address; empty where there is none."""
    return st.query_params.get("case", "")[:LONGEST]
