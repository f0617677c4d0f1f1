"""One Prediction as a PDF: for people, for paper, for the patient's file.

In:  a Prediction and its setting. Out: bytes of an A4 document; the same arguments give the same bytes.
     Fonts are embedded, text is text, title and language are set, sections are bookmarked, every page has its number,
     the content hash, and that this is no medical device.

Nothing here computes a number: the words are those of the page (report/words.py, report/content.py). The PDF is not
tagged for screen readers, which reportlab cannot do: the HTML report is the accessible one.
"""

import re
from collections.abc import Iterable
from io import BytesIO
from typing import Final

from reportlab.graphics.shapes import Drawing, Rect
from reportlab.lib.colors import Color
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Spacer, Table

from clinic_mm.predict.prediction import Prediction
from clinic_mm.report.content import Part, class_rows, facts, marks, parts_after, parts_before
from clinic_mm.report.pdf_page import (
    AMBER,
    BAR,
    BAR_MM,
    BODY,
    BODY_PT,
    BOX,
    HASH,
    HEADING,
    LABEL,
    LABEL_MM,
    LINE,
    MARGIN_MM,
    RED,
    ROWS,
    STATE_COLOURS,
    STRONG,
    TITLE,
    pages,
)
from clinic_mm.report.pdf_text import PLAIN, fonts, marked_up, printable
from clinic_mm.report.setting import Setting
from clinic_mm.report.signed_words import IDENTIFIED, state_in_words
from clinic_mm.report.words import NOT_A_DEVICE, SIMULATED, answer_in_words, probability, shows_answer

A_HASH: Final = re.compile(r"[0-9a-f]{64}")
SPLIT_INSIDE: Final = 12
"""Points of a row that must fit, or it goes to the next page; a longer row is continued there."""


def pdf_report(prediction: Prediction, setting: Setting) -> bytes:
    """Write one Prediction as PDF.

    Source: ISO 32000-1 for Lang, Title and DisplayDocTitle, which readers aloud announce.
    """
    fonts()
    told = f"{prediction.target}, case {prediction.case_key}"
    out = BytesIO()
    document = SimpleDocTemplate(
        out,
        pagesize=A4,
        leftMargin=MARGIN_MM * mm,
        rightMargin=MARGIN_MM * mm,
        topMargin=(MARGIN_MM + 6) * mm,
        bottomMargin=(MARGIN_MM + 8) * mm,
        title=printable(f"AI report: {told}"),
        author=printable(f"clinic_mm: {setting.model}"),
        subject=printable(state_in_words(setting.signed)),
        keywords=[f"sha256:{prediction.content_hash}"],
        creator="clinic_mm",
        lang="en",
        displayDocTitle=True,
        initialFontName=PLAIN,
        invariant=1,
    )
    document.build(_story(prediction, setting), canvasmaker=pages(prediction, setting))
    return out.getvalue()


def _story(prediction: Prediction, setting: Setting) -> list[Flowable]:
    colours = {SIMULATED: AMBER, IDENTIFIED: RED}
    flow = _titled(f"AI report: {prediction.target}", TITLE, level=0)
    flow += [_banner(mark, colours.get(mark, STATE_COLOURS[setting.signed.state])) for mark in marks(setting)]
    flow.append(_table(facts(prediction, setting)))
    for part in parts_before(prediction, setting.signed, setting.whose):
        flow += _section(part)
    flow += _titled("The AI's answer", HEADING, level=1)
    words = answer_in_words(prediction)
    flow.append(Paragraph(marked_up(words), BODY) if shows_answer(prediction) else _banner(words, RED))
    if rows := class_rows(prediction):
        flow += [Spacer(0, 2 * mm), _classes(rows)]
    for part in parts_after(prediction, setting.labels):
        flow += _section(part)
    return [*flow, Spacer(0, 4 * mm), Paragraph(marked_up(NOT_A_DEVICE), STRONG)]


def _section(part: Part) -> list[Flowable]:
    lines = [Paragraph(marked_up(line), BODY) for line in part.lines]
    return [*_titled(part.title, HEADING, level=1), *([_table(part.rows)] if part.rows else []), *lines]


def _table(rows: Iterable[tuple[str, str]]) -> Flowable:
    cells = [[Paragraph(marked_up(name), LABEL), _words(words)] for name, words in rows]
    widths = [LABEL_MM * mm, BODY_PT - LABEL_MM * mm]
    return Table(cells, colWidths=widths, style=ROWS, splitInRow=SPLIT_INSIDE, hAlign="LEFT")


def _words(words: str) -> Flowable:
    return Paragraph(marked_up(words), HASH if A_HASH.fullmatch(words) else BODY)


def _classes(rows: list[tuple[str, float]]) -> Flowable:
    cells = [[Paragraph(marked_up(name), LABEL), _bar(p), Paragraph(probability(p), STRONG)] for name, p in rows]
    widths = [LABEL_MM * mm, (BAR_MM + 6) * mm, BODY_PT - (LABEL_MM + BAR_MM + 6) * mm]
    return Table(cells, colWidths=widths, style=ROWS, splitInRow=SPLIT_INSIDE, hAlign="LEFT")


def _bar(share: float) -> Flowable:
    """The probability as a length; the number stands beside it."""
    drawing = Drawing(BAR_MM * mm, 3.4 * mm)
    drawing.add(Rect(0, 0, BAR_MM * mm, 3.4 * mm, fillColor=LINE, strokeColor=None))
    drawing.add(Rect(0, 0, share * BAR_MM * mm, 3.4 * mm, fillColor=BAR, strokeColor=None))
    return drawing


def _banner(words: str, colour: Color) -> Flowable:
    style = ParagraphStyle("banner", parent=STRONG, textColor=colour, borderColor=colour, **BOX)
    return Paragraph(marked_up(words), style)


def _titled(title: str, style: ParagraphStyle, *, level: int) -> list[Flowable]:
    """A heading that is also a bookmark."""
    return [_Bookmark(printable(title), level), Paragraph(marked_up(title), style)]


class _Bookmark(Flowable):  # type: ignore[misc]  # reportlab has no types
    """A place in the outline, which takes none on the page."""

    keepWithNext = 1  # noqa: N815 - reportlab's name

    def __init__(self, title: str, level: int) -> None:
        super().__init__()
        self._title, self._level = title, level

    def wrap(self, *_: float) -> tuple[float, float]:
        return 0.0, 0.0

    def draw(self) -> None:
        key = f"{self._level} {self._title}"
        self.canv.bookmarkPage(key)
        self.canv.addOutlineEntry(self._title, key, self._level)
