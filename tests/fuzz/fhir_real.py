"""Damage the real Synthea bundles, read in place, as `test_fhir` damages small ones."""

import gzip

import orjson

from tests.conftest import DATA
from tests.fuzz.test_fhir import _run


def run(n: int, seed: int) -> dict[str, object]:
    """Damage eight of the smaller bundles in turn."""
    paths = sorted((DATA / "fhir" / "synthea_r4").glob("*.json.gz"), key=lambda path: path.stat().st_size)[:8]
    return _run(n, seed, [orjson.loads(gzip.decompress(path.read_bytes())) for path in paths])
