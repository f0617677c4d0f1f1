"""What is plainly no radiograph is refused by its pixels; every real chest passes."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy import ndimage

from clinic_mm.errors import EvidenceError
from clinic_mm.sources.dicom.header import header_of
from clinic_mm.sources.dicom.pixels import decode
from clinic_mm.sources.dicom.stream import open_dicom
from clinic_mm.sources.xray.grey import read_transform
from clinic_mm.sources.xray.looks import check_looks
from clinic_mm.sources.xray.pictures import load_picture
from clinic_mm.types import Flag

RNG = np.random.default_rng(4)
SMOOTH = ndimage.gaussian_filter(RNG.random((300, 400)), 6)
SMOOTH = ((SMOOTH - SMOOTH.min()) / np.ptp(SMOOTH)).astype(np.float32)


def page(background: int, ink: int, size: int = 12) -> np.ndarray:
    picture = Image.new("L", (800, 600), background)
    draw = ImageDraw.Draw(picture)
    for line in range(0, 600, size):
        draw.text((4, line), "Sodium 141 mmol/l  Potassium 4.1 mmol/l  " * 5, ink)
    return np.asarray(picture, np.float32) / 255


def busy_page() -> np.ndarray:
    """Text over a gradient: no grey is frequent."""
    gradient = np.linspace(0.3, 0.7, 800, dtype=np.float32)[None].repeat(600, 0)
    return np.where(page(0, 255, 9) > 0.5, 1.0 - gradient.round(), gradient).astype(np.float32)


@pytest.mark.parametrize(
    ("picture", "code"),
    [
        (np.full((300, 300), 0.5, np.float32), "xray.blank"),
        (np.zeros((300, 300), np.float32), "xray.blank"),
        ((SMOOTH > 0.5).astype(np.float32), "xray.few_greys"),
        (page(255, 0), "xray.sharp_edges"),
        (page(255, 0, 60), "xray.few_greys"),
        (page(20, 230), "xray.sharp_edges"),
        (busy_page(), "xray.sharp_edges"),
        (RNG.normal(0.5, 0.05, (300, 300)).astype(np.float32), "xray.noise"),
        (SMOOTH[:60], "xray.odd_shape"),
    ],
    ids=["grey", "black", "mask", "text", "few lines", "white text", "text on a picture", "noise", "strip"],
)
def test_what_is_plainly_no_radiograph_is_refused(picture: np.ndarray, code: str) -> None:
    with pytest.raises(EvidenceError) as caught:
        check_looks(picture)
    assert caught.value.code == code


def test_half_a_picture_of_black_is_flagged_and_padding_is_not_counted() -> None:
    collimated = SMOOTH.copy()
    collimated[:180] = 0
    assert [flag.code for flag in check_looks(collimated)] == ["xray.saturated"]
    assert check_looks(collimated, np.indices(collimated.shape)[0] < 180) == ()
    assert check_looks(SMOOTH) == ()
    assert [flag.code for flag in check_looks(SMOOTH[:100, :120])] == ["xray.small"]


@pytest.mark.realdata
@pytest.mark.parametrize(("folder", "count"), [("chest_hannover", 148), ("chest_cohen", 193)])
def test_every_real_chest_passes(data: Path, folder: str, count: int) -> None:
    files = sorted((data / "multimodal" / folder / "images").iterdir())
    step = 1 if folder == "chest_cohen" else 4
    assert len(files) == count
    for path in files[::step]:
        assert {flag.code for flag in check_looks(load_picture(path)[0])} <= {"xray.saturated"}, path.name


RADIOGRAPHS = (
    "1.2.276.0.7230010.3.1.4.8323329.6904.1517875201.850819",
    "RG1_J2KI",
    "RG3_J2KR",
    "gdcm-CR-MONO1-10-chest",
)


@pytest.mark.realdata
def test_real_radiographs_pass_and_test_pictures_do_not(data: Path) -> None:
    """The two pictures of a test suite are drawings with tables of grey; their headers say that they are no CR."""
    for name in RADIOGRAPHS:
        assert _looks(data / "xray_dicom" / f"{name}.dcm") == ()
    for name in ("mlut_18", "vlut_04"):
        with pytest.raises(EvidenceError, match="sharp edges"):
            _looks(data / "xray_dicom" / f"{name}.dcm")


def _looks(path: Path) -> tuple[Flag, ...]:
    opened = open_dicom(path)
    header = header_of(path, opened)
    stored, outside = decode(opened.stream, header.pixels, header.padding)
    return check_looks(read_transform(opened.dataset, header.pixels)(stored, outside), outside)


@pytest.mark.realdata
def test_every_real_thumbnail_passes(data: Path) -> None:
    with np.load(data / "xray_labelled" / "pneumoniamnist_train_val.npz") as sets:
        pictures = np.concatenate([sets[name] for name in sets.files if sets[name].ndim == 3])
    assert len(pictures) == 2698
    for picture in pictures[::5]:
        assert [flag.code for flag in check_looks((picture / 255).astype(np.float32))] == ["xray.small"]
