"""A second visit gives what the first gave, never what belongs to another recipe, piece, code or byte."""

import os
import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from clinic_mm.cohort.gather import gather
from clinic_mm.cohort.load import load_evidence, locate
from clinic_mm.cohort.manifest import write_frame, write_info
from clinic_mm.cohort.noted import note_stamps
from clinic_mm.cohort.spec import SourceSpec
from clinic_mm.errors import EvidenceError, InputError
from clinic_mm.modalities import table
from clinic_mm.prep import cache as room
from clinic_mm.prep.base import Prep, Prepared, make_prep
from clinic_mm.prep.cache import PrepCache, open_cache
from clinic_mm.signals import Signal
from clinic_mm.sources import contents
from clinic_mm.sources.place import content_hash
from clinic_mm.types import Evidence, Flag
from tests import made

FLAG = Flag(code="a.b", why="Seen – once")
TEXTS = {"a.txt": "calm and alert", "b.txt": "warm and dizzy"}


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "SETTLED_NS", 0)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    for name, text in TEXTS.items():
        (folder / name).write_text(text)
    _tick(folder)
    return folder


@pytest.fixture
def visit(root: Path, tmp_path: Path) -> Callable[..., tuple[Prepared, bool]]:
    """Ask for a piece of evidence; what came, and whether it had to be made."""

    def ask(evidence: Evidence, prep: Prep[Signal] | None = None, *, verify: bool = False) -> tuple[Prepared, bool]:
        prep, makings = prep or NOTE, []

        def make() -> Prepared:
            makings.append(1)
            return prep(load_evidence(evidence, {"r": root}, prep.kind), evidence.until)

        got = PrepCache(tmp_path / "cache", verify=verify).prepared(evidence, prep, {"r": root}, make)
        return got, bool(makings)

    return ask


NOTE = make_prep("note", {"places": 64})


def _evidence(root: Path, *names: str, **more: object) -> Evidence:
    paths = names or ("a.txt",)
    given = {"modality": "note", "root": "r", "paths": paths, "content_hash": content_hash([root / n for n in paths])}
    return Evidence.model_validate({**given, **more})


def _tick(folder: Path) -> None:
    """Wait until the file system's clock has gone on."""
    probe = folder.parent / "probe"
    probe.touch()
    before = probe.stat().st_ctime_ns
    while probe.stat().st_ctime_ns == before:
        time.sleep(0.001)
        probe.touch()


def _entries(folder: Path, kind: str = "prepared") -> list[Path]:
    return sorted(folder.rglob(f"*.{kind}"))


@pytest.mark.parametrize("kind", sorted(table()))
@pytest.mark.parametrize("verify", [False, True])
def test_a_hit_equals_a_miss(kind: str, verify: bool, root: Path, tmp_path: Path) -> None:
    prep = make_prep(kind, made.TINY[kind])
    ready = prep(made.signal(kind), made.DECISION)
    ready = Prepared(ready.x, ready.plain, (FLAG,))
    evidence, cache = _evidence(root), PrepCache(tmp_path / "cache", verify=verify)
    first = cache.prepared(evidence, prep, {"r": root}, lambda: ready)
    hit = cache.prepared(evidence, prep, {"r": root}, _never)
    assert first is ready
    np.testing.assert_array_equal(hit.x, ready.x)
    np.testing.assert_array_equal(hit.plain, ready.plain)
    assert (hit.x.dtype, hit.plain.dtype, hit.flags) == (ready.x.dtype, ready.plain.dtype, ready.flags)


def _never() -> Prepared:
    message = "this was to come from the cache"
    raise AssertionError(message)


