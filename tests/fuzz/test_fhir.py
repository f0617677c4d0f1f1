"""2,000 damaged FHIR files: each is refused with a code, read as before, or read with a count of what is odd.

Always noticed: another patient, an impossible or unreadable time, a unit of something else than its LOINC code (of
schemas/units.toml) measures, what is no number, a needed element of the wrong type, another version, a status that is
none, resources that come twice or contradict each other. What no reader can notice is counted, by its reason, and
nothing else may change quietly:

- bytes of the text changed where it stays JSON, and a tree changed where it stays FHIR: JSON has no checksum, most
  elements are optional, and nothing contradicts one legal value in place of another.
"""

import gzip
import json
import logging
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import orjson
import pandas as pd
import pytest

from clinic_mm.errors import EvidenceError
from clinic_mm.sources.record import notes
from clinic_mm.sources.record import patient as record
from tests.fuzz.fhir_lies import LIES, anywhere
from tests.fuzz.fhir_seeds import TOKEN, small_bundle
from tests.fuzz.gate import Gate, Verdict, apart, check
from tests.fuzz.mutate import mutate

NOW: Final = datetime(2026, 6, 1, tzinfo=UTC)
BYTES: Final = "bytes: still JSON, and legal (JSON has no checksum)"
TREE: Final = "tree: still FHIR, and legal (most elements are optional)"
Reading = tuple[pd.DataFrame, pd.DataFrame, Counter[str]]
UNNOTICEABLE: Final = frozenset({BYTES, TREE})
FORMS: Final[dict[str, Callable[[Any], bytes]]] = {
    "b.json": orjson.dumps,
    "b.indented.json": lambda bundle: orjson.dumps(bundle, option=orjson.OPT_INDENT_2),
    "b.ndjson": lambda bundle: b"\n".join(orjson.dumps(entry["resource"]) for entry in bundle["entry"]),
    "b.json.gz": lambda bundle: gzip.compress(orjson.dumps(bundle), 1, mtime=0),
}


def read(path: Path) -> Reading:
    """Facts, notes, and what was left out of one file.

    Raises:
        EvidenceError: If nothing of it can be used.
    """
    facts, rejected = record.read_rows([path], UTC, NOW)
    texts, more = notes.read_notes([path], UTC, NOW)
    odd: Counter[str] = Counter()
    for one in (*rejected, *more):
        assert TOKEN not in f"{one.why}{one.mend}{one.code}"
        count = one.why.split()[0]
        odd[one.code] += int(count) if count.isdigit() else 1
    if facts.empty and texts.empty and rejected:
        raise EvidenceError(rejected[0].code, rejected[0].why)
    return facts, texts, odd


def judge(before: Reading, after: Reading, told: str) -> Verdict:
    new = after[2] - before[2]
    if new:
        return "flagged", new.most_common(1)[0][0]
    if told in LIES:
        return "quiet", f"{told}: not noticed"
    same = all(one.equals(other) for one, other in zip(before[:2], after[:2], strict=True))
    return ("equal", "") if same else ("quiet", TREE if told == "tree" else BYTES)


def run(n: int, seed: int) -> dict[str, object]:
    """Damage a small bundle of an invented patient `n` times, in all ways of writing it in turn."""
    return run_on([small_bundle()], n, seed)


def run_on(bundles: list[dict[str, Any]], n: int, seed: int) -> dict[str, object]:
    """The same for any bundles, in turn."""
    before: dict[tuple[int, str], Reading] = {}
    rng, gate, log = np.random.default_rng(seed), Gate(), StringIO()
    logging.basicConfig(stream=log, level=logging.DEBUG, force=True)
    with TemporaryDirectory() as folder:
        for number in range(n):
            bundle, name = bundles[number % len(bundles)], list(FORMS)[number % len(FORMS)]
            told, content = damaged(rng, bundle, name)
            path, key = Path(folder) / name, (number % len(bundles), name)
            if key not in before:
                path.write_bytes(FORMS[name](bundle))
                before[key] = read(path)
            attempt = partial(_attempt, path, content, before[key], told)
            gate.attempt(f"{told}: {name} (number {number})", attempt)
    assert TOKEN not in log.getvalue()
    assert not any(TOKEN in one for one in gate.raw)
    return gate.result()


def _attempt(path: Path, content: bytes, before: Reading, told: str) -> Verdict:
    path.write_bytes(content)
    return judge(before, read(path), told)


def damaged(rng: np.random.Generator, bundle: dict[str, Any], name: str) -> tuple[str, bytes]:
    """What was done, and the file: a third bytes, a third anywhere in the tree, a third aimed lies."""
    chance = rng.random()
    if chance < 1 / 3:
        return mutate(rng, FORMS[name](bundle))
    other = orjson.loads(orjson.dumps(bundle))
    if chance < 2 / 3:
        anywhere(rng, other)
        return "tree", _written(other, name)
    told = str(rng.choice(list(LIES)))
    if name == "b.ndjson" and told in {"other patient", "bundle older than its facts"}:
        told = "other unit"  # lines belong to no bundle
    LIES[told](rng, other)
    return told, _written(other, name)


def _written(bundle: Any, name: str) -> bytes:  # noqa: ANN401 - any JSON by now
    try:
        return FORMS[name](bundle)
    except (KeyError, TypeError):  # no bundle any more, or nested too deep for orjson
        return json.dumps(bundle).encode()


def test_100_damaged_bundles() -> None:
    check(apart("tests.fuzz.test_fhir", 100, 1), 100, UNNOTICEABLE)


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_2000_damaged_bundles() -> None:
    check(apart("tests.fuzz.test_fhir", 2_000, 2, seconds=1100), 2_000, UNNOTICEABLE)


@pytest.mark.realdata
def test_damaged_real_bundles(data: Path) -> None:
    check(apart("tests.fuzz.fhir_real", 16, 3), 16, UNNOTICEABLE)


@pytest.mark.long
@pytest.mark.realdata
@pytest.mark.timeout(1200)
def test_500_damaged_real_bundles(data: Path) -> None:
    check(apart("tests.fuzz.fhir_real", 500, 4, seconds=1100), 500, UNNOTICEABLE)
