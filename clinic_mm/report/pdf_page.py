"""The look of a report on paper: styles, colours, and the margins that every page has.

In:  what stands in the margins. Out: styles; a canvas that writes page numbers, content hash and warning on each page.

Nothing here knows what a report says.
"""

from typing import Any, Final

from reportlab.lib.colors import HexColor
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import TableStyle

from clinic_mm.predict.prediction import Prediction
from clinic_mm.report.pdf_text import BOLD, PLAIN, printable
from clinic_mm.report.setting import Setting
from clinic_mm.report.words import NOT_A_DEVICE

MARGIN_MM: Final = 18
LABEL_MM: Final = 46
BAR_MM: Final = 70
INK: Final = HexColor(0x1D2328)
GREY: Final = HexColor(0x57606A)
LINE: Final = HexColor(0xD8DEE4)
BAR: Final = HexColor(0x0B5394)
STATE_COLOURS: Final = {"preliminary": HexColor(0x57606A), "final": HexColor(0x1A7F37), "amended": HexColor(0x9A6700)}
AMBER: Final = HexColor(0x9A6700)
RED: Final = HexColor(0xA40E26)
FRAME_PT: Final = 6
"""By how much reportlab sets the text in from the margin."""
BODY_PT: Final = (210 - 2 * MARGIN_MM) * mm - 2 * FRAME_PT

BOX: Final[dict[str, Any]] = {
    "borderWidth": 0.8,
    "borderPadding": 4,
    "spaceBefore": 10,
    "spaceAfter": 9,
    "leftIndent": 4,
    "rightIndent": 4,
}
BODY: Final = ParagraphStyle("body", fontName=PLAIN, fontSize=9, leading=12.5, textColor=INK, wordWrap=None)
STRONG: Final = ParagraphStyle("strong", parent=BODY, fontName=BOLD)
HASH: Final = ParagraphStyle("hash", parent=BODY, fontSize=7.5)
LABEL: Final = ParagraphStyle("label", parent=BODY, textColor=GREY)
HEADING: Final = ParagraphStyle(
    "heading", parent=STRONG, fontSize=10.5, leading=14, spaceBefore=9, spaceAfter=3, keepWithNext=1
)
TITLE: Final = ParagraphStyle("title", parent=STRONG, fontSize=15, leading=20, spaceAfter=6)
ROWS: Final = TableStyle(
    [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LEFTPADDING", (0, 0), (0, -1), 0),
        ("TOPPADDING", (0, 0), (-1, -1), 1.5),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 1.5),
        ("LINEBELOW", (0, 0), (-1, -1), 0.3, LINE),
    ]
)


def pages(prediction: Prediction, setting: Setting) -> Any:  # noqa: ANN401 - a class that reportlab makes pages with
    """A canvas that knows how many pages there are when it writes the margins of each."""
    head = printable(f"Case {prediction.case_key}")
    state = setting.signed.state.upper() + (" · SIMULATED" if setting.simulated else "")

    class Pages(Canvas):  # type: ignore[misc]  # reportlab has no types
        def __init__(self, *given: Any, **named: Any) -> None:  # noqa: ANN401 - passed on
            super().__init__(*given, **named)
            self._drawn: list[dict[str, Any]] = []

        def showPage(self) -> None:  # noqa: N802 - reportlab's name
            self._drawn.append(dict(self.__dict__))
            self._startPage()

        def save(self) -> None:
            for number, page in enumerate(self._drawn, 1):
                self.__dict__.update(page)
                self._margins(number)
                super().showPage()
            super().save()

        def _margins(self, number: int) -> None:
            left, right = MARGIN_MM * mm + FRAME_PT, (210 - MARGIN_MM) * mm - FRAME_PT
            top = (297 - MARGIN_MM) * mm
            self.setFillColor(GREY)
            self.setFont(BOLD, 8)
            self.drawString(left, top, head)
            self.drawRightString(right, top, state)
            self.setStrokeColor(LINE)
            self.line(left, (MARGIN_MM + 3) * mm, right, (MARGIN_MM + 3) * mm)
            self.setFont(PLAIN, 7)
            self.drawString(left, MARGIN_MM * mm, f"prediction sha256 {prediction.content_hash}")
            self.drawRightString(right, MARGIN_MM * mm, f"Page {number} of {len(self._drawn)}")
            self.drawString(left, (MARGIN_MM - 4) * mm, NOT_A_DEVICE)

    return Pages
