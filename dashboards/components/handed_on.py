"""The report of a case, to take along: a link for each spelling, to those who may hand it on and have seen the answer.

In:  the case as the store has it, its answer, who asks. Out: links to the guarded route (`routes.report`), which asks
again who asks, whether the answer is open, and writes down that it was shown.
"""

from typing import Final
from urllib.parse import quote

import streamlit as st

import guard
from clinic_mm.report.run import Prediction, RunInfo
from clinic_mm.store.values import CaseFile

SPELLINGS: Final = {
    "pdf": ("PDF", ":material/picture_as_pdf:", "For people and paper"),
    "fhir": ("FHIR", ":material/data_object:", "A bundle of FHIR R4B resources, for a record system"),
    "sr": ("DICOM SR", ":material/radiology:", "A structured report beside the images (TID 1500), for a PACS"),
    "html": ("HTML", ":material/html:", "One page for a browser, nothing loaded from elsewhere"),
    "text": ("Text", ":material/description:", "Plain text"),
}
SIGNED: Final = "Final, as signed\\. Without the patient's name\\."
UNSIGNED: Final = "Preliminary until the case is signed; each says so\\. Without the patient's name\\."


def report_links(file: CaseFile, found: Prediction | None, info: RunInfo, person: guard.Person) -> None:
    """Links to the reports; nothing where the person may not have them, or the answer is sealed."""
    if found is None or file.sealed or not person.may("report", file.case_key):
        return
    st.markdown("##### Report")
    if found.model_hash != info.model.hash:
        st.markdown("This answer is of another model than this run's: open the run that it came from\\.")
        return
    with st.container(horizontal=True):
        for spelling, (label, icon, what) in SPELLINGS.items():
            st.link_button(label, address(file.case_key, spelling), icon=icon, help=what)
    st.caption(SIGNED if file.signatures else UNSIGNED)


def address(case_key: str, spelling: str) -> str:
    """Where the route has it; the key is opaque."""
    return f"/v1/case/{quote(case_key, safe='')}/report/{spelling}"
