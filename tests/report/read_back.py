"""What a reader of the files gets back: numbers, set, words and hash, from the text of a PDF, FHIR JSON and SR."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import orjson
from pydicom import dcmread
from pydicom.dataset import Dataset
from pypdf import PdfReader

from clinic_mm.predict.prediction import Prediction
from clinic_mm.report.dicom_sr_items import own
from clinic_mm.report.pdf_text import printable
from clinic_mm.report.words import label_of, probability, share_in_words

NUMBER = r"(?:[<>])?\d\.\d\d"


@dataclass(frozen=True)
class Told:
    """What one spelling says: by class the words of its probability, by modality those of its share."""

    classes: dict[str, str]
    shares: dict[str, str]
    kept: frozenset[str] | None
    hashes: frozenset[str]
    words: str


def from_pdf(content: bytes, prediction: Prediction) -> Told:
    """By position: a number counts for what it stands beside."""
    pages = [_tight(page.extract_text()) for page in PdfReader(BytesIO(content)).pages]
    whole = "".join(pages)
    classes = {name: _after(whole, printable(name)) for name in prediction.classes}
    shares = {}
    for name in prediction.pattern:
        label = re.escape(_tight(label_of(name)))
        # As it is told: the first number that stands right behind the label, to the end of its words.
        found = re.search(rf"{label}((?:[+−]?\d\.\d\d)(?:,nodirection|towards|awayfrom))", whole)
        if found:
            shares[name] = found[1]
    hashes = frozenset(match for page in pages for match in re.findall(r"predictionsha256([0-9a-f]{64})", page))
    assert all("predictionsha256" in page for page in pages), "the hash is on every page"
    return Told({n: v for n, v in classes.items() if v}, shares, None, hashes, whole)


def from_fhir(content: bytes, prediction: Prediction) -> Told:
    bundle = orjson.loads(content)
    kinds: dict[str, list[Any]] = {}
    for entry in bundle["entry"]:
        kinds.setdefault(entry["resource"]["resourceType"], []).append(entry["resource"])
    (risk,), (report,) = kinds["RiskAssessment"], kinds["DiagnosticReport"]
    rows = dict(zip(prediction.classes, risk["prediction"], strict=True))
    classes = {n: probability(r["probabilityDecimal"] / 100) for n, r in rows.items() if "probabilityDecimal" in r}
    shares = {
        o["code"]["coding"][0]["code"]: share_in_words(prediction, o["valueQuantity"]["value"])
        for o in kinds["Observation"]
        if "valueQuantity" in o
    }
    kept = frozenset(n for n, r in rows.items() if "; inside" in r.get("rationale", "")) if classes else None
    hashes = {bundle["identifier"]["value"], report["identifier"][0]["value"]}
    return Told(classes, shares, kept, frozenset(hashes), report["conclusion"])


def from_sr(content: bytes, prediction: Prediction) -> Told:
    items = list(_items(dcmread(BytesIO(content))))
    numbers = [item for item in items if item.ValueType == "NUM"]
    by_class = {own(name).value: name for name in prediction.classes}
    by_modality = {own(label_of(name)).value: name for name in prediction.pattern}
    classes = {
        by_class[_modifier(n)]: probability(_number(n)) for n in numbers if _name(n).CodeMeaning == "Probability"
    }
    shares = {
        by_modality[_modifier(n)]: share_in_words(prediction, _number(n))
        for n in numbers
        if _name(n).CodeValue.startswith("SHARE")
    }
    codes = [i.ConceptCodeSequence[0] for i in items if i.ValueType == "CODE" and _name(i).CodeValue == "IN-SET"]
    kept = frozenset(by_class[_code(c)] for c in codes if _code(c) in by_class) if codes else None
    texts = [(_name(i).CodeValue, i.TextValue) for i in items if i.ValueType == "TEXT"]
    hashes = frozenset(text for name, text in texts if name == "SHA256")
    assert len(numbers) == len(classes) + len(shares), "no number that nobody can name"
    return Told(classes, shares, kept, hashes, next(text for name, text in texts if name == "121077"))


def decimals(text: str) -> list[str]:
    """Every number with two decimals: what a probability or a share is written as."""
    return re.findall(r"\d\.\d\d", text)


def tight(text: str) -> str:
    """Without white space, as text comes out of a PDF that broke its lines."""
    return _tight(text)


def _after(text: str, name: str) -> str:
    found = re.search(rf"{re.escape(_tight(name))}({NUMBER})", text)
    return found[1].replace("<", "< ").replace(">", "> ") if found else ""


def _tight(text: str) -> str:
    return re.sub(r"\s+", "", text)


def _items(item: Dataset) -> Iterator[Dataset]:
    for inner in item.get("ContentSequence", []):
        yield inner
        yield from _items(inner)


def _name(item: Dataset) -> Dataset:
    found: Dataset = item.ConceptNameCodeSequence[0]
    return found


def _code(item: Dataset) -> str:
    return str(item.CodeValue)


def _modifier(item: Dataset) -> str:
    return _code(item.ContentSequence[0].ConceptCodeSequence[0])


def _number(item: Dataset) -> float:
    return float(item.MeasuredValueSequence[0].NumericValue)
