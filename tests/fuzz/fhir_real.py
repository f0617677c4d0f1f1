"""Damage the real Synthea bundles, read in place, as `test_fhir` damages small ones."""

import gzip
from pathlib import Path
from typing import Any

import orjson

from tests.conftest import DATA
from tests.fuzz.test_fhir import run_on


def run(n: int, seed: int) -> dict[str, object]:
    """Damage eight of the smaller bundles in turn."""
    paths = sorted((DATA / "fhir" / "synthea_r4").glob("*.json.gz"), key=lambda path: path.stat().st_size)[:8]
    return run_on([_bundle(path) for path in paths], n, seed)


def _bundle(path: Path) -> dict[str, Any]:
    """The bundle with references that hold in lines too: `Patient/x` for the address of an entry."""
    raw = gzip.decompress(path.read_bytes())
    for entry in orjson.loads(raw)["entry"]:
        name = f"{entry['resource']['resourceType']}/{entry['resource']['id']}".encode()
        raw = raw.replace(b'"reference": "' + entry["fullUrl"].encode(), b'"reference": "' + name)
    assert b'"reference": "urn:' not in raw
    bundle: dict[str, Any] = orjson.loads(raw)
    return bundle
