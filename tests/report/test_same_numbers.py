"""One Prediction, one set of numbers, one hash: what PDF, FHIR and DICOM SR say is read back and held against the page.

The page takes its words from report/words.py; where it shows no answer, no file holds a number of one.
"""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clinic_mm.predict.prediction import Prediction
from clinic_mm.report.fhir_parts import clean
from clinic_mm.report.pdf_text import printable
from clinic_mm.report.render import rendered
from clinic_mm.report.setting import Setting
from clinic_mm.report.signed import Signed
from clinic_mm.report.words import answer_in_words, ordered_shares, probability, share_in_words, shows_answer
from tests.report.acts import ACTS
from tests.report.drawn import predictions
from tests.report.read_back import decimals, from_fhir, from_pdf, from_sr, tight

SETTING = Setting(datetime(2026, 3, 2, 8, tzinfo=UTC), "demo", "1", simulated=True)
RELAXED = settings(deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
acts = st.sampled_from(list(ACTS.values()))


@settings(RELAXED, max_examples=20)
@given(predictions(), acts)
def test_page_pdf_fhir_and_sr_agree(prediction: Prediction, signed: Signed) -> None:
    agree(prediction, signed)


@pytest.mark.long
@pytest.mark.timeout(3600)
@settings(RELAXED, max_examples=1000)
@given(predictions(), acts)
def test_page_pdf_fhir_and_sr_agree_on_a_thousand(prediction: Prediction, signed: Signed) -> None:
    agree(prediction, signed)


def agree(prediction: Prediction, signed: Signed) -> None:
    setting = replace(SETTING, signed=signed)
    files = {name: rendered(prediction, setting, name) for name in ("pdf", "fhir", "sr", "html", "text")}
    pdf = from_pdf(files["pdf"], prediction)
    fhir = from_fhir(files["fhir"], prediction)
    sr = from_sr(files["sr"], prediction)
    assert pdf.hashes == fhir.hashes == sr.hashes == {prediction.content_hash}
    words = clean(answer_in_words(prediction))
    assert words in fhir.words
    assert sr.words == words
    assert tight(printable(words)) in pdf.words
    for page in (files["html"].decode(), files["text"].decode()):
        assert prediction.content_hash in page
    if not shows_answer(prediction):
        assert fhir.classes == sr.classes == fhir.shares == sr.shares == pdf.classes == pdf.shares == {}
        assert decimals(pdf.words) == []
        assert decimals(files["text"].decode()) == decimals(files["html"].decode().partition("<body>")[2]) == []
        return
    classes = dict(zip(prediction.classes, map(probability, prediction.probabilities), strict=True))
    shares = {name: share_in_words(prediction, share) for name, share in ordered_shares(prediction)}
    assert fhir.classes == sr.classes == pdf.classes == classes
    assert fhir.shares == sr.shares == shares
    assert pdf.shares.keys() == shares.keys()
    assert all(tight(shares[name]).startswith(told) for name, told in pdf.shares.items())
    assert fhir.kept == frozenset(prediction.prediction_set.classes)
    assert sr.kept == frozenset(prediction.prediction_set.classes)
