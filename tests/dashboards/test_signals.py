"""ECG and eye tracking on the page of a case, from files of a simulated cohort, and what their viewers draw."""

import sys
from pathlib import Path

import numpy as np
import pytest

from clinic_mm.bundle import folder
from clinic_mm.cohort.ingest import ingest
from clinic_mm.report.run import Counts, ModelOf, RunInfo, write_run, write_shard
from clinic_mm.signals import EcgRecording, GazeRecording
from clinic_mm.simulate.cohort import write_cohort
from tests.dashboards.conftest import Page
from tests.dashboards.test_pages import texts
from tests.made import signal
from tests.report.predictions import made_up

sys.path.insert(0, str(folder("dashboards")))

from components.ecg import COLUMNS, DPI, INCH_MM, LAYOUTS, PAGE_S, RHYTHM, draw, piece, strips_of
from components.eye import draw_path, draw_traces, rests_of


@pytest.fixture(scope="module")
def other_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    base = tmp_path_factory.mktemp("signals")
    write_cohort(base / "files", cases=1, seed=5, rate=0.0, modalities=("ecg", "eye"))
    (case,) = ingest(base / "files", base / "cohort", key=base / "key").cases()
    run = base / "run"
    write_shard([made_up(case.case_key, {"ecg": 0.4, "eye": -0.2})], run / "shards" / "part-00000.parquet")
    info = RunInfo(
        run_id="r2",
        model=ModelOf(path="model", hash="a" * 64, name="demo", version="0.1.0"),
        cohort="../cohort",
        target="disease",
        classes=("negative", "positive"),
        modalities={"ecg": "ecg", "eye": "eye"},
        counts=Counts(done=1),
        simulated=True,
    )
    write_run(info, run)
    return run, case.case_key


def test_both_are_drawn_on_the_page_of_a_case(
    page: Page, other_run: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, key = other_run
    monkeypatch.setenv("CLINIC_MM_RUN", str(run))
    test = page("case", case=key)
    assert not test.exception
    said = texts(test)
    assert "Cannot be shown" not in said
    assert "25 mm/s, 10 mm/mV" in said
    assert "fixations of" in said
    chosen = {box.label: box for box in test.selectbox}
    chosen["Layout"].select(LAYOUTS[1])
    chosen["View"].select("Over time").run()
    assert not test.exception


def test_the_usual_layout_has_every_lead_once_and_a_rhythm_strip() -> None:
    strips = strips_of(tuple(lead for column in COLUMNS for lead in column), LAYOUTS[0])
    assert [lead for lead, *_ in strips] == [*(lead for column in COLUMNS for lead in column), RHYTHM]
    assert strips[-1] == (RHYTHM, 0.0, PAGE_S, 3)
    assert strips_of(("I", "V1"), LAYOUTS[0])[-1][0] == "I"


def test_a_square_of_the_paper_is_a_millimetre_and_a_pulse_a_millivolt() -> None:
    flat = EcgRecording(np.zeros((1, 5000), np.float32), ("I",), 500.0)
    step = EcgRecording(np.repeat([[-0.5, 0.5]], 2500, axis=1).astype(np.float32), ("I",), 500.0)
    strips = [("I", 0.0, PAGE_S, 0)]

    def heights(ecg: EcgRecording) -> np.ndarray:
        """Row of the trace at a fifth and at four fifths of the paper."""
        image = draw(ecg, strips, 0.0, 10.0, paper=True)
        bright = image.min(axis=2) > 180
        return np.array([np.median(np.flatnonzero(bright[:, int(image.shape[1] * part)])) for part in (0.2, 0.8)])

    down = heights(step) - heights(flat)
    assert down[0] - down[1] == pytest.approx(10 / INCH_MM * DPI, abs=2)


def test_a_piece_is_around_the_median_of_its_lead() -> None:
    ecg = signal("ecg")
    assert isinstance(ecg, EcgRecording)
    seconds, mv = piece(ecg, "V5", 2.0, 4.0)
    np.testing.assert_allclose(seconds[[0, -1]], [2.0, 4.0 - 1 / ecg.sfreq_hz])
    assert abs(np.median(mv)) < 0.02


@pytest.mark.parametrize("degrees", [(1.0, 1.0), None])
def test_gaze_is_drawn_with_its_rests_and_without_degrees_too(degrees: tuple[float, float] | None) -> None:
    made = signal("eye")
    assert isinstance(made, GazeRecording)
    gaze = GazeRecording(made.time_s, made.x, made.y, made.pupil, "px", "", 60.0, degrees, (1920.0, 1080.0))
    rests = rests_of(gaze)
    assert bool(rests) == (degrees is not None)
    for image in (draw_path(gaze, rests, 0.0), draw_traces(gaze, rests, 0.0)):
        assert image.std() > 5
