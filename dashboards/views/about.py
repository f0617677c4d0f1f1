"""About the run: the model, the counts, what was skipped and why, and how to read the pages."""

import streamlit as st

from clinic_mm.evaluate.monitor.words import about, headline, known_about
from clinic_mm.report.model_card.kept import CARD_PAGE, card_of_run
from clinic_mm.report.run import Run
from clinic_mm.report.words import NOT_A_DEVICE
from components.opened import monitor_state, opened_run
from components.plain import plain
from components.ranking import labels

HOW_TO_READ = """
- **Probability** is calibrated: of many cases shown with 0.80, about 80 in 100 should belong to the class. It holds for
  patients like those of the calibration, and for the same mix of available evidence.
- **The prediction set** names every class that cannot be ruled out at the stated level. Several classes mean
  *undecided*. *n* is the number of calibration patients behind it; where *n* is small, trust it less.
- **Shares** say how far each modality moved the answer from the base rate, given the other modalities. They describe
  the model, not the disease; so do marks in images, EEG and notes, which outline no lesion.
- **None given** is normal. **Acquired, not usable** was refused for the reason given, and the answer rests on the rest.
  **Software failure** is our fault.
- **No answer** is an answer: the model abstains, and says why. **Hidden** is one that monitoring no longer trusts.
- **Further tests** are told beside the base rate: in how many of 100 patients the test changes the decision anyway.
"""

NEAREST = 8


def main() -> None:
    """Draw the page."""
    run = opened_run()
    st.header("About this run")
    left, right = st.columns([3, 2], gap="large")
    with left:
        st.markdown("##### How to read the pages")
        st.markdown(HOW_TO_READ)
        st.markdown(f"**{NOT_A_DEVICE}**")
    with right:
        st.markdown("##### Facts")
        st.table(_facts(run), border="horizontal")
    _model_card(run)
    _monitoring()
    st.markdown("##### Skipped or failed, and why")
    skipped = run.skipped()
    if skipped.empty:
        st.markdown("None\\.")
        return
    names = {"case_key": "Case", "status": "Status", "modality": "Modality", "code": "Code", "why": "Why"}
    st.dataframe(skipped.rename(columns=names), hide_index=True)


def _model_card(run: Run) -> None:
    """The card that stands in the run: what the model is for, and not for."""
    st.markdown("##### Model card")
    card = card_of_run(run)
    if not card:
        st.markdown("None is kept in this run: `clinic-mm card MODEL --out RUN` writes it there\\.")
        return
    with st.expander("What it is for, what it was fitted on, its limits"):
        page = run.path / CARD_PAGE
        if page.is_file():
            st.download_button("The whole card, with figures (HTML)", page.read_bytes(), "model_card.html", "text/html")
        st.markdown(card)


def _monitoring() -> None:
    """What is watched, what was found, and what that hides."""
    st.markdown("##### Monitoring")
    state = monitor_state()
    if state is None:
        st.markdown(
            "Nobody watches this model\\. Start with: `clinic-mm monitor RUN --reference EARLIER_RUN --out RUN`\\."
        )
        return
    st.markdown(f"**{plain(headline(state))}**\\. {plain(about(state))}")
    if not state.detectors:
        return
    nearest = sorted(state.detectors, key=lambda one: -one.evidence)[:NEAREST]
    rows = [
        {"Of": known_about(one.about, one.name), "What": one.what, "Cases judged": one.seen, "Evidence": one.evidence}
        for one in nearest
    ]
    st.caption("The scores nearest to an alarm, which is given at 1\\.")
    st.dataframe(rows, hide_index=True, column_config={"Evidence": st.column_config.NumberColumn(format="%.2g")})


def _facts(run: Run) -> dict[str, str]:
    info = run.info
    counts = info.counts
    finished = f"{info.finished_at:%Y-%m-%d %H:%M} UTC" if info.finished_at else "not finished"
    facts = {
        "Question": f"{info.target}: {' / '.join(info.classes)}",
        "Evidence": ", ".join(labels(info).values()),
        "Model": f"{info.model.name} {info.model.version}".strip(),
        "Model hash": " ".join(info.model.hash[at : at + 16] for at in range(0, len(info.model.hash), 16)),
        "Cases": counts.words,
        "Patients": "simulated" if info.simulated else "not marked as simulated",
        "Run": info.run_id,
        "Finished": finished,
    }
    return {name: plain(text) for name, text in facts.items()}


main()
