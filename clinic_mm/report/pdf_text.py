"""Text that a PDF can print: letters of the embedded font, everything else by its code point; no markup.

In:  plain strings, some of them from files that nobody has checked.
Out: strings for `Paragraph`, escaped, in which every sign has a glyph; the names of the registered fonts.

The font is DejaVu Sans, as matplotlib ships it (Bitstream Vera licence, may be embedded). It is laid out from left to
right without shaping: Hebrew, Arabic and what the font lacks (Chinese, Japanese, …) are written as ⟨U+4E2D⟩, so that
nothing is lost and nothing is read the wrong way round.
"""

import unicodedata
from functools import cache
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape  # escapes what we write; nothing is parsed here

from clinic_mm.report.fhir_parts import clean

PLAIN: Final = "ClinicMM"
BOLD: Final = "ClinicMM-Bold"
FILES: Final = {PLAIN: "DejaVuSans.ttf", BOLD: "DejaVuSans-Bold.ttf"}
NEEDS_SHAPING: Final = frozenset({"R", "AL", "AN"})
"""Bidirectional classes that are written from right to left."""


@cache
def fonts() -> frozenset[int]:
    """Register both fonts once; the code points that they can print."""
    import matplotlib as mpl
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont

    folder = Path(mpl.get_data_path()) / "fonts" / "ttf"
    known = [TTFont(name, str(folder / file)) for name, file in FILES.items()]
    for font in known:
        pdfmetrics.registerFont(font)
    pdfmetrics.registerFontFamily(PLAIN, normal=PLAIN, bold=BOLD, italic=PLAIN, boldItalic=BOLD)
    return frozenset.intersection(*(frozenset(font.face.charToGlyph) for font in known))


def printable(text: str) -> str:
    """Plain text in which every sign has a glyph."""
    known = fonts()
    return "".join(sign if _prints(sign, known) else f"⟨U+{ord(sign):04X}⟩" for sign in clean(text))


def marked_up(text: str) -> str:
    """The same for a `Paragraph`, which would take < and & for its own."""
    return escape(printable(text))


def _prints(sign: str, known: frozenset[int]) -> bool:
    return ord(sign) in known and unicodedata.bidirectional(sign) not in NEEDS_SHAPING
