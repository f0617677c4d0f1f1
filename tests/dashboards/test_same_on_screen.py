"""The numbers on the screen are those of the PDF, the FHIR bundle and the DICOM SR, for any answer.

The screen is what Streamlit sends to a browser for the parts of the case page that tell the answer; it is read back as
the files are, by what stands beside what.
"""

import io
import re
import sys
from dataclasses import dataclass, replace

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from streamlit.testing.v1 import AppTest

from clinic_mm.bundle import folder
from clinic_mm.predict.prediction import Prediction, PredictionSet
from clinic_mm.report.pdf_text import printable
from clinic_mm.report.render import rendered
from clinic_mm.report.signed import UNSIGNED, Signed
from clinic_mm.report.words import label_of, named_class, set_in_words, shows_answer
from tests.report.drawn import HOSTILE, predictions
from tests.report.predictions import made_up
from tests.report.read_back import decimals, from_fhir, from_pdf, from_sr, tight
from tests.report.test_same_numbers import RELAXED, SETTING, acts

sys.path.insert(0, str(folder("dashboards")))


def of(*probabilities: float) -> Prediction:
    """An answer at the edges of rounding."""
    classes = ("no finding", "effusion", "oedema")[: len(probabilities)]
    top = classes[probabilities.index(max(probabilities))]
    kind = "binary" if len(classes) == 2 else "multiclass"
    more = {"kind": kind, "classes": classes, "probabilities": probabilities, "decision": top}
    kept = PredictionSet(level=0.9, classes=(top,), n=120)
    return made_up().model_copy(
        update={**more, "prediction_set": kept, "subsets": {"+".join(made_up().pattern): probabilities}}
    )


@settings(RELAXED, max_examples=2)
@given(predictions(), acts)
@example(of(0.0049, 0.9902, 0.0049), UNSIGNED)
@example(of(0.0049, 0.9951), UNSIGNED)
@example(of(0.0049, 0.9951).model_copy(update={"target": HOSTILE[3]}), UNSIGNED)
def test_screen_pdf_fhir_and_sr_agree(prediction: Prediction, signed: Signed) -> None:
    agree(prediction, signed)


@pytest.mark.long
@pytest.mark.timeout(3600)
@settings(RELAXED, max_examples=1000)
@given(predictions(), acts)
def test_screen_pdf_fhir_and_sr_agree_on_a_thousand(prediction: Prediction, signed: Signed) -> None:
    agree(prediction, signed)


def agree(prediction: Prediction, signed: Signed) -> None:
    setting = replace(SETTING, signed=signed)
    files = {name: rendered(prediction, setting, name) for name in ("pdf", "fhir", "sr")}
    pdf, fhir = from_pdf(files["pdf"], prediction), from_fhir(files["fhir"], prediction)
    sr, screen = from_sr(files["sr"], prediction), from_screen(prediction)
    if not shows_answer(prediction):
        assert screen.classes == screen.shares == pdf.classes == fhir.classes == sr.classes == {}
        assert decimals(screen.words) == []
        return
    assert screen.classes.keys() == set(prediction.classes[1:] if prediction.kind == "binary" else prediction.classes)
    assert screen.shares.keys() == fhir.shares.keys() == pdf.shares.keys()
    for name, number in screen.classes.items():
        assert number == pdf.classes[name] == fhir.classes[name] == sr.classes[name]
    for name, number in screen.shares.items():
        assert all(told.startswith(number) for told in (fhir.shares[name], sr.shares[name], pdf.shares[name]))
    words = printable(set_in_words(prediction))
    assert tight(words) in tight(screen.words)
    assert tight(words) in pdf.words
    if prediction.pattern:
        (whole,) = re.findall(r"All present evidence: .*\*\*(.+?)\*\*", screen.words)
        assert whole == screen.classes[named_class(prediction)]


@dataclass(frozen=True)
class Screen:
    """By class the number beside it, by modality that at its bar, and all that is said."""

    classes: dict[str, str]
    shares: dict[str, str]
    words: str


def page(prediction: object) -> None:
    """Those parts of dashboards/views/case.py that tell the answer."""
    from clinic_mm.report.words import shows_answer
    from components.answer import headline, shares, what_if

    headline(prediction)
    if shows_answer(prediction) or not prediction.withheld:
        shares(prediction, {})
        what_if(prediction, {})


def from_screen(prediction: Prediction) -> Screen:
    test = AppTest.from_function(page, args=(prediction,), default_timeout=120).run()
    assert not test.exception
    found = {}
    for one in test.metric:
        told = plainly(one.label)
        (name,) = (c for c in prediction.classes if blank(f"Probability of {c} ({prediction.target})") == told)
        found[name] = one.value
    for table in test.dataframe:
        rows = dict(zip(table.value["Class"], table.value["Probability"], strict=True))
        assert all(rows[name] == number for name, number in found.items()), "the large number and its row"
        found |= rows
    labels = {label_of(name): name for name in prediction.pattern}
    tables = [
        pa.ipc.open_stream(io.BytesIO(data.data.data)).read_all().to_pylist()
        for chart in test.get("vega_lite_chart")
        for data in chart.proto.datasets
    ]
    bars = {labels[row["modality"]]: row["text"] for rows in tables for row in rows if "text" in row}
    said = [plainly(one.value) for one in [*test.markdown, *test.caption, *test.subheader]]
    return Screen(found, bars, printable("\n".join(said)))


def plainly(text: str) -> str:
    """As Markdown shows it."""
    return re.sub(r"\\([^\w\s])", r"\1", text)


def blank(text: str) -> str:
    """With a blank for each sign that cannot be printed, as a page shows names."""
    return "".join(sign if sign.isprintable() else " " for sign in text)
