"""About the run: the model, the counts, what was skipped and why, and how to read the pages."""

import streamlit as st

from clinic_mm.report.run import Run
from clinic_mm.report.words import NOT_A_DEVICE
from components.opened import opened_run
from components.plain import plain
from components.ranking import labels

HOW_TO_READ = """
- **Probability** is calibrated: of many cases shown with 0.80, about 80 in 100 should belong to the class. It holds for
  patients like those of the calibration, and for the same mix of available evidence.
- **The set** names every class that cannot be ruled out at the stated level. Two classes mean *undecided*. *n* is the
  number of calibration patients behind it; where *n* is small, trust it less.
- **Shares** say how far each modality moved the answer from the base rate, given the other modalities. They describe
  the model, not the disease.
- **Not acquired** is normal. **Acquired, not usable** was refused for the reason given. **Software failure** is our
  fault.
- **No answer** is an answer: the model abstains, and the reason is given.
"""


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
    st.markdown("##### Skipped or failed, and why")
    skipped = run.skipped()
    if skipped.empty:
        st.markdown("None\\.")
        return
    names = {"case_key": "Case", "status": "Status", "modality": "Modality", "code": "Code", "why": "Why"}
    st.dataframe(skipped.rename(columns=names), hide_index=True)


def _facts(run: Run) -> dict[str, str]:
    info = run.info
    counts = info.counts
    finished = f"{info.finished_at:%Y-%m-%d %H:%M} UTC" if info.finished_at else "not finished"
    facts = {
        "Question": f"{info.target}: {' / '.join(info.classes)}",
        "Evidence": ", ".join(labels(info).values()),
        "Model": f"{info.model.name} {info.model.version}".strip(),
        "Model hash": " ".join(info.model.hash[at : at + 16] for at in range(0, len(info.model.hash), 16)),
        "Cases": f"{counts.done:,} answered or abstained, {counts.skipped:,} skipped, {counts.failed:,} failed",
        "Patients": "simulated" if info.simulated else "not marked as simulated",
        "Run": info.run_id,
        "Finished": finished,
    }
    return {name: plain(text) for name, text in facts.items()}


main()
