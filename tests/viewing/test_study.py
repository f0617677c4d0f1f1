"""Studies: decoded once however many ask, kept, never another study's; what cannot be read is said to each who asks."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clinic_mm.errors import EvidenceError
from clinic_mm.sources.place import content_hash
from clinic_mm.types import Evidence
from clinic_mm.viewing import study as module
from clinic_mm.viewing.cache import ViewCache
from clinic_mm.viewing.study import Studies, study_id, study_of, view_name


@pytest.fixture
def root(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        Image.fromarray(rng.integers(0, 255, (60, 50)).astype(np.uint8)).save(tmp_path / f"{name}.png")
    return tmp_path


@pytest.fixture
def studies(tmp_path: Path) -> Iterator[Studies]:
    found = Studies(ViewCache(tmp_path / "views", 10**7))
    yield found
    found.close()


def evidence(root: Path, name: str) -> Evidence:
    path = root / f"{name}.png"
    return Evidence(modality="xray", root="r", paths=(path.name,), content_hash=content_hash([path]))


def counted(monkeypatch: pytest.MonkeyPatch, gate: threading.Event | None = None) -> list[str]:
    decoded, seen = module.decoded, []

    def one(found: Evidence, *rest: object) -> object:
        seen.append(found.paths[0])
        if gate:
            gate.wait(30)
        return decoded(found, *rest)

    monkeypatch.setattr(module, "decoded", one)
    return seen


def test_many_ask_one_decodes_and_all_get_the_same(
    studies: Studies, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    seen = counted(monkeypatch, gate)
    mine = evidence(root, "a")
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(studies.opened, mine, "xray", {"r": root}) for _ in range(8)]
        gate.set()
        views = [one.result() for one in asked]
    assert seen == ["a.png"]
    for view in views:
        np.testing.assert_array_equal(view.whole(), views[0].whole())


def test_each_study_has_its_own_bytes_also_after_many_were_opened(studies: Studies, root: Path) -> None:
    for name in "abab":
        found = studies.opened(evidence(root, name), "xray", {"r": root})
        greys = np.rint(255 * (found.told["slope"] * found.whole()[0].astype(float) + found.told["intercept"]))
        np.testing.assert_array_equal(greys, np.asarray(Image.open(root / f"{name}.png")))


def test_names_tell_apart_content_part_and_kind_and_hold_no_path(root: Path) -> None:
    one = evidence(root, "a")
    others = [
        evidence(root, "b"),
        one.model_copy(update={"locator": "2"}),
        one.model_copy(update={"paths": ("a.jpg",)}),
    ]
    names = {view_name(each, "xray", {"r": root}) for each in (one, *others)} | {view_name(one, "ct", {"r": root})}
    assert len(names) == 5
    assert view_name(one.model_copy(update={"paths": ("elsewhere/a.png",)}), "xray", {"r": root}) in names
    assert len(study_id(one)) == 16
    assert study_of([others[0], one], study_id(one)) is one
    assert study_of(others[:1], study_id(one)) is None


def test_what_fails_is_said_to_each_and_tried_again_later(
    studies: Studies, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, whole = evidence(root, "a"), (root / "a.png").read_bytes()
    (root / "a.png").write_bytes(whole[:200])
    for _ in range(2):
        with pytest.raises(EvidenceError):
            studies.opened(mine, "xray", {"r": root})
    (root / "a.png").write_bytes(whole)
    assert studies.opened(mine, "xray", {"r": root}).whole().size == 3000


def test_a_file_of_another_content_is_never_shown_as_the_study(studies: Studies, root: Path) -> None:
    mine = evidence(root, "a")
    (root / "a.png").write_bytes((root / "b.png").read_bytes())
    with pytest.raises(EvidenceError) as caught:
        studies.opened(mine, "xray", {"r": root})
    assert caught.value.code == "file.changed"
    assert not list(studies.cache.folder.rglob("*.view"))


def test_what_is_warmed_need_not_be_decoded_when_it_is_opened(
    studies: Studies, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = counted(monkeypatch)
    wanted = [evidence(root, name) for name in "ab"]
    broken = wanted[0].model_copy(update={"paths": ("gone.png",), "content_hash": "0" * 64})
    studies.warm([(one, "xray") for one in (wanted[0], broken, wanted[1])], {"r": root})
    studies._warmer.submit(lambda: None).result()
    assert seen == ["a.png", "gone.png", "b.png"], "the first wish first, and what fails stops nothing"
    for one in wanted:
        studies.opened(one, "xray", {"r": root})
    assert len(seen) == 3
