"""The reader's first opinion, given before he sees the answer; and afterwards how the two go together.

In:  a case that he reads. Out: his opinion in the store, once; a line that says whether the model agrees.
"""

from typing import Final

import streamlit as st

import guard
from clinic_mm.errors import UsageError
from clinic_mm.report.run import Prediction
from clinic_mm.report.words import shows_answer
from clinic_mm.store.values import CaseFile, Opinion
from components.acts import attempt
from components.opened import store
from components.plain import plain

SURE: Final = {"Guessing": 0.5, "Rather sure": 0.7, "Sure": 0.85, "Certain": 0.97}
"""How sure a reader is, in words, and as the share of such opinions that he expects to be right."""
WHY: Final = (
    "Read the evidence below and say what you think\\. Then the answer opens\\. "
    "Your opinion is kept as it is: it shows how you and the model go together, on your own page *My readings*\\."
)


def opinion_form(file: CaseFile, classes: tuple[str, ...]) -> None:
    """Ask for it."""
    st.markdown(f"**Your opinion first**  \n{WHY}")
    verdict, sure = _keys(file.case_key)
    with st.form("opinion", border=False):
        with st.container(key="pick-verdict"):
            st.radio("It is", classes, index=None, key=verdict, horizontal=True, format_func=plain)
        with st.container(key="pick-sure"):
            st.radio("How sure are you?", list(SURE), index=None, key=sure, horizontal=True)
        with st.container(key="do-opinion"):
            st.form_submit_button(
                "Commit my opinion, open the answer",
                type="primary",
                icon=":material/lock_open:",
                on_click=_give,
                args=(file.case_key, file.version),
            )


def own_opinion(file: CaseFile, person: guard.Person) -> Opinion | None:
    """What the person gave."""
    return next((one for one in file.opinions if one.by == person.user), None)


def agreement(own: Opinion, found: Prediction | None) -> None:
    """The opinion beside the answer."""
    when = "before the answer was shown" if own.before else "after the answer was shown"
    st.markdown(f"Your first opinion: **{plain(own.verdict)}**, {_sure(own.sure)}, {when}\\.")
    if found is None or not shows_answer(found):
        return
    if own.verdict == found.decision:
        st.markdown(f":material/check: You and the model agree: {plain(found.decision)}\\.")
    else:
        st.markdown(f":material/compare_arrows: You differ: the model says **{plain(found.decision)}**\\.")


def _sure(share: float) -> str:
    """In the words that were clicked."""
    return min(SURE, key=lambda words: abs(SURE[words] - share)).lower()


def _give(case_key: str, version: int) -> None:
    verdict, sure = (st.session_state.get(key) for key in _keys(case_key))

    def give(user: str) -> None:
        if verdict is None or sure is None:
            raise UsageError("Choose what it is, and how sure you are", "", "Nothing was kept yet")
        store().opinion(case_key, user, version=version, verdict=verdict, sure=SURE[sure])

    attempt("opinion", case_key, give, "Your opinion is kept. The answer is open.")


def _keys(case_key: str) -> tuple[str, str]:
    return f"verdict-{case_key}", f"sure-{case_key}"
