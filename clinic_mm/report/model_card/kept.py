"""The card that stands in a run folder, for whoever reads the run.

In:  an open run. Out: the card as Markdown, safe to show; "" where none of this run's model is kept.
"""

from typing import Final

from clinic_mm.report.run import Run

CARD_TEXT: Final = "card.md"
CARD_PAGE: Final = "card.html"


def card_of_run(run: Run) -> str:
    """Markdown of the card, without its first heading, each heading one size down."""
    path = run.path / CARD_TEXT
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    if run.info.model.hash not in text:
        return ""
    lines = text.splitlines()[1:]
    return "\n".join(f"##{line}" if line.startswith("## ") else line for line in lines)
