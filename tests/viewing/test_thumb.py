"""Small pictures: hung and shown as the viewers do it; made beside the work, once, and never of another case."""

import threading
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clinic_mm.errors import InputError
from clinic_mm.signals import CtVolume
from clinic_mm.sources.place import content_hash
from clinic_mm.types import Evidence
from clinic_mm.viewing import thumbs as module
from clinic_mm.viewing.cache import ViewCache
from clinic_mm.viewing.picture import picture
from clinic_mm.viewing.study import view_name
from clinic_mm.viewing.thumb import PX, png, thumb
from clinic_mm.viewing.thumbs import NOTHING, Found, Thumbs
from clinic_mm.viewing.volume import FreshVolume

AIR, BONE = -1000.0, 1000.0


def test_a_ct_hangs_with_the_right_on_the_left_and_the_front_at_the_top_in_square_pixels() -> None:
    hu = np.full((40, 20, 9), AIR, np.float32)  # x grows to the right of the patient, y to the front
    hu[30:, 15:, 4] = BONE
    small = thumb(FreshVolume(CtVolume(hu, (1.0, 4.0, 5.0))))
    assert small.shape == (PX, round(PX * 40 / 80)), "20 rows of 4 mm are twice as tall as 40 columns of 1 mm are wide"
    top, left = small.shape[0] // 4, small.shape[1] // 4
    assert small[: top - 1, : left - 1].min() == 255
    assert small[top + 1 :].max() == small[:, left + 1 :].max() == 0


def test_a_radiograph_is_shown_as_its_file_says(tmp_path: Path) -> None:
    grey = np.zeros((300, 600), np.uint8)
    grey[:, 300:] = 200
    Image.fromarray(grey).save(tmp_path / "a.png")
    fresh = picture([tmp_path / "a.png"])
    small = thumb(fresh)
    assert small.shape == (PX // 2, PX)
    assert (small[:, 0] == 0).all()
    assert abs(int(small[0, -1]) - 200) <= 1
    fresh.told["inverted"] = True
    assert (thumb(fresh)[:, 0] == 255).all()
    shown = Image.open(BytesIO(png(small)))
    assert (shown.format, shown.size, shown.info) == ("PNG", (PX, PX // 2), {})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, level in (("a", 80), ("b", 160)):
        Image.fromarray(np.full((50, 50), level, np.uint8)).save(tmp_path / f"{name}.png")
    return tmp_path


def study(root: Path, name: str) -> Found:
    path = root / f"{name}.png"
    found = Evidence(modality="xray", root="r", paths=(path.name,), content_hash=content_hash([path]))
    return found, "xray", {"r": root}


Open = Callable[..., Thumbs]


@pytest.fixture
def thumbs(root: Path) -> Iterator[Open]:
    opened: list[Thumbs] = []

    def new(find: Callable[[str], Found | None] | None = None) -> Thumbs:
        caches = ViewCache(root / "thumbs", 10**6), ViewCache(root / "views", 10**6)
        opened.append(Thumbs(*caches, find or (lambda key: study(root, key))))
        return opened[-1]

    yield new
    for one in opened:
        one.close()


def level(found: bytes | None) -> int:
    assert found
    return int(np.asarray(Image.open(BytesIO(found)))[5, 5])


def test_nobody_waits_and_each_case_gets_its_own(thumbs: Open, root: Path) -> None:
    gate = threading.Event()

    def find(key: str) -> Found | None:
        gate.wait(60)
        return study(root, key) if key in "ab" else None

    made = thumbs(find)
    assert [made.of(key) for key in ("a", "b", "none")] == [None, None, None]
    gate.set()
    made.settle()
    assert (level(made.of("a")), level(made.of("b")), made.of("none")) == (80, 160, NOTHING)
    assert made.of("a", stamp=1) is None, "another run, nothing of the one before"


def test_what_was_drawn_once_is_decoded_no_more_unless_it_lies_damaged(
    thumbs: Open, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    own = module.decoded
    monkeypatch.setattr(module, "decoded", lambda *found: calls.append("") or own(*found))
    for expected in (1, 1, 2):
        if expected == 2:
            (kept,) = (root / "thumbs").rglob("*.view")
            whole = bytearray(kept.read_bytes())
            whole[4096] ^= 1
            kept.unlink()
            kept.write_bytes(whole)
        made = thumbs()
        made.of("a")
        made.settle()
        assert level(made.of("a")) == 80
        assert len(calls) == expected


def test_an_opened_study_is_not_decoded_again(thumbs: Open, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, fresh = thumbs(), picture([root / "a.png"])
    made.views.keep(view_name(*study(root, "a")), fresh.told, fresh.shape, fresh.whole())
    monkeypatch.setattr(module, "decoded", None)
    made.of("a")
    made.settle()
    assert level(made.of("a")) == 80


def test_what_cannot_be_shown_is_asked_for_once(thumbs: Open, root: Path) -> None:
    found, kind, roots = study(root, "a")
    (root / "a.png").write_bytes(b"no picture")
    large = found.model_copy(update={"meta": {"shape": [512, 512, 2000]}})

    def find(key: str) -> Found | None:
        if key == "gone":
            raise InputError("The cohort no longer forms this case", "", "Screen the cohort again")
        return (large if key == "large" else found, kind, roots)

    made = thumbs(find)
    for key in ("gone", "changed", "large"):
        made.of(key)
        made.settle()
        assert made.of(key) == NOTHING


def test_wishes_are_bounded(thumbs: Open, root: Path) -> None:
    gate, done = threading.Event(), []

    def find(key: str) -> Found | None:
        gate.wait(60)
        done.append(key)
        return None

    made = thumbs(find)
    for at in range(3 * module.MOST_WAITING):
        made.of(str(at))
    gate.set()
    made.settle()
    assert len(done) <= module.MOST_WAITING + 1
    assert str(3 * module.MOST_WAITING - 1) in done
