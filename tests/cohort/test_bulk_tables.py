"""MEDS events and OMOP tables on the whole path: found by content, ingested, described, summarised."""

from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from clinic_mm.cohort.describe import as_text, describe
from clinic_mm.cohort.ingest import ingest
from clinic_mm.cohort.load import load_evidence
from clinic_mm.cohort.manifest import REJECTED_FILE, Cohort, read_rejected
from clinic_mm.cohort.one_case import case_from_paths
from clinic_mm.errors import TaskError
from clinic_mm.prep.record import RecordPrep
from clinic_mm.signals import PatientRecord
from clinic_mm.task import ModalityTask
from clinic_mm.types import Rejected
from tests.sources.tables.omop_made import write_cdm

SPEC = """
site_timezone = "Europe/Berlin"
[[source]]
path = "{path}"
kind = "{kind}"
[labels]
path = "{labels}"
patient = "person_id"
"""


def joined(spec: Path, out: Path) -> Cohort:
    return ingest(spec, out / "cohort", key=out / "key")


def records(cohort: Cohort) -> list[PatientRecord]:
    found = [e for case in cohort.cases() for e in case.usable("record")]
    signals = [load_evidence(one, cohort.roots) for one in found]
    assert all(isinstance(one, PatientRecord) for one in signals)
    return [one for one in signals if isinstance(one, PatientRecord)]


def test_an_omop_folder_becomes_a_cohort_and_a_feature_table(tmp_path: Path) -> None:
    cohort = joined(write_cdm(tmp_path / "cdm"), tmp_path)
    assert cohort.info.counts["record_rows"] == 18
    assert cohort.info.counts["note_rows"] == 1
    told = as_text(describe(cohort))
    assert "1  note + record" in told
    assert "1  record\n" in told  # the third person has nothing but a birth date
    known = [(one, None) for one in records(cohort)]
    prep = RecordPrep.plan("tiny", ModalityTask(kind="record", summaries=("trend", "range"))).fit(known)
    ill = next(one for one, _ in known if (one.rows["code"] == "loinc:718-7").any())
    cells = dict(zip(prep.plain_names, prep(ill).plain.tolist(), strict=True))
    assert cells["loinc:718-7 g/dL last"] == pytest.approx(11.8)
    assert cells["loinc:718-7 g/dL trend /d"] == pytest.approx(-0.7 / (38.5 - 1 / 3600) * 24, rel=1e-4)
    assert np.isnan(cells["loinc:718-7 g/dL to range"])  # the last result came without a range


def test_what_came_after_the_decision_is_not_in_the_record(tmp_path: Path) -> None:
    """The diagnosis of the stay, coded at its end, is the label's twin: at the second day nobody knows it."""
    write_cdm(tmp_path / "cdm")
    labels = pd.DataFrame({"person_id": [1], "decision_time": ["2020-01-03T08:00:00"], "died": [1]})
    labels.to_csv(tmp_path / "labels.csv", index=False)
    spec = SPEC.format(path="cdm", kind="omop", labels="labels.csv")
    (tmp_path / "cohort.toml").write_text(spec, encoding="utf-8")
    (record,) = records(joined(tmp_path / "cohort.toml", tmp_path))
    codes = set(record.rows["code"])
    assert "snomed:22298006" in codes  # of admission
    assert "snomed:233604007" not in codes


@pytest.mark.realdata
def test_the_mimic_demo_is_found_by_content_beside_tables_that_need_a_mapping(tmp_path: Path, data: Path) -> None:
    cohort = joined(data / "tabular" / "mimic_iv_demo", tmp_path)
    assert (cohort.info.counts["patients"], cohort.info.counts["failed"]) == (75, 0)
    refused = read_rejected(cohort.path / REJECTED_FILE)
    assert (refused["code"] == "table.no_mapping").sum() == 15
    assert not refused[refused["code"] == "table.no_mapping"]["path"].str.contains("meds_events").any()


