"""The job: computes what is asked for, keeps what stands there, and one bad case never stops the rest. SIMULATED."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from clinic_mm.jobs import saliency as job
from clinic_mm.jobs import saliency_piece as piece
from clinic_mm.jobs.asked import ScreenOptions
from clinic_mm.jobs.screen import screen_cohort
from clinic_mm.predict.abstain import Skill
from clinic_mm.predict.artifact import load_model
from clinic_mm.predict.outside import Guard
from clinic_mm.predict.saliency import image
from clinic_mm.predict.saliency.occlusion import Plan
from clinic_mm.report.run import Run, open_run
from clinic_mm.report.saliency_store import FOLDER, read_saliency, read_skipped, request, requested
from tests.cli.terminal import run
from tests.conftest import Trained

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixteen places are enough to see what the job does."""
    monkeypatch.setattr(image, "XRAY", Plan(stride=32, sides=(32,), soft=2.0, window=41))


@pytest.fixture(scope="module")
def screened(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("saliency") / "run"
    with pytest.MonkeyPatch.context() as patch:  # knowing next to nothing of an X-ray, it would be silent
        patch.setattr(Skill, "none", property(lambda _: False))
        screen_cohort(trained.model, trained.cohort, out, options=ScreenOptions(engine="inline", validate=False))
    assert (open_run(out).worklist()["abstained"] != "").sum() <= 1, "one lies far from training"
    return out


@pytest.fixture
def fresh(screened: Path) -> Iterator[Path]:
    """The run without anything computed."""
    yield screened
    for path in (screened / FOLDER).glob("*.*"):
        path.unlink()


def with_xray(run_folder: Path) -> list[str]:
    work = open_run(run_folder).worklist()
    answered = work["pattern"].str.contains("xray") & (work["abstained"] == "")
    return [str(key) for key in work.loc[answered, "case_key"]]


def test_what_readers_asked_for_is_computed_once_and_settled(fresh: Path, capsys: Capture) -> None:
    key = with_xray(fresh)[0]
    request(fresh / FOLDER, key)
    request(fresh / FOLDER, "gone")
    said = run(capsys, "saliency", fresh, "--requested", "--json")
    assert [(row["case_key"], row["status"]) for row in said.json] == [(key, "done")]
    assert requested(fresh / FOLDER) == ()
    assert run(capsys, "saliency", fresh, "--requested", "--json").json == []
    assert run(capsys, "saliency", fresh, "--requested", "--top", "1").code != 0


def test_one_case_is_computed_stored_and_kept(fresh: Path, trained: Trained, capsys: Capture) -> None:
    key = with_xray(fresh)[0]
    said = run(capsys, "saliency", fresh, "--case", key, "--json")
    assert said.code == 0
    assert [row["status"] for row in said.json] == ["done"]
    found = read_saliency(fresh / FOLDER, key, "xray")
    assert found is not None
    assert found.told.model_hash == trained.model_hash
    assert found.told.asked == found.arrays["map"].size == 16
    before = (fresh / FOLDER / f"{key}.xray.safetensors").stat().st_mtime_ns
    again = run(capsys, "saliency", fresh, trained.cohort, "--case", key, "--json")
    assert [row["status"] for row in again.json] == ["kept"]
    assert (fresh / FOLDER / f"{key}.xray.safetensors").stat().st_mtime_ns == before


def test_a_damaged_file_or_other_settings_are_computed_anew(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = with_xray(fresh)[0]
    job.saliency(fresh, case_key=key)
    path = fresh / FOLDER / f"{key}.xray.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    assert [row.status for row in job.saliency(fresh, case_key=key)] == ["done"]
    monkeypatch.setattr(image, "XRAY", Plan(stride=64, sides=(64,), soft=2.0, window=41))
    assert [row.status for row in job.saliency(fresh, case_key=key)] == ["done"]


def test_the_most_probable_come_first_and_what_has_none_says_why(fresh: Path, capsys: Capture) -> None:
    ranked = open_run(fresh).worklist().sort_values("p_1", ascending=False, kind="stable")
    top = int((~ranked["pattern"].str.contains("xray")).to_numpy().argmax()) + 1
    rows = job.saliency(fresh, top=top)
    work = open_run(fresh).worklist().nlargest(top, "p_1")
    assert [row.case_key for row in rows] == work["case_key"].to_list()
    spoke = work["pattern"].str.contains("xray").to_list()
    assert [row.status == "done" for row in rows] == spoke
    assert not all(spoke)
    assert set(read_skipped(fresh / FOLDER)["status"]) <= {"absent", "rejected"}
    said = run(capsys, "saliency", fresh, "--top", top, "--workers", 1)
    assert said.code == 0
    assert "log-odds of positive" in said.out


def test_one_bad_case_never_stops_the_rest(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def explodes(*_: object) -> None:
        message = "patient name"
        raise ZeroDivisionError(message)

    real = piece.explain
    seen: list[int] = []

    def explain(*given: object) -> object:
        seen.append(1)
        return explodes() if len(seen) == 1 else real(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(piece, "explain", explain)
    rows = job.saliency(fresh, top=5, options=job.SaliencyOptions(workers=1))
    told = Counter(row.status for row in rows)
    assert told["failed"] == 1
    assert told["done"] == len(seen) - 1 >= 2
    assert not any("patient name" in row.why for row in rows)


def test_a_file_that_is_gone_is_rejected_with_its_reason(trained: Trained, fresh: Path, tmp_path: Path) -> None:
    from clinic_mm.cohort.manifest import open_cohort

    key = with_xray(fresh)[0]
    cohort = open_cohort(trained.cohort)
    case = next(c for c in cohort.cases("label") if c.case_key == key)
    (study,) = case.usable("xray")[-1:]
    lost = cohort.roots[study.root] / study.paths[0]
    lost.rename(tmp_path / "kept")
    try:
        (row,) = job.saliency(fresh, case_key=key)
    finally:
        (tmp_path / "kept").rename(lost)
    assert (row.status, row.code) == ("rejected", "file.gone")


def test_what_the_answer_does_not_rest_on_is_not_explained_by_a_model_alone(
    trained: Trained, fresh: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, _ = load_model(trained.model)
    strict = model.outside.guards["xray"].far
    assert strict is not None
    guards = {**model.outside.guards, "xray": Guard(far=replace(strict, threshold=-np.inf))}
    planted = replace(model, outside=replace(model.outside, guards=guards))
    monkeypatch.setattr(piece, "load_deployed", lambda _: (planted, trained.model_hash))
    (row,) = job.saliency(trained.model, trained.cohort, case_key=with_xray(fresh)[0], out=tmp_path / "out")
    assert (row.status, row.code) == ("rejected", "xray.outside_training")


def test_a_case_without_an_answer_is_not_explained(
    trained: Trained, fresh: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, real = with_xray(fresh)[0], Run.prediction
    monkeypatch.setattr(Run, "prediction", lambda *it: real(*it).model_copy(update={"abstained": "a reason"}))
    (row,) = job.saliency(fresh, case_key=key)
    assert (row.status, row.code, row.saliency) == ("rejected", "case.no_answer", None)
    silent = [one.model_copy(update={"abstained": "a reason"}) for one in open_run(fresh).predictions()]
    monkeypatch.setattr(job, "predict_cases", lambda *_: silent)
    assert job.saliency(trained.model, trained.cohort, top=3, out=tmp_path / "out") == []


def test_a_model_alone_needs_a_cohort_and_a_folder(
    trained: Trained, fresh: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Skill, "none", property(lambda _: False))
    key = with_xray(fresh)[0]
    (row,) = job.saliency(trained.model, trained.cohort, case_key=key, out=tmp_path / "out")
    assert row.status == "done"
    tops = job.saliency(trained.model, trained.cohort, top=3, out=tmp_path / "out")
    assert len(tops) == 3


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        ((), 2, "Say for which cases"),
        (("--case", "nobody"), 3, "does not form"),
        (("--case", "nobody", "--top", 3), 2, "Say for which cases"),
        (("--top", 3, "--modality", "note"), 2, "No saliency for note"),
    ],
)
def test_a_slip_is_one_line(fresh: Path, capsys: Capture, words: tuple[object, ...], code: int, told: str) -> None:
    said = run(capsys, "saliency", fresh, *words)
    assert (said.code, len(said.lines)) == (code, 1)
    assert told in said.err


def test_a_folder_of_nothing_is_called_so(tmp_path: Path, capsys: Capture) -> None:
    said = run(capsys, "saliency", tmp_path, "--top", 3)
    assert (said.code, len(said.lines)) == (6, 1)
    assert "no run and no model" in said.err


@pytest.mark.long
def test_two_workers_give_what_one_gives(fresh: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # workers do not see what this process patched
    one, two = (
        job.saliency(fresh, top=8, out=tmp_path / str(n), options=job.SaliencyOptions(workers=n)) for n in (1, 2)
    )
    assert [(row.case_key, row.status) for row in one] == [(row.case_key, row.status) for row in two]
    for a, b in zip(one, two, strict=True):
        if a.saliency and b.saliency:
            assert a.saliency.told == b.saliency.told
            np.testing.assert_array_equal(a.saliency.arrays["map"], b.saliency.arrays["map"])