def test_another_recipe_version_piece_cut_or_code_is_never_served(
    root: Path, visit: Callable[..., tuple[Prepared, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [visit(_evidence(root))[1] for _ in range(2)] == [True, False]
    assert visit(_evidence(root), make_prep("note", {"places": 65}))[1]
    assert visit(_evidence(root, "b.txt"))[1]
    assert visit(_evidence(root, locator="row 7"))[1]
    assert visit(_evidence(root, until=made.DECISION))[1]
    monkeypatch.setattr(room, "code_version", lambda _: "another reader")
    assert visit(_evidence(root))[1]
    monkeypatch.setattr(type(NOTE), "version", 2)
    assert visit(_evidence(root))[1]


def test_another_text_model_in_the_same_folder_is_never_served(
    root: Path, tmp_path: Path, visit: Callable[..., tuple[Prepared, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "weights").write_bytes(b"one")
    monkeypatch.setattr("clinic_mm.prep.note.embedded", lambda text, _: np.full(8, len(text), np.float32))
    prep = make_prep("note", {"places": 8, "text_model": str(model)})
    assert [visit(_evidence(root), prep)[1] for _ in range(2)] == [True, False]
    _tick(root)
    (model / "weights").write_bytes(b"two")
    assert visit(_evidence(root), prep)[1]


def _rewrite(root: Path) -> None:
    before = (root / "a.txt").stat()
    (root / "a.txt").write_text("calm but alert")
    os.utime(root / "a.txt", ns=(before.st_atime_ns, before.st_mtime_ns))


def _replace(root: Path) -> None:
    (root / "new").write_text("calm, no alert")
    shutil.copystat(root / "a.txt", root / "new")
    (root / "new").replace(root / "a.txt")


def _swap(root: Path) -> None:
    for old, new in (("a.txt", "c"), ("b.txt", "a.txt"), ("c", "b.txt")):
        (root / old).rename(root / new)


def _relink(root: Path) -> None:
    (root / "a.txt").unlink()
    (root / "a.txt").symlink_to(root / "b.txt")


CHANGES = {
    "a byte, same size, mtime set back": _rewrite,
    "cut": lambda root: os.truncate(root / "a.txt", 5),
    "another file in its place": _replace,
    "swapped with another": _swap,
    "a link to another": _relink,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
@pytest.mark.parametrize("verify", [False, True])
@pytest.mark.parametrize("visited", [False, True])
def test_what_changed_after_ingest_is_refused(
    change: Callable[[Path], None], verify: bool, visited: bool, root: Path, visit: Callable[..., tuple[Prepared, bool]]
) -> None:
    evidence = _evidence(root)
    if visited:
        visit(evidence)
        visit(_evidence(root, "b.txt"))
        assert not visit(evidence)[1]
    change(root)
    for _ in range(2):
        with pytest.raises(EvidenceError) as refused:
            visit(evidence, verify=verify)
        assert refused.value.code == "file.changed"
        assert "ingest again" in refused.value.mend


def test_a_changed_byte_that_the_file_system_hides_is_found_by_verify(
    root: Path, visit: Callable[..., tuple[Prepared, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (contents, room):
        monkeypatch.setattr(module, "stamp", lambda _: contents.Stamp("0" * 64, settled=True))
    evidence = _evidence(root)
    visit(evidence)
    _rewrite(root)
    assert not visit(evidence)[1]  # what the docs say of such file systems
    with pytest.raises(EvidenceError, match="no longer what ingest read"):
        visit(evidence, verify=True)


@pytest.mark.parametrize("verify", [False, True])
def test_a_touched_moved_or_copied_file_is_the_same_file(
    verify: bool, root: Path, visit: Callable[..., tuple[Prepared, bool]]
) -> None:
    visit(_evidence(root))
    (root / "a.txt").touch()
    _tick(root)
    assert not visit(_evidence(root), verify=verify)[1]
    shutil.copy(root / "a.txt", root / "copy.txt")
    _tick(root)
    assert not visit(_evidence(root, "copy.txt"), verify=verify)[1]


def test_the_order_of_files_matters(root: Path, visit: Callable[..., tuple[Prepared, bool]]) -> None:
    visit(_evidence(root, "a.txt", "b.txt"))
    with pytest.raises(EvidenceError, match="no longer what ingest read"):
        visit(_evidence(root, "a.txt", "b.txt").model_copy(update={"paths": ("b.txt", "a.txt")}))


def test_a_file_that_changes_while_it_is_read_is_refused_and_not_kept(root: Path, tmp_path: Path) -> None:
    cache, evidence = PrepCache(tmp_path / "cache"), _evidence(root)

    def make() -> Prepared:
        _rewrite(root)
        return NOTE(made.signal("note"), None)

    with pytest.raises(EvidenceError, match="while they were read"):
        cache.prepared(evidence, NOTE, {"r": root}, make)
    assert _entries(tmp_path / "cache") == []


def test_a_file_written_just_now_is_used_and_not_yet_kept(
    root: Path, tmp_path: Path, visit: Callable[..., tuple[Prepared, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents, "SETTLED_NS", 60_000_000_000)
    assert [visit(_evidence(root))[1] for _ in range(2)] == [True, True]
    assert list((tmp_path / "cache").rglob("*.*")) == []


def test_evidence_without_a_content_hash_is_never_kept_and_not_verified(
    root: Path, visit: Callable[..., tuple[Prepared, bool]]
) -> None:
    bare = _evidence(root, content_hash="")
    assert [visit(bare)[1] for _ in range(2)] == [True, True]
    with pytest.raises(EvidenceError) as refused:
        visit(bare, verify=True)
    assert refused.value.code == "file.no_hash"


def test_the_cohorts_own_table_must_be_what_ingest_wrote(tmp_path: Path) -> None:
    cohort, cache = tmp_path / "cohort", PrepCache(tmp_path / "cache")
    cohort.mkdir()
    about = {"name": "n", "site_timezone": "UTC", "undated": "accept", "roots": {}, "counts": {}, "timeless": ()}
    rows = made.signal("record").rows.rename(columns={"patient_id": "patient_key"})
    write_frame(rows, cohort / "record.parquet")
    write_info(cohort, about)
    prep, ready = make_prep("record", made.TINY["record"]), Prepared(np.zeros(3, "f"), np.zeros(2, "f"))
    one = Evidence(modality="record", root="cohort", paths=("record.parquet",), locator="p", content_hash="rows")
    for make in (lambda: ready, _never):
        np.testing.assert_array_equal(cache.prepared(one, prep, {"cohort": cohort}, make).x, ready.x)
    _tick(cohort)
    write_frame(rows.assign(value=7.0), cohort / "record.parquet")
    _tick(cohort)
    with pytest.raises(EvidenceError, match="no longer what ingest read"):
        cache.prepared(one, prep, {"cohort": cohort}, _never)
    write_info(cohort, about)  # ingested again: other rows, other hash; the same rows, the same entry
    _tick(cohort)
    cache.prepared(one, prep, {"cohort": cohort}, _never)
    other = one.model_copy(update={"content_hash": "other rows"})
    assert cache.prepared(other, prep, {"cohort": cohort}, lambda: ready) is ready


@pytest.mark.realdata
@pytest.mark.parametrize("place", ["ct/nsclc_LUNG1-001", "ct/totalseg_nifti", "xray_dicom", "eeg/formats"])
def test_what_ingest_notes_of_real_files_is_what_verify_finds(place: str, data: Path) -> None:
    kind = place.split("/")[0].removesuffix("_dicom")
    source = SourceSpec(name="real", path=str(data / place), patient="folder", timeless=True)
    root, gathered = gather(source, data, ZoneInfo("UTC"), frozenset())
    found = [one.finding for one in gathered.found if isinstance(one.finding, Evidence)]
    assert {one.modality for one in found} == {kind}
    for one in found:
        files = locate(one, {"real": root})
        assert contents.Contents(None, verify=True).hold(files, contents.stamp(files), one.content_hash)


def test_without_a_folder_files_are_still_verified(root: Path) -> None:
    check = open_cache(None, verify=True)
    for _ in range(2):
        ready = NOTE(made.signal("note"), None)
        assert check.prepared(_evidence(root), NOTE, {"r": root}, lambda ready=ready: ready) is ready
    _rewrite(root)
    with pytest.raises(EvidenceError, match="no longer what ingest read"):
        check.prepared(_evidence(root, content_hash="0"), NOTE, {"r": root}, _never)


def test_without_cache_and_verify_the_stamps_that_ingest_noted_are_gone_by(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[Sequence[Path]] = []
    monkeypatch.setattr(contents, "content_hash", lambda files: hashed.append(files) or content_hash(files))
    evidence, roots = _evidence(root, "a.txt", "b.txt"), {"r": root, "cohort": tmp_path}
    note_stamps(tmp_path, {"r": str(root)}, [evidence], time.time_ns())

    def look() -> None:
        ready = Prepared(np.zeros(3, "f"), np.zeros(2, "f"))
        assert open_cache(None).prepared(evidence, NOTE, roots, lambda: ready) is ready

    look()
    assert hashed == []
    (root / "a.txt").touch()  # the same bytes: used, but read first
    _tick(root)
    look()
    assert len(hashed) == 1
    (tmp_path / "stamps.npy").write_bytes(b"damaged")
    look()
    assert len(hashed) == 2
    before = (root / "a.txt").stat()
    (root / "a.txt").write_text(TEXTS["a.txt"].replace("calm", "mild"))
    os.utime(root / "a.txt", ns=(before.st_atime_ns, before.st_mtime_ns))
    note_stamps(tmp_path, {"r": str(root)}, [evidence], before.st_ctime_ns)  # changed after ingest began: not noted
    with pytest.raises(EvidenceError, match="no longer what ingest read"):
        look()


def test_names_in_the_cache_tell_nothing(root: Path, tmp_path: Path, visit: Callable[..., object]) -> None:
    (root / "a.txt").rename(root / "DOE_JANE_19500101.txt")
    _tick(root)
    visit(_evidence(root, "DOE_JANE_19500101.txt"))
    for file in (tmp_path / "cache").rglob("*"):
        assert "DOE" not in file.name
        assert file.is_dir() or b"DOE" not in file.read_bytes()
    assert len(_entries(tmp_path / "cache")) == len(_entries(tmp_path / "cache", "content")) == 1
    assert (tmp_path / "cache").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("kind", ["prepared", "content"])
@pytest.mark.parametrize("damage", ["empty", "cut", "a bit", "another's"])
def test_a_damaged_file_is_a_miss_and_is_written_anew(
    kind: str, damage: str, root: Path, tmp_path: Path, visit: Callable[..., tuple[Prepared, bool]]
) -> None:
    first, _ = visit(_evidence(root))
    visit(_evidence(root, "b.txt"))
    files = _entries(tmp_path / "cache", kind)
    wholes = [file.read_bytes() for file in files]
    for file, whole, other in zip(files, wholes, wholes[::-1], strict=True):
        bit = whole[:-20] + bytes([whole[-20] ^ 1]) + whole[-19:]
        file.write_bytes({"empty": b"", "cut": whole[:-9], "a bit": bit, "another's": other}[damage])
    again, made_again = visit(_evidence(root))
    np.testing.assert_array_equal(again.x, first.x)
    assert made_again == (kind == "prepared")
    assert not visit(_evidence(root))[1]


def test_the_least_recently_used_go_first_and_only_ours(root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    cache = PrepCache(folder, most_gb=20_000e-9)
    mine = folder / "model.safetensors"
    mine.write_bytes(bytes(50_000))
    (folder / "ab").mkdir(exist_ok=True)
    (folder / "ab" / "note.txt").write_bytes(bytes(50_000))
    stale = folder / "ab" / f"{'0' * 64}.prepared.0f.part"
    stale.write_bytes(b"half")
    os.utime(stale, (1e9, 1e9))
    pieces = [_evidence(root, locator=str(k)) for k in range(8)]
    for age, piece in enumerate(pieces):
        cache.prepared(piece, NOTE, {"r": root}, lambda: NOTE(made.signal("note"), None))
        for file in _entries(folder) + _entries(folder, "content"):
            if file.stat().st_mtime > 1.1e9:
                os.utime(file, (1e9 + age, 1e9 + age))
        cache.prepared(pieces[0], NOTE, {"r": root}, _never)  # used just now, always
    assert sum(-(-f.stat().st_size // 4096) * 4096 for f in (*_entries(folder), *_entries(folder, "content"))) <= 20_000
    PrepCache(folder, most_gb=9000e-9)
    assert len(_entries(folder)) == len(_entries(folder, "content")) == 1
    cache.prepared(pieces[0], NOTE, {"r": root}, _never)
    assert mine.stat().st_size == (folder / "ab" / "note.txt").stat().st_size == 50_000
    assert not stale.exists()


def test_many_writers_and_sweepers_at_once_lose_nothing_but_time(root: Path, tmp_path: Path) -> None:
    ready = {places: make_prep("note", {"places": places}) for places in range(64, 72)}

    def work(k: int) -> bool:
        prep = ready[64 + k % 8]
        cache = PrepCache(tmp_path / "cache", most_gb=30_000e-9)
        got = cache.prepared(_evidence(root), prep, {"r": root}, lambda: prep(made.signal("note"), None))
        return np.array_equal(got.x, prep(made.signal("note"), None).x)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(200)))
    assert not list((tmp_path / "cache").rglob("*.part"))


def test_a_cache_that_cannot_be_written_stops_nothing(root: Path, tmp_path: Path) -> None:
    cache = PrepCache(tmp_path / "cache")
    shutil.rmtree(tmp_path / "cache")
    ready = NOTE(made.signal("note"), None)
    for _ in range(2):
        assert cache.prepared(_evidence(root), NOTE, {"r": root}, lambda: ready) is ready
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be made"):
        PrepCache(tmp_path / "file")
