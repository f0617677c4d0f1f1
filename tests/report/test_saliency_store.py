from pathlib import Path

import numpy as np
import pytest

from clinic_mm.errors import ArtifactError, InputError
from clinic_mm.predict.saliency.result import KINDS, evidence_hash
from clinic_mm.report.saliency_store import belongs, read_saliency, read_skipped, write_saliency, write_skipped
from clinic_mm.report.saliency_words import peak_in_words
from clinic_mm.types import Evidence
from tests.report.saliencies import made_saliency


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_comes_back_and_is_no_pickle(kind: str, tmp_path: Path) -> None:
    made = made_saliency(kind)
    path = write_saliency(made, tmp_path)
    back = read_saliency(tmp_path, "k1", kind)
    assert back is not None
    assert back.told == made.told
    assert back.told.key == made.told.key
    assert set(back.arrays) == set(made.arrays)
    for name, array in made.arrays.items():
        np.testing.assert_allclose(back.arrays[name], array, rtol=1e-6)
    assert path.read_bytes()[8:9] == b"{", "safetensors: a length, then JSON"


def test_nothing_computed_is_none_and_no_error(tmp_path: Path) -> None:
    assert read_saliency(tmp_path / "none", "k1", "xray") is None
    assert read_skipped(tmp_path / "none").empty


@pytest.mark.parametrize("at", [-1, 300, 5])
def test_a_changed_byte_is_found(at: int, tmp_path: Path) -> None:
    path = write_saliency(made_saliency("xray"), tmp_path)
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match="saliency"):
        read_saliency(tmp_path, "k1", "xray")


def test_a_file_under_the_name_of_another_case_is_refused(tmp_path: Path) -> None:
    write_saliency(made_saliency("xray"), tmp_path).rename(tmp_path / "k2.xray.safetensors")
    with pytest.raises(ArtifactError, match="another case"):
        read_saliency(tmp_path, "k2", "xray")


@pytest.mark.parametrize("key", ["../k1", "a/b", ""])
def test_a_key_that_could_lead_out_is_refused(key: str, tmp_path: Path) -> None:
    with pytest.raises(InputError):
        read_saliency(tmp_path, key, "xray")


def test_model_input_class_and_settings_make_the_key() -> None:
    told = made_saliency("xray").told
    others = [told.model_copy(update={name: "b" * 64}) for name in ("model_hash", "evidence_hash", "target")] + [
        told.model_copy(update={"settings": {"stride": 4}})
    ]
    assert len({one.key for one in (told, *others)}) == 5
    assert told.model_copy(update={"asked": 3}).key == told.key


def test_a_saliency_belongs_to_the_study_it_was_made_of() -> None:
    study = Evidence(modality="xray", root="r", paths=("a",), content_hash="c" * 64)
    other = study.model_copy(update={"content_hash": "d" * 64})
    made = made_saliency("xray", evidence=evidence_hash(study))
    assert belongs(made, study)
    assert not belongs(made, other)
    assert not belongs(made_saliency("xray", evidence=""), study.model_copy(update={"content_hash": ""}))


def test_a_reason_goes_once_the_saliency_is_there(tmp_path: Path) -> None:
    rows = [
        {"case_key": key, "modality": "xray", "status": "absent", "code": "", "why": "none given"}
        for key in ("k1", "k2")
    ]
    write_skipped(rows, tmp_path)
    write_skipped([{**rows[0], "status": "failed", "why": "again"}], tmp_path)
    assert read_skipped(tmp_path).set_index("case_key")["why"].to_dict() == {"k1": "again", "k2": "none given"}
    write_saliency(made_saliency("xray"), tmp_path)
    write_skipped([], tmp_path)
    assert read_skipped(tmp_path)["case_key"].to_list() == ["k2"]


def test_the_peak_is_told_as_a_reader_would_say_it() -> None:
    said = {kind: peak_in_words(made_saliency(kind).told) for kind in KINDS}
    assert "row 40, column 90" in said["xray"]
    assert "20 mm left, 4 mm anterior, 60 mm inferior of the middle" in said["ct"]
    assert "theta from 12.5 to 13.5 s, most in F3" in said["eeg"]
    assert all("lowers the log-odds of positive by 1.50" in one for one in said.values())
