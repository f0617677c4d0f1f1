"""From a model and its runs to a watch, and back into screening: what is hidden is stored, marked, and not reported."""

from pathlib import Path

import numpy as np
import pytest

from clinic_mm.bundle import folder
from clinic_mm.errors import ArtifactError, InputError
from clinic_mm.evaluate.monitor.state import FILE, MonitorState, read_state, write_state
from clinic_mm.jobs.asked import ScreenOptions
from clinic_mm.jobs.monitor import monitor_runs
from clinic_mm.jobs.monitor_reference import reference_of_model
from clinic_mm.jobs.screen import screen_cohort
from clinic_mm.jobs.spec import Selection
from clinic_mm.predict.artifact import load_model
from clinic_mm.report.card import as_text
from clinic_mm.report.run import Run, open_run
from tests.conftest import Trained
from tests.dashboards.test_monitor import SAID, state_of, stop

QUICK = ScreenOptions(validate=False)
UNSEEN = ScreenOptions(validate=False, selection=Selection(unseen=True))


@pytest.fixture(scope="module")
def run(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("monitor") / "run"
    screen_cohort(trained.model, trained.cohort, out, options=UNSEEN)
    return open_run(out)


def test_the_model_itself_is_a_reference_of_the_very_scores_that_its_runs_have(
    trained: Trained, run: Run, tmp_path: Path
) -> None:
    model, model_hash = load_model(trained.model)
    reference = reference_of_model(model, model_hash)
    assert {score.name for score in reference.values if score.what == "opinion"} == set(model.names)
    for name in model.names:
        n = sum(count for pattern, count in model.facts["patterns"].items() if name in pattern.split("+"))  # type: ignore[union-attr,operator]
        lengths = {len(v) for s, v in reference.values.items() if s.name == name and s.what not in ("present", "share")}
        assert lengths == {n}
    text = (folder("schemas") / "monitor.toml").read_text(encoding="utf-8")
    (tmp_path / "p.toml").write_text(text.replace("fewest_of_score = 100", "fewest_of_score = 20"), encoding="utf-8")
    state = monitor_runs([run.path], trained.model, tmp_path / "out", policy=tmp_path / "p.toml")
    assert state.reference == "model"
    assert state.cases == len({p.patient_key for p in run.predictions()})
    seen = {(d.name, d.what): d.seen for d in state.detectors}
    assert seen["record", "axis 1"] >= seen["record", "opinion"] > 0  # what lies outside is seen, and does not speak
    assert not state.alarms


def test_a_run_on_the_trained_patients_looks_like_the_training_reference(trained: Trained, tmp_path: Path) -> None:
    model, model_hash = load_model(trained.model)
    kept = reference_of_model(model, model_hash).values
    screen_cohort(trained.model, trained.cohort, tmp_path / "run", options=QUICK)
    found = list(open_run(tmp_path / "run").predictions())
    for score, values in kept.items():
        if score.what.startswith("axis"):
            gists = np.array([p.drift_scores[score.name] for p in found if score.name in p.drift_scores])
            column = gists[:, int(score.what[-1]) - 1]
            assert abs(np.median(column) - np.median(values)) < 1


def test_screening_stores_what_monitoring_hides_marks_it_and_reports_it_not(
    trained: Trained, run: Run, tmp_path: Path
) -> None:
    write_state(state_of(stop("modality", "record"), model_hash=trained.model_hash), tmp_path / "watch")
    out = tmp_path / "run"
    screen_cohort(trained.model, trained.cohort, out, monitor=tmp_path / "watch", options=UNSEEN)
    marked = open_run(out)
    hidden = 0
    for before in run.predictions():
        after = marked.prediction(before.case_key)
        assert after.content_hash == before.content_hash
        assert after.probabilities == before.probabilities
        assert bool(after.withheld) == ("record" in after.pattern)
        assert (out / "reports" / f"{after.case_key}.json").is_file() != bool(after.withheld)
        if after.withheld:
            hidden += 1
            assert SAID in as_text(after)
            assert "0." not in as_text(after).split("Missing")[0].split("Rests on")[0]
            with pytest.raises(InputError, match="hidden"):
                marked.report_path(after.case_key).read_text(encoding="utf-8")
    assert hidden > 0
    assert isinstance(read_state(out / FILE), MonitorState)


def test_a_state_of_another_model_is_refused_before_anything_is_written(trained: Trained, tmp_path: Path) -> None:
    write_state(state_of(stop("all")), tmp_path / "watch")
    with pytest.raises(ArtifactError, match="another model"):
        screen_cohort(trained.model, trained.cohort, tmp_path / "run", monitor=tmp_path / "watch", options=QUICK)
    assert not (tmp_path / "run").exists()
