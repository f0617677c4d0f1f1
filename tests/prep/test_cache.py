"""The cache gives back what was put in, never what belongs to another recipe or piece, and a damaged file is a miss."""

import os
from pathlib import Path

import numpy as np
import pytest

from clinic_mm.modalities import table
from clinic_mm.prep.base import Prepared, make_prep
from clinic_mm.prep.cache import PrepCache
from clinic_mm.types import Evidence, Flag
from tests import made

FLAG = Flag(code="a.b", why="Seen – once")


def _evidence(**more: object) -> Evidence:
    return Evidence.model_validate({"modality": "note", "root": "r", "paths": ("a",), "content_hash": "h", **more})


def _ready(kind: str = "note") -> Prepared:
    ready = make_prep(kind, made.TINY[kind])(made.signal(kind), made.DECISION)
    return Prepared(ready.x, ready.plain, (FLAG,))


@pytest.mark.parametrize("kind", sorted(table()))
def test_a_hit_equals_a_miss(kind: str, tmp_path: Path) -> None:
    cache, prep, ready = PrepCache(tmp_path), make_prep(kind, made.TINY[kind]), _ready(kind)
    assert cache.get(_evidence(), prep) is None
    cache.put(_evidence(), prep, ready)
    hit = PrepCache(tmp_path).get(_evidence(), prep)
    assert hit is not None
    np.testing.assert_array_equal(hit.x, ready.x)
    np.testing.assert_array_equal(hit.plain, ready.plain)
    assert (hit.x.dtype, hit.plain.dtype, hit.flags) == (ready.x.dtype, ready.plain.dtype, ready.flags)


def test_another_recipe_version_piece_or_cut_is_never_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, prep = PrepCache(tmp_path), make_prep("note", {"places": 64})
    cache.put(_evidence(), prep, _ready())
    assert cache.get(_evidence(), make_prep("note", {"places": 65})) is None
    assert cache.get(_evidence(content_hash="other"), prep) is None
    assert cache.get(_evidence(locator="row 7"), prep) is None
    assert cache.get(_evidence(until=made.DECISION), prep) is None
    monkeypatch.setattr(type(prep), "version", 2)
    assert cache.get(_evidence(), prep) is None


def test_evidence_without_a_content_hash_is_never_kept(tmp_path: Path) -> None:
    cache, prep = PrepCache(tmp_path), make_prep("note", {"places": 64})
    cache.put(_evidence(content_hash=""), prep, _ready())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["empty", "cut", "no flags", "other file"])
def test_a_damaged_file_is_a_miss_and_is_written_anew(damage: str, tmp_path: Path) -> None:
    cache, prep = PrepCache(tmp_path), make_prep("note", {"places": 64})
    cache.put(_evidence(), prep, _ready())
    (file,) = tmp_path.iterdir()
    content = file.read_bytes()
    told = {
        "empty": b"",
        "cut": content[:-9],
        "no flags": content.replace(b'"code"', b'"c\0de"'),
        "other file": content.replace(b'"plain"', b'"plaim"'),
    }
    assert told[damage] != content
    file.write_bytes(told[damage])
    assert cache.get(_evidence(), prep) is None
    cache.put(_evidence(), prep, _ready())
    assert cache.get(_evidence(), prep) is not None


def test_the_least_recently_used_go_first(tmp_path: Path) -> None:
    cache, prep = PrepCache(tmp_path, most_gb=2000e-9), make_prep("note", {"places": 64})
    for k in range(6):
        cache.put(_evidence(content_hash=str(k)), prep, _ready())
    for age, file in enumerate(sorted(tmp_path.iterdir())):
        os.utime(file, (1e9 - age, 1e9 - age))
    assert cache.get(_evidence(content_hash="0"), prep) is not None  # used just now
    cache.sweep()
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 2000
    assert cache.get(_evidence(content_hash="0"), prep) is not None
    assert len(list(tmp_path.iterdir())) < 6


def test_a_cache_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    cache, prep = PrepCache(tmp_path / "cache"), make_prep("note", {"places": 64})
    cache.folder.rmdir()
    cache.put(_evidence(), prep, _ready())
    assert cache.get(_evidence(), prep) is None
