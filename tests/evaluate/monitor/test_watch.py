"""Runs on disk: what changes is found, named and hidden; what does not, is not; the state says so to others."""

from pathlib import Path

import pytest

from clinic_mm.bundle import folder
from clinic_mm.errors import ArtifactError, InputError, TaskError
from clinic_mm.evaluate.monitor.policy import read_policy
from clinic_mm.evaluate.monitor.rules import stops_of
from clinic_mm.evaluate.monitor.scores import stream_of
from clinic_mm.evaluate.monitor.state import MonitorState, Place, read_state
from clinic_mm.evaluate.monitor.words import as_text, headline
from clinic_mm.jobs.monitor import monitor_runs
from tests.evaluate.monitor import shifting

AT = 300


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shifting.run_of(shifting.cases(600, seed=1)[0], tmp_path_factory.mktemp("reference") / "run")


def watched(reference: Path, into: Path, n: int = 700, *, known: bool = False, **planted: object) -> MonitorState:
    predictions, y = shifting.cases(n, seed=2, first=50_000, at=AT, **planted)  # type: ignore[arg-type]
    run = shifting.run_of(predictions, into / "run")
    outcomes = shifting.outcomes_of(predictions, y, into / "outcomes.csv") if known else None
    return monitor_runs([run], reference, into / "out", outcomes=outcomes)


def test_a_quiet_run_gives_no_alarm_and_the_page_says_so(reference: Path, tmp_path: Path) -> None:
    state = watched(reference, tmp_path, known=True)
    assert state.alarms == state.stops == ()
    assert headline(state).startswith("No change was found")
    assert state.outcomes is not None
    assert state.outcomes.judged == state.cases
    assert read_state(tmp_path / "out") == state
    page = (tmp_path / "out" / "monitor.html").read_text(encoding="utf-8")
    assert "SIMULATED" in page
    assert "No change was found" in page
    assert "<script" not in page


def test_a_shift_of_one_sd_in_one_modality_is_found_within_200_cases_and_hides_what_uses_it(
    reference: Path, tmp_path: Path
) -> None:
    state = watched(reference, tmp_path, shift=("eeg", 1.0))
    first = state.alarms[0]
    assert (first.about, first.name) == ("modality", "eeg")
    assert AT < first.at.number < AT + 200
    assert abs(first.since.number - AT) < 40
    assert first.change.startswith(("moved by +0.9 SD", "moved by +1.0 SD", "moved by +1.1 SD"))
    assert [(stop.hide, stop.name) for stop in state.stops] == [("modality", "eeg")]
    assert state.withheld(("ct", "eeg")).endswith("reference run.")
    assert state.withheld(("ct", "record")) == ""
    assert "answers that use EEG" in as_text(state)


def test_outcomes_of_no_case_are_told_and_a_file_of_strangers_is_warned_of(reference: Path, tmp_path: Path) -> None:
    predictions, y = shifting.cases(60, seed=2, first=50_000)
    run, half = shifting.run_of(predictions, tmp_path / "run"), len(predictions) // 2
    others = shifting.cases(60, seed=2, first=90_000)[0]
    for keyed, says in (
        (predictions[:half] + others[half:], f"{half} outcomes are known, {half} are judged; "),
        (others, f"WARNING: none of the {len(others)} outcomes"),
    ):
        outcomes = shifting.outcomes_of(keyed, y, tmp_path / "outcomes.csv")
        text = as_text(monitor_runs([run], reference, tmp_path / "out", outcomes=outcomes))
        assert says in text
        assert says in (tmp_path / "out" / "monitor.html").read_text(encoding="utf-8")
        assert f"{len(others) - half} are of no case that is watched" in text or keyed is others


def test_a_modality_that_no_longer_comes_is_a_warning_that_hides_nothing(reference: Path, tmp_path: Path) -> None:
    state = watched(reference, tmp_path, gone="ct")
    assert [(stop.hide, stop.name) for stop in state.stops] == [("nothing", "ct")]
    assert "in 0 % of cases since" in state.alarms[0].change
    assert state.withheld(("eeg", "record")) == ""


