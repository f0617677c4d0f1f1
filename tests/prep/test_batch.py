"""Many cases are prepared: one bad piece falls back to the next, and absent, rejected and failed are told apart."""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from clinic_mm.prep import batch
from clinic_mm.prep.base import NothingKnownError, Prepared
from clinic_mm.prep.batch import PreparedCases, Recipe, fit_preps, prepare_cases
from clinic_mm.prep.cache import PrepCache
from clinic_mm.prep.note import NotePrep
from clinic_mm.signals import NoteText
from clinic_mm.sources import contents
from clinic_mm.types import Absent, CaseRecord, Evidence, Failed, Finding, Flag, Rejected
from tests import made
from tests.made import DECISION

NOTE = NotePrep({"places": 64})
RECIPE = Recipe({"note": NOTE})
SEEN = Flag(code="note.seen", why="Seen on reading")


class Moody(NotePrep):
    """Knows nothing of some notes, and breaks on others."""

    def __call__(self, signal: NoteText, until: object = None) -> Prepared:
        if "unknown" in signal.text:
            raise NothingKnownError("note.nothing_known", "Nothing known", "note")
        if "break" in signal.text:
            message = f"secret words: {signal.text}"
            raise ZeroDivisionError(message)
        return super().__call__(signal, until)


TEXTS = {
    "old": "calm and alert",
    "new": "worse tonight",
    "bad": "",
    "unknown": "unknown words",
    "break": "break it",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in TEXTS.items():
        (tmp_path / f"{name}.txt").write_text(text)
    return tmp_path


def _piece(name: str, hours_before: float | None = 5.0) -> Evidence:
    when = None if hours_before is None else DECISION - timedelta(hours=hours_before)
    content = hashlib.sha256(TEXTS.get(name, "").encode()).hexdigest()
    return Evidence(modality="note", root="r", paths=(f"{name}.txt",), acquired_at=when, content_hash=content)


def _case(*findings: Finding, key: str = "c") -> CaseRecord:
    return CaseRecord(case_key=key, patient_key="p", decision_time=DECISION, label=1, evidence={"note": findings})


def _prepare(root: Path, cases: Sequence[CaseRecord], recipe: Recipe = RECIPE) -> PreparedCases:
    return prepare_cases(cases, {"r": root}, recipe)


def test_the_latest_is_taken_or_the_first_as_the_task_says(root: Path) -> None:
    case = _case(_piece("old", 20), _piece("new", 3))
    latest, first = _prepare(root, [case]), _prepare(root, [case], Recipe({"note": NOTE}, "first"))
    np.testing.assert_array_equal(latest.x["note"][0], NOTE(NoteText("worse tonight")).x)
    np.testing.assert_array_equal(first.x["note"][0], NOTE(NoteText("calm and alert")).x)
    assert (latest.time_h[0, 0], first.time_h[0, 0]) == (3.0, 20.0)


def test_one_bad_piece_falls_back_to_the_next_older_one(root: Path) -> None:
    made = _prepare(root, [_case(_piece("old", 20), _piece("bad", 3))])
    np.testing.assert_array_equal(made.x["note"][0], NOTE(NoteText("calm and alert")).x)
    assert made.outcomes[0]["note"].no is None
    assert made.time_h[0, 0] == 20.0
    (flag,) = (flag for flag in made.outcomes[0]["note"].flags if flag.code == "case.passed_over")
    assert flag.why == "1 that came first could not be used: The file is empty (note.empty)"


def test_bad_pieces_alone_are_rejected_with_code_reason_and_mend(root: Path) -> None:
    made = _prepare(root, [_case(_piece("bad")), _case(_piece("gone"))])
    assert not made.present.any()
    codes = []
    for outcome in made.outcomes:
        no = outcome["note"].no
        assert isinstance(no, Rejected)
        assert no.why
        assert no.mend
        codes.append(no.code)
    assert codes == ["note.empty", "file.gone"]


def test_our_own_fault_is_failed_stops_nobody_and_tells_nothing_of_the_patient(root: Path) -> None:
    made = _prepare(root, [_case(_piece("break")), _case(_piece("old"))], Recipe({"note": Moody({"places": 64})}))
    no = made.outcomes[0]["note"].no
    assert isinstance(no, Failed)
    assert no.why == "ZeroDivisionError in note"
    assert made.present[:, 0].tolist() == [False, True]


def test_evidence_that_holds_nothing_known_is_absent(root: Path) -> None:
    moody = Recipe({"note": Moody({"places": 64})})
    made = _prepare(root, [_case(_piece("unknown")), _case(_piece("old", 20), _piece("unknown", 3))], moody)
    assert isinstance(made.outcomes[0]["note"].no, Absent)
    assert made.present[:, 0].tolist() == [False, True]


@pytest.mark.parametrize(("piece", "kind"), [("bad", Rejected), ("break", Failed)])
def test_an_older_piece_that_holds_nothing_hides_no_reason(piece: str, kind: type, root: Path) -> None:
    made = _prepare(root, [_case(_piece("unknown", 20), _piece(piece, 3))], Recipe({"note": Moody({"places": 64})}))
    assert isinstance(made.outcomes[0]["note"].no, kind)


def test_what_the_cohort_refused_stays_refused(root: Path) -> None:
    refused = Rejected(modality="note", code="time.after_decision", why="Later than the decision")
    made = _prepare(root, [_case(refused), _case(), _case(refused, _piece("old"))])
    assert [made.outcomes[k]["note"].no for k in range(3)] == [refused, Absent(modality="note"), None]


def test_flags_of_reading_and_preparing_go_with_the_piece_that_was_used(root: Path) -> None:
    piece = _piece("old", None).model_copy(update={"flags": (SEEN,)})
    made = _prepare(root, [_case(piece)])
    assert made.outcomes[0]["note"].flags == (SEEN,)
    assert np.isnan(made.time_h[0, 0])


def test_rows_stand_where_the_cases_stand(root: Path) -> None:
    cases = [_case(), _case(_piece("old")), _case(_piece("bad")), _case(_piece("new"))]
    made = _prepare(root, cases)
    assert made.row["note"].tolist() == [-1, 0, -1, 1]
    assert made.patterns() == [(), ("note",), (), ("note",)]
    assert np.isnan(made.plain["note"][[0, 2]]).all()
    np.testing.assert_array_equal(made.plain["note"][[1, 3]], made.x["note"])
    order = [3, 0, 2, 1]
    turned = _prepare(root, [cases[k] for k in order])
    np.testing.assert_array_equal(turned.plain["note"], made.plain["note"][order])
    nobody = _prepare(root, [])
    assert nobody.x["note"].shape == (0, 64)
    assert len(nobody) == 0


def test_with_a_cache_and_without_rows_are_the_same(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents, "SETTLED_NS", 0)
    cases, cache = [_case(_piece("old")), _case(_piece("bad")), _case(_piece("new"))], PrepCache(tmp_path / "cache")
    runs = [prepare_cases(cases, {"r": root}, RECIPE, cache=c) for c in (None, cache, cache)]
    assert len(list((tmp_path / "cache").rglob("*.prepared"))) == 2
    for run in runs[1:]:
        np.testing.assert_array_equal(run.plain["note"], runs[0].plain["note"])
        assert run.outcomes == runs[0].outcomes


def test_a_second_visit_starts_no_process(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "SETTLED_NS", 0)
    monkeypatch.setattr(batch, "POOL_FROM", 2)
    cases, cache = [_case(_piece(name)) for name in ("old", "new", "break")], PrepCache(tmp_path / "cache")
    first = _rows(prepare_cases(cases, {"r": root}, RECIPE, cache=cache))
    monkeypatch.setattr(batch, "ProcessPoolExecutor", None)
    assert _rows(prepare_cases(cases, {"r": root}, RECIPE, cache=cache, workers=2)) == first
    (root / "new.txt").write_text("other tonight")
    no = prepare_cases(cases, {"r": root}, RECIPE, cache=cache, workers=2).outcomes[1]["note"].no
    assert isinstance(no, Rejected)
    assert no.code == "file.changed"


def _rows(made: PreparedCases) -> tuple[bytes, str]:
    return made.x["note"].tobytes(), str(made.outcomes)


def test_what_changed_after_ingest_is_rejected_by_name(root: Path, tmp_path: Path) -> None:
    (root / "old.txt").write_text("calm but alert")
    run = prepare_cases([_case(_piece("old"))], {"r": root}, RECIPE, cache=PrepCache(tmp_path / "cache"))
    no = run.outcomes[0]["note"].no
    assert isinstance(no, Rejected)
    assert (no.code, no.mend) == ("file.changed", "Run clinic-mm ingest again")


def test_one_worker_and_two_give_the_same_rows(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "POOL_FROM", 2)
    pieces = ("old", "bad", "new", "gone", "unknown")
    cases = [_case(_piece(pieces[k % 5]), key=f"c{k}") for k in range(20)]
    seen: list[tuple[int, int]] = []
    one = prepare_cases(cases, {"r": root}, RECIPE)
    two = prepare_cases(cases, {"r": root}, RECIPE, workers=2, progress=lambda done, of: seen.append((done, of)))
    np.testing.assert_array_equal(one.x["note"], two.x["note"])
    np.testing.assert_array_equal(one.plain["note"], two.plain["note"])
    assert str(one.outcomes) == str(two.outcomes)
    assert seen == [(k + 1, 20) for k in range(20)]


def test_preps_learn_from_the_piece_that_would_be_taken_and_skip_what_cannot_be_read(root: Path) -> None:
    heard: list[tuple[str, datetime | None]] = []

    class Learns(NotePrep):
        learns = True

        def fit(self, signals: object) -> "Learns":
            heard.extend((signal.text, until) for signal, until in signals)  # type: ignore[attr-defined]
            return self

    cases = [_case(_piece("old", 20), _piece("new", 3)), _case(_piece("bad")), _case()]
    fit_preps(cases, {"r": root}, Recipe({"note": Learns({"places": 64})}))
    assert heard == [("worse tonight", None)]


def test_a_case_is_prepared_by_one_thread_of_blas_and_the_caller_keeps_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def threads() -> set[int]:
        return {lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"}

    seen: list[set[int]] = []
    monkeypatch.setattr(batch, "_each_modality", lambda *_: seen.append(threads()))
    case = made.prepared(("record",), 4).cases[0]
    with threadpool_limits(2, user_api="blas"):
        batch.prepare_case(case, roots={}, recipe=made.recipe(("record",)))
        assert threads() == {2}
    assert seen == [{1}]
