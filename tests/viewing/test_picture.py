"""What the screen shows of a radiograph at first is what its reader displays, on every real file; MONOCHROME1 too."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clinic_mm.errors import EvidenceError
from clinic_mm.sources.xray.grey import GreyTransform
from clinic_mm.sources.xray.image import StoredRadiograph, load, read_stored
from clinic_mm.sources.xray.lookup import Lookup
from clinic_mm.sources.xray.radiograph import Radiograph
from clinic_mm.viewing.picture import PADDING, FreshPicture, of_dicom, picture
from tests.viewing.js import called

XRAYS = (
    "1.2.276.0.7230010.3.1.4.8323329.6904.1517875201.850819.dcm",
    "CR-ModalitySequenceLUT.dcm",
    "Fake_MONOHR1.dcm",
    "RG1_J2KI.dcm",
    "RG3_J2KR.dcm",
    "gdcm-CR-MONO1-10-chest.dcm",
    "mlut_18.dcm",
    "vlut_04.dcm",
)


def on_screen(found: FreshPicture) -> np.ndarray:
    """As the canvas paints it before anything is touched."""
    told = json.loads(json.dumps(found.told))
    (greys,) = called(("window", "greysOf", [told["windows"][0], told, False]))
    return np.array(greys, np.uint8)[found.whole()[0].view(np.uint16)]


@pytest.fixture
def any_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hands and phantoms too: this is about grey values, not about chests."""
    monkeypatch.setattr("clinic_mm.sources.xray.image.described", lambda header: None)
    monkeypatch.setattr("clinic_mm.sources.xray.image.check_looks", lambda grey, outside=None: ())


@pytest.mark.realdata
@pytest.mark.usefixtures("any_part")
@pytest.mark.parametrize("name", XRAYS)
def test_the_first_look_is_as_the_file_says(data: Path, name: str) -> None:
    path = data / "xray_dicom" / name
    try:
        image = load([path])
    except EvidenceError as fault:
        with pytest.raises(EvidenceError, match=fault.what):
            picture([path])
        return
    found, stored = picture([path]), read_stored(path)
    assert np.abs(on_screen(found).astype(float) - 255 * image.grey).max() <= 1.0
    assert found.told["spacing_mm"] == (None if image.spacing_mm is None else list(image.spacing_mm))
    assert found.told["view_position"] == image.view_position
    measured = found.told["slope"] * found.whole()[0].astype(float) + found.told["intercept"]
    levels = stored.transform.modality(stored.stored.astype(float).ravel()).reshape(stored.stored.shape)
    shown = found.whole()[0] != PADDING
    np.testing.assert_allclose(measured[shown], levels[shown], atol=1e-6)


@pytest.mark.parametrize("depth", [8, 16])
def test_a_png_is_told_to_its_last_level(tmp_path: Path, depth: int) -> None:
    rng = np.random.default_rng(0)
    most = 2**depth - 1
    pixels = rng.integers(0, most, (50, 40), endpoint=True).astype(np.uint8 if depth == 8 else np.uint16)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    found = picture([tmp_path / "a.png"])
    measured = found.told["slope"] * found.whole()[0].astype(float) + found.told["intercept"]
    assert np.abs(measured - pixels / most).max() <= 0.5 / 65_000
    assert found.told["spacing_mm"] is None
    assert found.told["letters"] is None
    assert (found.whole() > PADDING).all()


def test_two_files_are_no_radiograph(tmp_path: Path) -> None:
    with pytest.raises(EvidenceError) as caught:
        picture([tmp_path / "a", tmp_path / "b"])
    assert caught.value.code == "xray.several_files"


def test_a_table_of_the_file_is_shown_first_and_padding_is_black() -> None:
    stored = np.arange(-10, 54, dtype=np.int16).reshape(8, 8)
    outside = stored == 40
    entries = np.random.default_rng(0).integers(0, 1024, 30).astype(np.uint16)
    transform = GreyTransform(None, 2.0, -6.0, Lookup(5, 10, entries), None, inverted=True, flags=())
    radiograph = Radiograph(frozenset(), "PA", "", None, "", None)
    found = of_dicom(StoredRadiograph(stored, outside, transform, radiograph))
    assert np.abs(on_screen(found).astype(float) - 255 * transform(stored, outside)).max() <= 0.5 + 1e-6
    assert on_screen(found)[outside] == 0