@pytest.mark.realdata
def test_a_native_table_of_mimic_is_read_by_a_mapping(tmp_path: Path, data: Path) -> None:
    folder = data / "tabular" / "mimic_iv_demo"
    spec = f"""
[[source]]
name = "urine"
path = "{folder}/outputevents.csv.gz"
[source.mapping]
layout = "long"
patient = "subject_id"
code = "itemid"
value = "value"
unit = "valueuom"
time = "charttime"
"""
    (tmp_path / "cohort.toml").write_text(spec, encoding="utf-8")
    cohort = joined(tmp_path / "cohort.toml", tmp_path)
    mapped = cohort.rows("record").groupby("code")["value"].agg(["size", "sum"])
    events = pd.read_parquet(folder / "meds_events.parquet").query("code.str.startswith('SUBJECT_FLUID_OUTPUT')")
    meds = events.assign(item=events["code"].str.split("//").str[1]).groupby("item")["value"].agg(["size", "sum"])
    np.testing.assert_allclose(mapped.loc[meds.index].to_numpy(), meds.to_numpy(), rtol=1e-6)


@pytest.mark.parametrize(("kind", "refused"), [("meds", 11), ("omop", 1)])
def test_a_named_kind_of_table_takes_that_kind_alone(tmp_path: Path, kind: str, refused: int) -> None:
    write_cdm(tmp_path / "both")
    events = pd.DataFrame({"subject_id": [1], "time": pd.to_datetime(["2020-01-01T10:00"]), "code": ["LAB//1//g"],
                           "numeric_value": [1.5]})  # fmt: skip
    events.to_parquet(tmp_path / "both" / "events.parquet", index=False)
    pd.DataFrame({"person_id": [1], "decision_time": ["2020-01-03"]}).to_csv(tmp_path / "l.csv", index=False)
    spec = SPEC.format(path="both", kind=kind, labels="l.csv")
    (tmp_path / "cohort.toml").write_text(spec, encoding="utf-8")
    cohort = joined(tmp_path / "cohort.toml", tmp_path)
    codes = read_rejected(cohort.path / REJECTED_FILE)["code"]
    assert (codes == "table.no_mapping").sum() == refused
    assert (set(cohort.rows("record")["code"]) == {"meds:LAB//1"}) == (kind == "meds")


def test_a_kind_that_needs_no_mapping_takes_none(tmp_path: Path) -> None:
    text = '[[source]]\nkind = "omop"\nmapping = { layout = "wide", patient = "p", columns = "all" }\n'
    (tmp_path / "cohort.toml").write_text(text, encoding="utf-8")
    with pytest.raises(TaskError, match="mapping of their own"):
        joined(tmp_path / "cohort.toml", tmp_path)


def test_a_corrupt_person_table_costs_its_cdm_with_a_reason(tmp_path: Path) -> None:
    write_cdm(tmp_path / "cdm")
    (tmp_path / "cdm" / "person.csv").write_bytes(b'person_id,gender_concept_id\n1,"unclosed')
    cohort = ingest(tmp_path / "cdm", tmp_path / "cohort", key=tmp_path / "key")
    refused = read_rejected(cohort.path / REJECTED_FILE)
    assert refused["code"].tolist() == ["omop.no_persons"]
    assert cohort.info.counts["record_rows"] == 0


def test_two_cdms_of_one_source_are_refused_since_person_1_may_be_two_people(tmp_path: Path) -> None:
    write_cdm(tmp_path / "in" / "a")
    write_cdm(tmp_path / "in" / "b")
    cohort = ingest(tmp_path / "in", tmp_path / "cohort", key=tmp_path / "key")
    assert read_rejected(cohort.path / REJECTED_FILE)["code"].tolist() == ["omop.several"] * 2
    assert cohort.info.counts["record_rows"] == 0


def test_tables_are_no_single_case(tmp_path: Path) -> None:
    case, _ = case_from_paths({"record": [write_cdm(tmp_path / "cdm")]}, zone=ZoneInfo("UTC"))
    last = case.evidence["record"][-1]
    assert isinstance(last, Rejected)
    assert last.code in {"case.table", "case.several_patients"}
