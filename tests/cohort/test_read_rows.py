from pathlib import Path
from zoneinfo import ZoneInfo

from clinic_mm.cohort.owned import Place
from clinic_mm.cohort.read_rows import read_rows
from clinic_mm.cohort.spec import SourceSpec
from clinic_mm.sources.record import patient as record
from clinic_mm.types import Rejected
from tests.sources.fhir.fhir_made import bundle, observation


def test_a_folder_of_one_patient_whose_files_name_two_is_refused(tmp_path: Path) -> None:
    for folder, others in (("good", []), ("bad", [observation(subject={"reference": "Patient/p2"})])):
        (tmp_path / folder).mkdir()
        bundle(tmp_path / folder, observation(), *others)
    place = Place(SourceSpec(path=".", patient="folder"), tmp_path, tmp_path, ZoneInfo("UTC"))
    frames, found = read_rows("record", record.read_rows, place, sorted(tmp_path.glob("*/*.json")))
    assert [set(frame["patient_id"]) for frame in frames] == [{"good"}]
    (refused,) = [one.finding for one in found]
    assert isinstance(refused, Rejected)
    assert refused.code == "record.several_patients"
