"""The PDF as a person and a reader aloud get it: title, language, pages, fonts, marks; hostile text stays text."""

from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO

import pytest
from pypdf import PdfReader

from clinic_mm.predict.prediction import Prediction
from clinic_mm.report.pdf import pdf_report
from clinic_mm.report.pdf_text import printable
from clinic_mm.report.setting import Setting
from clinic_mm.report.signed import Signed
from tests.report.acts import ACTS, AMENDED, WHOSE
from tests.report.predictions import flagged, made_up, rejected
from tests.report.read_back import tight
from tests.report.silent import HIDDEN, REASON, SHARES, leaked, telling

SETTING = Setting(datetime(2026, 3, 2, 8, tzinfo=UTC), "demo", "1")


def read(prediction: Prediction, setting: Setting = SETTING) -> PdfReader:
    return PdfReader(BytesIO(pdf_report(prediction, setting)))


def text_of(prediction: Prediction, setting: Setting = SETTING) -> str:
    return " ".join(" ".join(page.extract_text().split()) for page in read(prediction, setting).pages)


def test_title_language_bookmarks_and_embedded_fonts_are_there() -> None:
    found = read(made_up())
    assert found.metadata is not None
    assert found.metadata.title == "AI report: disease, case c0001"
    assert found.metadata.keywords == f"sha256:{made_up().content_hash}"
    root = found.trailer["/Root"]
    assert root["/Lang"] == "en"
    assert root["/ViewerPreferences"]["/DisplayDocTitle"]
    assert len(found.outline) >= 1
    fonts = {name for page in found.pages for name in _fonts_shown(page)}
    assert fonts
    assert all("DejaVuSans" in name for name in fonts)


def test_every_page_has_its_number_the_hash_and_the_warning() -> None:
    long = made_up(flags=tuple(flagged(why="slices are thick " * 40) for _ in range(8)))
    pages = [tight(page.extract_text()) for page in read(long).pages]
    assert len(pages) > 1
    for number, page in enumerate(pages, 1):
        assert f"Page{number}of{len(pages)}" in page
        assert long.content_hash in page
        assert "Notamedicaldevice" in page
        assert "PRELIMINARY" in page


def test_the_same_arguments_give_the_same_bytes() -> None:
    assert pdf_report(made_up(), SETTING) == pdf_report(made_up(), SETTING)


@pytest.mark.parametrize("why", [REASON, HIDDEN, {**REASON, **HIDDEN}], ids=["abstained", "withheld", "both"])
@pytest.mark.parametrize("signed", ACTS.values(), ids=list(ACTS))
def test_a_hidden_or_missing_answer_is_said_with_its_reason_and_no_number(why: dict[str, str], signed: Signed) -> None:
    silent = telling(made_up(shares=SHARES), **why)
    shown = text_of(silent, replace(SETTING, signed=signed))
    assert leaked(silent, shown) == []
    assert next(reversed(why.values())) in shown
    assert "overridden" not in shown
    assert leaked(telling(made_up(shares=SHARES)), text_of(telling(made_up(shares=SHARES))))


def test_an_amendment_says_what_was_signed_before_and_why_it_changed() -> None:
    shown = text_of(made_up(), replace(SETTING, signed=AMENDED))
    for words in ("AMENDED: signed by u19", "Wrong side read at first", "positive; FINAL: signed by u17", "A nipple"):
        assert words in shown


def test_names_stand_in_it_only_where_that_was_asked_for() -> None:
    named = text_of(made_up(), replace(SETTING, whose=WHOSE, simulated=True))
    assert "Müller Ana Maria" in named
    assert "IDENTIFIED" in named
    assert "SIMULATED" in named
    assert "Müller" not in text_of(made_up())


@pytest.mark.parametrize("times", [1, 30])
def test_hostile_text_of_any_length_stays_text(times: int) -> None:
    hostile = '<b>x</b> <img src="http://127.0.0.1/y"/> &amp; <a href="javascript:1">z</a> \\ '
    found = made_up(missing=(rejected(why=hostile * times), rejected("ct", "x" * 100 * times)), abstained="Too rare")
    found = found.model_copy(update={"target": hostile * times, "classes": (hostile, "b")})
    pages = read(found).pages
    assert tight(text_of(found)).count(tight(hostile)) >= times
    assert all("/Annots" not in page for page in pages)
    assert (len(pages) > 1) == (times > 1)


def test_what_the_font_lacks_is_written_by_its_code_point() -> None:
    assert printable("肺 ok ×²µ−") == "⟨U+80BA⟩ ok ×²µ−"
    assert printable("\u202eדל\x07") == "⟨U+05D3⟩⟨U+05DC⟩"


def _fonts_shown(page: object) -> set[str]:
    """Fonts that the page sets text in, not those that it could."""
    found: set[str] = set()

    def seen(text: str, _cm: object, _tm: object, font: dict[str, str] | None, _size: float) -> None:
        if text.strip() and font:
            found.add(font["/BaseFont"])

    page.extract_text(visitor_text=seen)  # type: ignore[attr-defined]
    return found
