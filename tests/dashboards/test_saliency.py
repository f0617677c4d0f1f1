"""Pages show what was stored, say so where nothing was, and never compute. SIMULATED."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from clinic_mm.bundle import folder
from clinic_mm.cohort.manifest import open_cohort
from clinic_mm.predict.saliency.result import KINDS, evidence_hash
from clinic_mm.report.run import open_run
from clinic_mm.report.saliency_store import FOLDER, write_saliency, write_skipped
from clinic_mm.signals import CtVolume
from tests.dashboards.conftest import Page
from tests.dashboards.test_pages import answered, texts
from tests.report.saliencies import made_saliency

sys.path.insert(0, str(folder("dashboards")))

from components.ct import planes_at
from components.eeg_saliency import overview, page_of, shades

SAID = "Where hiding the"


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
    for path in (made_run / FOLDER).glob("*"):
        path.unlink()


def test_without_saliency_the_page_says_what_to_ask_for(page: Page, made_run: Path) -> None:
    found = answered(made_run)
    test = page("case", case=found.case_key)
    assert f"clinic-mm saliency run --case {found.case_key}" in texts(test)
    assert not [t for t in test.toggle if str(t.key).endswith("-saliency")]


def test_stored_saliency_has_a_switch_a_legend_and_its_words(page: Page, made_run: Path, computed: str) -> None:
    test = page("case", case=computed)
    assert not test.exception
    switches = [t for t in test.toggle if str(t.key).endswith("-saliency")]
    kinds = [kind for kind in KINDS if kind in open_run(made_run).prediction(computed).pattern]
    assert len(switches) == len(kinds) > 0
    assert all(SAID in t.label and "changes the answer" in t.label for t in switches)
    said = texts(test)
    assert said.count("speaks for positive: hiding it lowers") == len(kinds)
    assert "not computed for this case" not in said
    for one in switches:
        one.set_value(False)
    test.run()
    assert "hiding it lowers" not in texts(test)
    assert not test.exception


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


def test_the_colour_lies_where_the_peak_is_in_every_plane() -> None:
    made = made_saliency("ct")
    volume = CtVolume(np.full((64, 64, 48), -1000.0, np.float32), (5.0, 5.0, 6.0))
    at = tuple(round(float(str(made.told.peak[name]))) for name in "xyz")
    plain, over = planes_at(volume, at, "Lung"), planes_at(volume, at, "Lung", made)
    (x, y, z), (nx, ny, nz) = at, volume.hu.shape
    places = {
        "axial": (ny - y, nx - x, ny, nx),
        "coronal": (nz - z, nx - x, nz, nx),
        "sagittal": (nz - z, ny - y, nz, ny),
    }
    for name, (row, column, rows, columns) in places.items():
        gained = (over[name].astype(int) - plain[name]).sum(axis=2)[30:-30, 30:-30]
        there = np.argwhere(gained > 0.6 * gained.max()).mean(axis=0) + 30
        assert there[0] / plain[name].shape[0] == pytest.approx(row / rows, abs=0.08)
        assert there[1] / plain[name].shape[1] == pytest.approx(column / columns, abs=0.08)
    away = planes_at(volume, (50, 50, 40), "Lung", made)["axial"]
    np.testing.assert_array_equal(away, planes_at(volume, (50, 50, 40), "Lung")["axial"])


def test_the_page_of_the_peak_is_opened_and_shaded() -> None:
    made = made_saliency("eeg")
    assert page_of(made, 10.0, 4) == 2
    on_page = list(shades(made, 10.0, 20.0))
    assert [one[2] for one in on_page] == [(), ("F3",)]
    assert all(one[0] < 13.5 < one[1] for one in on_page)
    assert not list(shades(made, 20.0, 30.0))
    assert overview(made).shape[2] == 3
