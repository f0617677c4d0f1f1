"""Streaming gives the cases of `task_cases`, whatever the blocks; the input hash follows the input and nothing else."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clinic_mm.cohort import blocks, stream
from clinic_mm.cohort import describe as described
from clinic_mm.cohort.describe import describe
from clinic_mm.cohort.manifest import EVIDENCE_FILE, Cohort, write_frame
from clinic_mm.cohort.stream import Wanted, case_index, index_hash, stream_cases
from clinic_mm.cohort.task_cases import task_cases
from clinic_mm.errors import InputError, TaskError
from clinic_mm.task import ModalityTask, Task
from clinic_mm.types import CaseRecord, Failed, Rejected
from tests.cohort.written import Found, at, labels_of, seen, write_folder

TASK = Task(target="y", modalities=("ct", "eeg", "record"))
BAD = Rejected(modality="ct", code="ct.missing_slices", why="Slices are missing", root="files", paths=("a",))

patients = st.sampled_from("abcdefgh")
days = st.integers(0, 6).map(float)
findings = st.one_of(
    st.builds(seen, patients, st.sampled_from(["ct", "eeg", "xray"]), st.one_of(st.none(), days)),
    st.tuples(patients, st.sampled_from([BAD, Failed(modality="eeg", why="Ours")])),
)


def _in_order(cases: tuple[CaseRecord, ...]) -> list[CaseRecord]:
    return sorted(cases, key=lambda case: (case.patient_key, case.decision_time or at(0)))


@settings(deadline=None, max_examples=10)
@given(
    st.lists(st.tuples(patients, days), unique=True, max_size=8),
    st.lists(findings, max_size=20),
    st.lists(st.tuples(patients, st.one_of(st.none(), days)), max_size=12),
    st.integers(1, 4),
)
def test_a_stream_is_the_cases_of_the_task(
    due: list[tuple[str, float]], found: list[Found], record: list[tuple[str, float | None]], size: int
) -> None:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream, "BLOCK", size)
        patch.setattr(blocks, "BATCH_ROWS", size)
        cohort = write_folder(Path(folder), labels_of(*((p, d, i % 2) for i, (p, d) in enumerate(due))), found, record)
        cases = _in_order(task_cases(cohort, TASK))
        assert list(stream_cases(cohort, TASK)) == cases
        index = case_index(cohort, TASK)
        assert index["case_key"].tolist() == [case.case_key for case in cases]
        assert index["pattern"].tolist() == ["+".join(case.pattern) for case in cases]
        told = zip(index["input_hash"], ((case.decision_time, str(case.evidence)) for case in cases), strict=True)
        assert len(set(told)) == index["input_hash"].nunique()  # one hash, one input


@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    labels = labels_of(*((p, d, 0) for p in "dbca" for d in (5.0, 1.0)))
    found = [seen(p, m, d) for p in "abc" for m, d in (("ct", 0.5), ("eeg", 3.0))]
    return write_folder(tmp_path / "cohort", labels, found, [("b", 0.0), ("d", 4.0)])


@pytest.mark.parametrize(
    ("wanted", "keep"),
    [
        (Wanted(since=at(2)), lambda case: case.decision_time >= at(2)),
        (Wanted(pattern=("ct",)), lambda case: case.pattern == ("ct",)),
        (Wanted(pattern=("eeg", "ct")), lambda case: case.pattern == ("ct", "eeg")),
        (Wanted(pattern=()), lambda case: not case.pattern),
    ],
)
@pytest.mark.parametrize("limit", [None, 0, 2])
def test_what_is_not_wanted_is_left_out(
    cohort: Cohort,
    wanted: Wanted,
    keep: Callable[[CaseRecord], bool],
    limit: int | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stream, "BLOCK", 2)
    wanted = Wanted(wanted.since, wanted.pattern, limit)
    kept = [case for case in _in_order(task_cases(cohort, TASK)) if keep(case)][:limit]
    assert list(stream_cases(cohort, TASK, wanted)) == kept
    assert case_index(cohort, TASK, wanted)["case_key"].tolist() == [case.case_key for case in kept]


def test_cases_are_found_by_their_keys(cohort: Cohort) -> None:
    some = [case for case in _in_order(task_cases(cohort, TASK)) if case.patient_key in "bd"]
    assert list(stream_cases(cohort, TASK, Wanted(keys={case.case_key for case in some}))) == some


def test_what_cannot_be_wanted_is_refused_before_the_first_case(cohort: Cohort, tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="no modality note"):
        stream_cases(cohort, TASK, Wanted(pattern=("note",)))
    undated = write_folder(tmp_path / "undated", None, [seen("a", "ct", 1.0)])
    assert case_index(undated, TASK)["day"].tolist() == [""]
    with pytest.raises(TaskError, match="no decision time"):
        stream_cases(undated, TASK, Wanted(since=at(0)))


def test_a_pattern_knows_which_of_two_modalities_of_a_kind_is_meant(tmp_path: Path) -> None:
    task = Task(
        target="y",
        modalities=("left", "right"),
        modality={name: ModalityTask(kind="ct") for name in ("left", "right")},
    )
    found = [seen("a", "ct", 0.0, named="left"), seen("b", "ct", 0.0), seen("c", "ct", 0.0, named="other")]
    made = write_folder(tmp_path / "named", labels_of(*((p, 1.0, 0) for p in "abc")), found)
    assert case_index(made, task)["pattern"].tolist() == ["left", "left+right", ""]


def _hash(folder: Path, found: list[Found], *, y: int = 0, due: float = 2.0, **given: object) -> str:
    made = write_folder(folder, labels_of(("a", due, y)), found, **given)  # type: ignore[arg-type]
    return str(case_index(made, TASK)["input_hash"].item())


def test_the_input_hash_follows_the_input_and_neither_the_label_nor_the_place(tmp_path: Path) -> None:
    found = [seen("a", "ct", 1.0)]
    base = _hash(tmp_path / "base", found)
    assert base == _hash(tmp_path / "again", [*found, seen("b", "ct", 1.0), seen("a", "xray", 1.0)], y=1, root="/moved")
    other = {
        "bytes": _hash(tmp_path / "bytes", [seen("a", "ct", 1.0, "d")]),
        "time": _hash(tmp_path / "time", [seen("a", "ct", 1.5)]),
        "due": _hash(tmp_path / "due", found, due=3.0),
        "late": _hash(tmp_path / "late", [seen("a", "ct", 2.5)]),
        "more": _hash(tmp_path / "more", [*found, seen("a", "eeg", 1.0)]),
        "none": _hash(tmp_path / "none", []),
        "record": _hash(tmp_path / "record", found, record=[("a", 1.0)]),
        "undated": _hash(tmp_path / "undated", [seen("a", "ct", None)]),
        "accepted": _hash(tmp_path / "accepted", [seen("a", "ct", None)], more={"undated": "accept"}),
    }
    assert len({base, *other.values()}) == 1 + len(other)


def test_the_index_need_not_be_made_again_while_its_hash_is_the_same(cohort: Cohort, tmp_path: Path) -> None:
    told = index_hash(cohort, TASK)
    same = write_folder(tmp_path / "same", cohort.labels, [], root="/moved")
    assert index_hash(same, TASK) != told
    assert index_hash(cohort, TASK.model_copy(update={"target": "other", "seed": 3})) == told
    assert index_hash(cohort, TASK.model_copy(update={"modalities": ("ct",)})) != told


def test_a_table_that_does_not_lie_by_patient_is_refused(cohort: Cohort) -> None:
    path = cohort.path / EVIDENCE_FILE
    write_frame(pd.read_parquet(path).iloc[::-1], path)
    with pytest.raises(InputError, match="does not lie by patient"):
        list(stream_cases(cohort, TASK))


def test_a_damaged_table_is_no_end_of_the_cases(cohort: Cohort) -> None:
    path = cohort.path / EVIDENCE_FILE
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match="gone or damaged"):
        list(stream_cases(cohort, TASK))


def test_a_description_is_the_same_whatever_the_blocks(cohort: Cohort, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = [("b", BAD), ("", BAD), ("c", Failed(modality="eeg", why="Ours"))]
    made = write_folder(cohort.path, cohort.labels, [*map(seen, "abc", ["ct", "eeg", "ct"], [0.5, 3.0, 9.0]), *bad])
    whole = describe(made, "y")
    assert ("ct", "time.after_decision") in {(one.modality, one.code) for one in whole.refused}
    monkeypatch.setattr(described, "BLOCK", 1)
    monkeypatch.setattr(blocks, "BATCH_ROWS", 1)
    assert describe(made, "y") == whole
