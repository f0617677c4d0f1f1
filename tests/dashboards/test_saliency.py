"""Pages show what was stored, say so where nothing was, and never compute. SIMULATED."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from clinic_mm.bundle import folder
from clinic_mm.cohort.manifest import open_cohort
from clinic_mm.predict.saliency.result import KINDS, evidence_hash
from clinic_mm.report.run import open_run
from clinic_mm.report.saliency_store import FOLDER, requested, settle, write_saliency, write_skipped
from tests.dashboards.conftest import Page
from tests.dashboards.test_pages import answered, texts
from tests.report.saliencies import made_saliency

sys.path.insert(0, str(folder("dashboards")))

from components.eeg_saliency import attention


def mounted(test: AppTest) -> dict[str, dict[str, Any]]:
    """What each canvas of a page was handed, by the name of its component."""
    found = [element.proto for element in test.get("bidi_component")]
    return {proto.component_name.removeprefix("clinic_mm_"): json.loads(proto.json) for proto in found}


@pytest.fixture
def computed(made_run: Path) -> Iterator[str]:
    """Stored saliency of all kinds of the case with the most evidence, as if of its own studies."""
    found = answered(made_run)
    case = next(c for c in open_cohort(made_run.parent / "cohort").cases() if c.case_key == found.case_key)
    for kind in KINDS:
        if kind in found.pattern:
            made = made_saliency(kind, found.case_key, evidence=evidence_hash(case.usable(kind)[-1]))
            told = made.told.model_copy(update={"model_hash": found.model_hash})
            write_saliency(type(made)(told, made.arrays), made_run / FOLDER)
    yield found.case_key
    for path in (made_run / FOLDER).glob("*.*"):
        path.unlink()


def test_without_saliency_the_page_says_what_to_ask_for(page: Page, made_run: Path) -> None:
    found = answered(made_run)
    test = page("case", case=found.case_key)
    assert f"clinic-mm saliency run --case {found.case_key}" in texts(test)
    assert not any(data.get("attention") for data in mounted(test).values())


def test_a_reader_asks_for_it_and_is_told_that_it_was_requested(page: Page, made_run: Path) -> None:
    found = answered(made_run)
    test = page("case", case=found.case_key)
    next(one for one in test.button if str(one.key).startswith("ask-")).click().run()
    try:
        assert requested(made_run / FOLDER) == (found.case_key,)
        assert "requested" in texts(test)
        assert "not computed for this case" not in texts(test)
        assert not [one for one in test.button if str(one.key).startswith("ask-")]
    finally:
        settle(made_run / FOLDER, found.case_key)
    assert requested(made_run / FOLDER) == ()


def test_stored_saliency_goes_to_the_canvas_with_its_legend(page: Page, made_run: Path, computed: str) -> None:
    test = page("case", case=computed)
    assert not test.exception
    kinds = [kind for kind in KINDS if kind in open_run(made_run).prediction(computed).pattern]
    drawn = {name: data for name, data in mounted(test).items() if name in kinds}
    assert set(drawn) == set(kinds)
    assert all(data["attention"] for data in drawn.values())
    said = texts(test)
    assert "speaks for positive: hiding it lowers" in said
    assert "not computed for this case" not in said


def test_of_another_study_or_model_it_is_not_shown(page: Page, made_run: Path, computed: str) -> None:
    kind = next(kind for kind in KINDS if kind in open_run(made_run).prediction(computed).pattern)
    write_saliency(made_saliency(kind, computed), made_run / FOLDER)
    said = texts(page("case", case=computed))
    assert "computed for another" in said


def test_a_damaged_file_is_told_calmly(page: Page, made_run: Path, computed: str) -> None:
    path = next((made_run / FOLDER).glob(f"{computed}.*.safetensors"))
    path.write_bytes(path.read_bytes()[:-1])
    test = page("case", case=computed)
    assert not test.exception
    assert "Run clinic-mm saliency again" in texts(test)


def test_a_reason_is_shown_where_it_was_asked_for_in_vain(page: Page, made_run: Path) -> None:
    found = answered(made_run)
    kind = next(kind for kind in KINDS if kind in found.pattern)
    row = {
        "case_key": found.case_key,
        "modality": kind,
        "status": "rejected",
        "code": "saliency.too_long",
        "why": "Too long",
    }
    write_skipped([row], made_run / FOLDER)
    try:
        assert "not computed. Too long" in texts(page("case", case=found.case_key))
    finally:
        (made_run / FOLDER / "skipped.csv").unlink()


def test_the_canvas_of_an_eeg_gets_windows_shades_and_the_peak() -> None:
    made = made_saliency("eeg")
    told = attention(made)
    assert told is not None
    assert told["peak_s"] == 13.5
    assert len(told["windows"]) == 32
    assert [(start < 13.5 < end, channels, strength) for start, end, channels, strength in told["shades"]] == [
        (True, [], 1.0),
        (True, ["F3"], 1.0),
    ]
    assert "not the outline" in told["words"]
    assert attention(None) is None


def test_the_expert_alone_is_drawn_as_probabilities_and_old_files_have_none() -> None:
    old = made_saliency("eeg")
    logodds = np.full(32, -1.0)
    logodds[3], logodds[5] = 2.0, np.nan
    new = type(old)(old.told, {**old.arrays, "alone": logodds})
    drawn, before = attention(new), attention(old)
    assert drawn
    assert before
    assert before["alone"] == []
    assert "Expert alone" not in before["words"]
    assert len(drawn["alone"]) == 31, "a window across a gap has none"
    assert drawn["alone"][3] == pytest.approx([3.0, 4.0, 0.880797], abs=1e-5)
    assert "not calibrated" in drawn["words"]
