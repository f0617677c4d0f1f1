"""Fifty identifiers in the files themselves reach no log, address, title, cache or store of the reading room."""

import json
import re
from pathlib import Path

import pydicom
import pytest

from clinic_mm.bundle import policy
from clinic_mm.cohort.ingest import ingest
from clinic_mm.cohort.manifest import Cohort
from clinic_mm.report.render import SUFFIXES
from clinic_mm.report.run import write_run, write_shard, write_skipped
from clinic_mm.simulate.cohort import write_cohort
from clinic_mm.store.values import ROLES
from clinic_mm.viewing.study import study_id
from tests.dashboards.conftest import _answered, _info
from tests.dashboards.test_server import get
from tests.serving import a_session, serving
from tests.wire import reading

PATIENTS, OF_EACH = 10, 5
PLANTED = [
    f"{'QXVZJ'[kind]}{at:02d}WK{kind * 7919 + at * 104729:09d}"[:14] for at in range(PATIENTS) for kind in range(5)
]
ADDRESS = re.compile(rb'/(?:v1|media|component|_stcore)/[^\s"\\<>]*')


def planted(files: Path) -> None:
    """Give every patient of a simulated cohort an id, a name, a family name, a phone and a folder to be looked for."""
    rows = [PLANTED[at * OF_EACH : (at + 1) * OF_EACH] for at in range(PATIENTS)]
    known = {f"SIM-2026-{at:05d}".encode(): row for at, row in enumerate(rows)}
    anybody = re.compile(b"|".join(known))
    for path in [path for path in files.rglob("*") if path.is_file() and path.suffix not in {".toml", ".json"}]:
        whole = path.read_bytes()
        who = anybody.search(whole)
        if who is None:
            continue
        _, name, _, _, folder = known[who[0]]
        whole = anybody.sub(lambda found: known[found[0]][0].encode(), whole)
        if path.suffix == ".edf":
            whole = whole.replace(b"SIMULATED_CASE", name.encode(), 1)
        if path.suffix == ".ndjson":
            whole = b"".join(_in_fhir(line, rows) for line in whole.splitlines())
        path.write_bytes(whole)
        if files / "dicom" in path.parents:
            _in_dicom(path, known[who[0]], files / "dicom" / folder / path.parent.name / path.name)


def _in_dicom(path: Path, row: list[str], to: Path) -> None:
    one = pydicom.dcmread(path)
    one.PatientName = one.ReferringPhysicianName = one.InstitutionName = one.AccessionNumber = row[1]
    one.PatientTelephoneNumbers, one.PatientComments = row[3], f"{row[2]} {row[3]}"
    path.unlink()
    to.parent.mkdir(parents=True, exist_ok=True)
    one.save_as(to)


def _in_fhir(line: bytes, rows: list[list[str]]) -> bytes:
    one = json.loads(line)
    if one["resourceType"] == "Patient":
        (row,) = (row for row in rows if row[0] == one["id"])
        one |= {"name": [{"family": row[2]}], "telecom": [{"system": "phone", "value": row[3]}]}
    return json.dumps(one).encode() + b"\n"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Cohort]:
    base = tmp_path_factory.mktemp("planted")
    write_cohort(base / "files", cases=PATIENTS, seed=2026, rate=0.0)  # the seed stands in the ids
    planted(base / "files")
    cohort = ingest(base / "files", base / "cohort", key=base / "key")
    run = base / "run"
    answers = [_answered(case, abstained="") for case in cohort.cases()]
    write_shard(answers, run / "shards" / "part-00000.parquet")
    write_skipped([], run)
    write_run(_info(len(answers)), run)
    whole = b"".join(path.read_bytes() for path in (base / "files").rglob("*") if path.is_file())
    places = whole + "\n".join(map(str, (base / "files").rglob("*"))).encode()
    assert [one for one in PLANTED if one.encode() in places] == PLANTED
    return run, cohort


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_fifty_identifiers_of_the_files_reach_no_log_address_title_cache_or_store(
    run: tuple[Path, Cohort], tmp_path: Path
) -> None:
    folder, cohort = run
    sent, headers = [], []
    with serving(folder, tmp_path / "room", tmp_path / "log") as served:
        token = a_session(served.home, "everything", ROLES)
        cases = cohort.cases()
        lost = cases[0].usable("xray") or cases[0].usable("ct")
        for path in lost[0].paths:  # what its reader says of it
            (cohort.roots[lost[0].root] / path).unlink()
        with reading(served, token) as page:
            for name in policy("roles")["pages"]:
                sent.append(page.asks(name))
            for case in cases:
                sent.append(page.asks("case", f"case={case.case_key}"))
                sent.append(page.presses("Begin"))
                page.sets("It is", run=False, string_value="positive")
                page.sets("How sure", run=False, string_value="Sure")
                sent += [page.presses("Commit"), page.presses("Accept"), page.presses("Sign: ")]
                asked = [f"/v1/case/{case.case_key}/report/{one}" for one in SUFFIXES]
                for kind, ways in {"ct": ("header", "axial/0"), "xray": ("header", "pixels"), "eeg": ("",)}.items():
                    studies = [f"/v1/case/{case.case_key}/{kind}/{study_id(one)}" for one in case.usable(kind)]
                    asked += [f"{study}/{way}".rstrip("/") for study in studies for way in ways]
                for path in asked:
                    _, body, told = get(served, path, token)
                    headers.append(str(told))
                    sent.append(body if path.endswith(("header", "fhir", "sr", "html", "text")) else b"")
    everything = b"\n".join(sent)
    addresses = b"\n".join(ADDRESS.findall(everything))
    room = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(room) > 5
    assert b"/v1/case/" in addresses
    places = {
        "log": (tmp_path / "log").read_bytes(),
        "addresses": addresses,
        "headers": "\n".join(headers).encode(),
        "names of what is kept": "\n".join(str(path.relative_to(tmp_path)) for path in room).encode(),
        "what is kept": b"\n".join(path.read_bytes() for path in room),
        "pages and reports": everything,
    }
    found = {(place, one) for place, whole in places.items() for one in PLANTED if one.encode() in whole}
    assert found == set()
