"""However resources are written, the rows are the same; and they are what a plain reading of the JSON finds."""

import gzip
import math
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from typing import Any

import orjson
import pandas as pd
import pytest

from clinic_mm.sources.fhir import json_files as fhir_json
from clinic_mm.sources.record import patient as record
from clinic_mm.times import parse_iso
from tests.sources.fhir.fhir_made import PATIENT, observation


def values_of(resource: dict[str, Any]) -> Iterator[tuple[str, str, float, str, pd.Timestamp]]:
    """Quantities of an Observation, read in the plainest way."""
    at = max(parse_iso(resource["effectiveDateTime"]), parse_iso(resource["issued"]))  # type: ignore[type-var]
    for part in (resource, *resource.get("component", ())):
        if quantity := part.get("valueQuantity"):
            code = f"loinc:{part['code']['coding'][0]['code']}"
            yield resource["id"], code, quantity["value"], quantity["code"], pd.Timestamp(at)


@pytest.mark.realdata
def test_real_results_have_the_values_units_and_times_of_their_json(data: Path) -> None:
    files = sorted((data / "fhir" / "synthea_r4").glob("*.json.gz"))[:12]
    rows, _ = record.read_rows(files, UTC)
    entries = [e for path in files for e in orjson.loads(gzip.decompress(path.read_bytes()))["entry"]]
    observed = [e["resource"] for e in entries if e["resource"]["resourceType"] == "Observation"]
    told = {(i, code): (value, unit, at) for one in observed for i, code, value, unit, at in values_of(one)}
    measured = rows[rows["value"].notna()]
    assert len(measured) > 0.98 * len(told)
    for row in measured.itertuples():
        value, unit, at = told[row.source_id, row.code]
        assert math.isclose(row.value, value, rel_tol=1e-12)
        assert (row.unit, row.time) == (unit if unit != "{T-score}" else row.unit, at)


@pytest.mark.realdata
def test_a_bundle_and_the_lines_of_its_resources_give_the_same_rows(data: Path, tmp_path: Path) -> None:
    path = next((data / "fhir" / "synthea_r4").glob("Tiera*.json.gz"))
    raw = gzip.decompress(path.read_bytes())
    for entry in orjson.loads(raw)["entry"]:
        name = f"{entry['resource']['resourceType']}/{entry['resource']['id']}"
        raw = raw.replace(f'"reference": "{entry["fullUrl"]}"'.encode(), f'"reference": "{name}"'.encode())
    lines = tmp_path / "all.ndjson"
    lines.write_bytes(b"".join(orjson.dumps(e["resource"]) + b"\n" for e in orjson.loads(raw)["entry"]))
    whole, rejected = record.read_rows([path], UTC)
    again, also = record.read_rows([lines], UTC)
    pd.testing.assert_frame_equal(whole, again)
    assert [one.code for one in rejected] == [one.code for one in also]


@pytest.mark.parametrize("block", [1, 7, 64, 1000, 1 << 20])
def test_lines_are_the_same_wherever_the_file_is_cut_into_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    given = [PATIENT, *(observation(id=f"o{i}", valueInteger=i, valueQuantity=None) for i in range(30))]
    for name, pack in (("a.ndjson", bytes), ("a.ndjson.gz", gzip.compress)):
        (tmp_path / name).write_bytes(pack(b"\r\n".join(orjson.dumps(one) for one in given)))
        monkeypatch.setattr(fhir_json, "BLOCK_BYTES", block)
        rows, rejected = record.read_rows([tmp_path / name], UTC)
        assert (rows["value"].dropna().tolist(), rejected) == ([float(i) for i in range(30)], [])


def test_the_order_of_files_and_of_resources_changes_no_row(tmp_path: Path) -> None:
    given = [observation(id=f"o{i}", effectiveDateTime=f"2023-05-{i + 1:02}") for i in range(9)]
    for number, one in enumerate([PATIENT, *given]):
        (tmp_path / f"{number}.json").write_bytes(orjson.dumps(one))
    files = sorted(tmp_path.glob("*.json"))
    there, _ = record.read_rows(files, UTC)
    back, _ = record.read_rows(files[::-1], UTC)
    pd.testing.assert_frame_equal(there, back)
