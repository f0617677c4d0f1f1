"""The model card: every figure from the artifact or an evaluation of it, in three forms that say the same."""

import base64
import hashlib
import re
import shutil
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import orjson
import pytest
from fhir.resources.R4B import get_fhir_model_class

from clinic_mm.errors import ArtifactError
from clinic_mm.jobs.card import write_card
from clinic_mm.jobs.evaluate import evaluate_model
from clinic_mm.predict.card import parts_of
from clinic_mm.predict.modelcard.build import card_of
from clinic_mm.predict.modelcard.content import Card, Paragraph, Section, Table
from clinic_mm.predict.modelcard.markdown import as_markdown
from clinic_mm.predict.sealed import read_sealed
from clinic_mm.report.model_card.evaluated import evaluation_sections
from clinic_mm.report.model_card.html import as_html
from tests.conftest import Trained

CREATED = datetime(2026, 3, 2, 8, tzinfo=UTC)
NUMBER = re.compile(r"\d+\.\d+|\d{2,}")


@pytest.fixture(scope="module")
def evaluation(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("card") / "evaluation"
    evaluate_model(trained.model, trained.cohort, out)
    return out


@pytest.fixture(scope="module")
def card(trained: Trained, evaluation: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_card(trained.model, tmp_path_factory.mktemp("card"), evaluation=evaluation, created=CREATED)


class Page(HTMLParser):
    """Text, tags and addresses of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href", "srcset", "action"}]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_loads_nothing_and_runs_nothing(card: dict[str, Path]) -> None:
    page = Page(card["html"].read_text(encoding="utf-8"))
    assert not {"script", "link", "iframe", "object", "form"} & set(page.tags)
    assert all(one.startswith(("#", "data:image/png;base64,")) for one in page.addresses)
    assert page.tags.count("img") >= 4


def test_all_three_forms_say_what_must_be_said(card: dict[str, Path], trained: Trained) -> None:
    page = Page(card["html"].read_text(encoding="utf-8")).text
    markdown = card["markdown"].read_text(encoding="utf-8")
    for text in (page, markdown):
        for word in (
            "Not a medical device",
            "SIMULATED",
            "Not for diagnosis",
            "Limits",
            "Does fusing pay?",
            "By sex, age",
        ):
            assert word in text
        assert trained.model_hash in text
        assert "Checks before training" in text


def test_the_document_is_valid_r4b_and_carries_the_very_files(card: dict[str, Path]) -> None:
    told: dict[str, Any] = orjson.loads(card["fhir"].read_bytes())
    get_fhir_model_class("DocumentReference").model_validate(told)
    for form, content in zip(("html", "markdown"), told["content"], strict=True):
        data = base64.b64decode(content["attachment"]["data"])
        assert data == card[form].read_bytes()
        assert content["attachment"]["size"] == len(data)
        sha1 = hashlib.sha1(data, usedforsecurity=False).digest()
        assert base64.b64decode(content["attachment"]["hash"]) == sha1
    assert told["meta"]["security"][0]["code"] == "HTEST"


def test_every_number_of_the_artifacts_card_stands_in_its_files(trained: Trained) -> None:
    """Nothing is typed by hand: what the policy says holds no figures but these."""
    files, model_hash = read_sealed(trained.model, "model.json", "")
    text = as_markdown(card_of(parts_of(files), model_hash=model_hash))
    told = b" ".join(files.values()).decode("utf-8", "ignore")
    numbers = [float(n) for n in NUMBER.findall(told)]
    ours = set(NUMBER.findall(re.sub(r"[0-9a-f]{40,}|95 %|0\.55|[\d.]+[a-z+]+[\d.+a-z]*", "", text)))
    known = {f"{n:.{d}f}" for n in numbers for d in (0, 2, 3)} | {f"{100 * n:.0f}" for n in numbers if n <= 1}
    strange = {n for n in ours if n not in known and n not in told and n not in {"100", "500"}}
    assert not strange


def test_an_evaluation_of_another_model_is_refused(trained: Trained, evaluation: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(evaluation, other)
    told = orjson.loads((other / "evaluation.json").read_bytes())
    (other / "evaluation.json").write_bytes(orjson.dumps({**told, "model": "0" * 64}))
    with pytest.raises(ArtifactError, match="another model"):
        write_card(trained.model, tmp_path / "card", evaluation=other)
    with pytest.raises(ArtifactError, match="not an evaluation folder"):
        write_card(trained.model, tmp_path / "card", evaluation=tmp_path)


@pytest.mark.parametrize(
    ("sets", "says"),
    [
        ({"level": 0.6, "shift": None}, "prediction sets at 60 %."),
        ({"level": 0.8, "shift": {"void": "too few"}}, "at 80 %, weighted to those patients. The level is no promise"),
        (None, "does not say at which level"),
    ],
)
def test_the_level_that_was_evaluated_stands_above_its_coverage(
    trained: Trained, evaluation: Path, tmp_path: Path, sets: dict[str, object] | None, says: str
) -> None:
    other = tmp_path / "other"
    shutil.copytree(evaluation, other)
    told = orjson.loads((other / "evaluation.json").read_bytes())
    (other / "evaluation.json").write_bytes(orjson.dumps({**told, "prediction_sets": sets}))
    section = evaluation_sections(other, trained.model_hash)[0]
    table = next(i for i, block in enumerate(section.blocks) if isinstance(block, Table))
    assert any(isinstance(block, Paragraph) and says in block.text for block in section.blocks[:table])


def test_names_from_files_cannot_become_markup() -> None:
    bad = '<script>alert("x")</script> [a](http://x) `|`'
    made = Card(bad, (bad,), (Section(bad, (Paragraph(bad), Table((bad,), ((bad,),)))),))
    assert "script" not in Page(as_html(made)).tags
    assert not re.search(r"(?<!\\)[<\[`|]", as_markdown(Card(bad, (bad,), (Section(bad, (Paragraph(bad),)),))))


def test_the_same_artifact_gives_the_same_card(trained: Trained, tmp_path: Path) -> None:
    one, two = (write_card(trained.model, tmp_path / name, created=CREATED) for name in "ab")
    assert all(one[form].read_bytes() == two[form].read_bytes() for form in one)


def test_what_is_not_known_is_said(trained: Trained) -> None:
    files, _ = read_sealed(trained.model, "model.json", "")
    parts = dict(parts_of(files))
    model = {**parts["model.json"], "facts": {k: v for k, v in parts["model.json"]["facts"].items() if k != "checks"}}
    text = as_markdown(card_of({**parts, "model.json": model}))
    assert "Trained before there were checks" in text
    facts = {**parts["model.json"]["facts"]}
    facts["checks"] = {**facts["checks"], "accepted": True}
    text = as_markdown(card_of({**parts, "model.json": {**model, "facts": facts}}))
    assert "IN SPITE OF" in text
