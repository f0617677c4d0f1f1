import json
from pathlib import Path

import pytest

from clinic_mm.errors import ArtifactError, InputError
from clinic_mm.report.run import (
    SKIPPED_COLUMNS,
    ModelOf,
    RunInfo,
    open_run,
    write_reports,
    write_run,
    write_shard,
    write_skipped,
)
from tests.report.predictions import made_up, rejected

INFO = RunInfo(
    run_id="r1",
    model=ModelOf(path="model", hash="a" * 64, name="demo"),
    cohort="cohort",
    target="disease",
    classes=("negative", "positive"),
    modalities={"ct": "ct", "eeg": "eeg", "record": "record"},
    simulated=True,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    some = [made_up(f"c{index}", missing=(rejected(),)) for index in range(3)]
    write_shard(some[:2], tmp_path / "shards" / "part-00000.parquet", {"c0": 1})
    write_shard(some[2:], tmp_path / "shards" / "part-00001.parquet")
    write_run(INFO, tmp_path)
    return tmp_path


def test_what_was_written_is_read_to_the_bit(folder: Path) -> None:
    run = open_run(folder)
    assert run.info == INFO
    assert run.prediction("c2") == made_up("c2", missing=(rejected(),))
    assert run.prediction("c2").content_hash == made_up("c2", missing=(rejected(),)).content_hash


def test_the_worklist_holds_every_case_once_and_no_prediction(folder: Path) -> None:
    frame = open_run(folder).worklist()
    assert list(frame["case_key"]) == ["c0", "c1", "c2"]
    assert "prediction" not in frame
    assert list(frame["label"].isna()) == [False, True, True]
    assert frame["missing"].iloc[0] == "xray:rejected"


def test_what_a_killed_run_left_is_not_read(folder: Path) -> None:
    (folder / "shards" / ".part-00002.parquet.77.tmp").write_bytes(b"PAR1 half")
    assert len(open_run(folder).worklist()) == 3


def test_a_case_that_was_answered_again_is_read_as_it_was_answered_last(folder: Path) -> None:
    again = made_up("c0", missing=()).model_copy(update={"decision": "another"})
    write_shard([again], folder / "shards" / "day=2026-03-02" / "part-00007.parquet")
    write_run(INFO.model_copy(update={"finished_at": None}), folder)
    run = open_run(folder)
    assert run.prediction("c0") == again
    assert [p.case_key for p in run.predictions()] == ["c1", "c2", "c0"]
    assert list(run.worklist()["case_key"]) == ["c1", "c2", "c0"]
    assert run.worklist()["decision"].iloc[-1] == "another"


def test_a_run_without_cases_has_an_empty_worklist(tmp_path: Path) -> None:
    write_run(INFO, tmp_path)
    assert open_run(tmp_path).worklist().empty
    assert open_run(tmp_path).skipped().empty


def test_skipped_cases_keep_their_reason_as_text(folder: Path) -> None:
    write_skipped([{"case_key": "c9", "status": "skipped", "modality": "", "code": "", "why": "nothing, NA"}], folder)
    row = open_run(folder).skipped().iloc[0]
    assert (row["why"], row["modality"]) == ("nothing, NA", "")


@pytest.mark.parametrize("version", ["2.0", "", None, "banana"])
def test_an_unknown_major_version_is_refused_with_the_mend(folder: Path, version: object) -> None:
    given = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**given, "schema_version": version}))
    with pytest.raises(ArtifactError, match="screen again"):
        open_run(folder)


@pytest.mark.parametrize("content", ["", "[]", "{", '{"schema_version": "1.0"}', "\x00"])
def test_a_damaged_run_file_is_an_artifact_error(folder: Path, content: str) -> None:
    (folder / "run.json").write_text(content)
    with pytest.raises(ArtifactError):
        open_run(folder)


def test_a_folder_that_is_no_run_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="clinic-mm screen"):
        open_run(tmp_path)


def test_a_damaged_shard_is_an_artifact_error(folder: Path) -> None:
    (folder / "shards" / "part-00000.parquet").write_bytes(b"not parquet")
    with pytest.raises(ArtifactError, match="part-00000"):
        open_run(folder).worklist()


@pytest.mark.parametrize("key", ["../up", "a/b", "", ".", "..", "c0\n", "ä"])
def test_no_key_leads_out_of_the_folder(folder: Path, key: str) -> None:
    with pytest.raises(InputError):
        open_run(folder).report_path(key)
    with pytest.raises(InputError):
        write_reports({key: b"{}"}, folder)


def test_an_unknown_case_is_an_input_error(folder: Path) -> None:
    with pytest.raises(InputError, match="no such case"):
        open_run(folder).prediction("c77")


def test_a_skipped_case_is_answered_with_its_reason(folder: Path) -> None:
    row = dict(zip(SKIPPED_COLUMNS, ("c88", "rejected", "ct", "ct.tilt", "The gantry was tilted"), strict=True))
    write_skipped([row], folder)
    with pytest.raises(InputError, match=r"skipped.*tilted"):
        open_run(folder).prediction("c88")
