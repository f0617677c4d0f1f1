"""The schema files are those of the models, and real instances fit them."""

import json
import tomllib

import jsonschema
import pytest
from pydantic import BaseModel, ValidationError

from clinic_mm.bundle import folder
from clinic_mm.cohort.describe import Description, ModalityCounts, PatternCount, RefusalCount
from clinic_mm.cohort.manifest import CohortInfo
from clinic_mm.deid.record import DeidRecord
from clinic_mm.evaluate.leaks.findings import Checked, Leak, Looked, Shortcut
from clinic_mm.jobs.spec import CacheAt, JobSpec, Selection
from clinic_mm.report.run import Counts, ModelOf, RunInfo
from clinic_mm.schema_files import BORDERS, SUFFIX, schema, schema_files
from clinic_mm.simulate.limit import Limit, PatternLimit
from clinic_mm.types import CaseRecord, Evidence, Failed, Flag, Rejected
from tests.dashboards.test_monitor import state_of, stop
from tests.drafting.made import made_draft
from tests.made import DECISION
from tests.report.predictions import flagged, made_up, rejected

PEOPLE_WRITE = {
    "task": 'target = "ill"\nmodalities = ["ct", "eeg"]\nfolds = 3\n[modality.eeg]\nkind = "eeg"\n[train]\nepochs = 2',
    "cohort_file": 'name = "icu"\nundated = "accept"\n[[source]]\nname = "pacs"\nkind = "dicom"\n'
    '[labels]\npath = "labels.csv"\norigin = 2000-01-01T00:00:00Z\noffset = "day"',
    "mapping": 'layout = "wide"\npatient = "id"\nmissing = [-1, "?"]\n'
    'time = { origin = 2000-01-01T00:00:00Z, offset_days = ["-a", "b"] }\ncolumns.crp = { code = "loinc:1988-5" }',
    "dashboard": 'allowed_hosts = ["reading.example"]\nheads = "heads"\n[sign_in]\nby = ["oidc"]\nhours = 8\n'
    '[oidc.roles]\nreaders = ["reader"]\n[proxy]\nhttps = true',
}
EVIDENCE = Evidence(
    modality="ct", root="r", paths=("a/1.dcm",), acquired_at=DECISION, flags=(Flag(code="a", why="b"),), meta={"n": 3}
)
WE_WRITE: dict[str, BaseModel] = {
    "case": CaseRecord(
        case_key="c",
        patient_key="p",
        decision_time=DECISION,
        label=1,
        evidence={
            "ct": (EVIDENCE, Rejected(modality="ct", code="c", why="w")),
            "eeg": (Failed(modality="eeg", why="w"),),
        },
        covariates={"age": 71.5, "sex": None},
    ),
    "cohort": CohortInfo(
        name="n",
        site_timezone="UTC",
        undated="refuse",
        roots={"r": "/data"},
        counts={"patients": 2},
        files={"evidence.parquet": "0" * 64},
        content_hash="0" * 64,
    ),
    "job": JobSpec(
        run_id="r",
        model="/model",
        model_hash="0" * 64,
        cohort="/cohort",
        cohort_hash="1" * 64,
        selection=Selection(since=DECISION, pattern=("ct", "eeg"), limit=5),
        cache=CacheAt(folder="/cache"),
        created_at=DECISION,
    ),
    "description": Description(
        name="n",
        simulated=True,
        patients=2,
        cases=2,
        left_out=0,
        findings_without_patient=1,
        patterns=(PatternCount(pattern=("ct",), cases=2),),
        modalities=(ModalityCounts(modality="ct", present=2, absent=0, rejected=0, failed=0),),
        refused=(RefusalCount(modality="ct", code="c", findings=1, why="w"),),
        labels={"0": 1, "1": 1},
        first_evidence=DECISION,
        last_evidence=DECISION,
        first_decision=None,
        last_decision=None,
    ),
    "checks": Checked(
        cohort="0" * 64,
        target="ill",
        simulated=True,
        n_cases=2,
        n_patients=2,
        leaks=(Leak(code="c", severity="error", what="w", mend="m", n=1, cases=("c0",)),),
        looked=(Looked(check="c", of=1, found=1),),
        shortcuts=(
            Shortcut(name="view", kind="metadata", read=False, auroc=0.8, low=0.7, high=0.9, n_cases=2, n_patients=2),
        ),
    ),
    "draft": made_draft(),
    "monitor": state_of(stop("modality", "ct")),
    "prediction": made_up(missing=(rejected(),), flags=(flagged(),)),
    "run": RunInfo(
        run_id="r",
        model=ModelOf(path="m", hash="0" * 64, name="m"),
        cohort="c",
        target="ill",
        classes=("a", "b"),
        modalities={"ct": "ct"},
        counts=Counts(done=3),
        finished_at=DECISION,
    ),
    "deidentified": DeidRecord(
        policy="0" * 8, options=("device",), key_check="0" * 16, complete=True, written={"dicom": 3}, refused={"c": 1}
    ),
    "limit": Limit(
        seed=1,
        cases=10,
        modalities=("ct",),
        prevalence=0.3,
        deltas={"ct": 1.0},
        missing="MCAR",
        rate=0.1,
        anchor=None,
        synergy=False,
        synergy_pair=None,
        method="exact",
        draws=5,
        auc_limit=0.76,
        patterns=(PatternLimit(modalities=("ct",), auc_limit=0.76, auc_latent=0.76, share=1.0),),
    ),
}


def test_the_files_are_those_of_the_models() -> None:
    there = {path.name: path.read_bytes() for path in folder("schemas").glob(f"*{SUFFIX}")}
    assert there == schema_files(), "run: python -m clinic_mm.schema_files"


def test_every_border_has_a_sample_here() -> None:
    assert {*PEOPLE_WRITE, *WE_WRITE} == set(BORDERS)


@pytest.mark.parametrize("name", sorted(BORDERS))
def test_a_schema_is_sound_and_closed(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema(name))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**_sample(name), "unheard_of": 1}, schema(name))


@pytest.mark.parametrize("name", sorted(BORDERS))
def test_a_real_instance_fits_its_schema_and_its_model(name: str) -> None:
    sample = _sample(name)
    jsonschema.validate(sample, schema(name))
    BORDERS[name].model.model_validate_json(json.dumps(sample))
    with pytest.raises(ValidationError):
        BORDERS[name].model.model_validate({**sample, "unheard_of": 1})


def _sample(name: str) -> dict[str, object]:
    if name in PEOPLE_WRITE:
        sample: dict[str, object] = json.loads(json.dumps(tomllib.loads(PEOPLE_WRITE[name]), default=str))
        return sample
    return WE_WRITE[name].model_dump(mode="json")