def test_outcomes_that_do_not_bear_out_the_answers_hide_them_all(reference: Path, tmp_path: Path) -> None:
    state = watched(reference, tmp_path, n=1500, known=True, odds=1.2)
    assert state.stops[0].hide == "all"
    assert "clinic-mm calibrate" in state.withheld(("ct",))
    assert "was said" in state.alarms[0].change


def test_answers_that_are_hidden_already_are_no_longer_judged(reference: Path, tmp_path: Path) -> None:
    state = watched(reference, tmp_path, n=1500, known=True, shift=("eeg", 2.0))
    assert {stop.hide for stop in state.stops} == {"modality"}
    assert state.outcomes is not None
    assert state.outcomes.hidden > 0


def test_a_run_of_another_model_and_a_reference_of_itself_are_refused(reference: Path, tmp_path: Path) -> None:
    other = shifting.run_of(shifting.cases(60, seed=3, first=90_000, model_hash="n" * 64)[0], tmp_path / "other")
    with pytest.raises(InputError, match="another model"):
        monitor_runs([other], reference, tmp_path / "out")
    with pytest.raises(InputError, match="different models"):
        monitor_runs([other, reference], reference, tmp_path / "out")
    with pytest.raises(InputError, match="of the reference"):
        monitor_runs([reference], reference, tmp_path / "out")
    with pytest.raises(InputError, match="too small"):
        monitor_runs([reference], other, tmp_path / "out")
    with pytest.raises(InputError, match="neither"):
        monitor_runs([reference], tmp_path, tmp_path / "out")


def test_copies_of_a_patient_are_counted_once_in_a_while() -> None:
    predictions, _ = shifting.cases(50, seed=4)
    twice = [p.model_copy(update={"case_key": f"{p.case_key}b"}) for p in predictions]
    stream = stream_of([*predictions, *twice, *predictions], read_policy().reference)
    assert len(stream) == len(predictions)
    assert stream.passed_over == 2 * len(predictions)
    assert stream.frame["time"].is_monotonic_increasing


def test_a_damaged_state_or_one_of_another_model_is_refused(reference: Path, tmp_path: Path) -> None:
    watched(reference, tmp_path, n=80)
    with pytest.raises(ArtifactError, match="another model"):
        read_state(tmp_path / "out", "n" * 64)
    (tmp_path / "monitor.json").write_text("{}")
    with pytest.raises(ArtifactError, match="damaged"):
        read_state(tmp_path)
    with pytest.raises(ArtifactError, match="no monitoring state"):
        read_state(tmp_path / "nowhere")


def test_a_policy_whose_budget_is_not_whole_is_refused(tmp_path: Path) -> None:
    text = (folder("schemas") / "monitor.toml").read_text(encoding="utf-8")
    (tmp_path / "p.toml").write_text(text.replace("modality = 0.4", "modality = 0.5"), encoding="utf-8")
    with pytest.raises(TaskError, match="sum to 1"):
        read_policy(tmp_path / "p.toml")


def test_an_alarm_without_a_rule_hides_everything(reference: Path, tmp_path: Path) -> None:
    alarms = watched(reference, tmp_path, gone="ct").alarms
    policy = read_policy()
    none = policy.model_copy(update={"rule": policy.rule[-1:]})
    assert [stop.hide for stop in stops_of(alarms, none)] == ["all"]


def test_where_nothing_could_be_watched_nothing_is_called_unchanged() -> None:
    place = Place(number=1)
    known: dict[str, object] = {"model_hash": "a" * 64, "reference": "model", "reference_cases": 60, "cases": 40}
    state = MonitorState.model_validate({**known, "first": place, "last": place, "cases_between_false_alarms": 50_000})
    assert headline(state) == "Nothing could be watched: the AI is shown"
    assert "The reference is too small: 60 cases" in as_text(state)
