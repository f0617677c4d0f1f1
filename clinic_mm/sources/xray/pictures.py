"""Read a radiograph from a PNG or JPEG file, and find such files.

In:  8 or 16 bit grey, or grey that was stored as colour. Out: grey in [0, 1]; or a `Found` without patient and time,
     since a picture carries neither (the folder or a table must).

Colour is refused: a photograph or a screenshot is no radiograph. Nothing is known of spacing, view or inversion.
"""

import struct
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import tzinfo
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float32, Shaped
from PIL import Image, UnidentifiedImageError

from clinic_mm.errors import EvidenceError
from clinic_mm.sources.dicom.decoder_process import DECODER
from clinic_mm.sources.dicom.layout import FRAME_LIMIT_PIXELS
from clinic_mm.sources.dicom.picture_pixels import KINDS
from clinic_mm.sources.found import Found
from clinic_mm.sources.place import content_hash, rejected, relative
from clinic_mm.sources.walk import SUFFIXES, FileKind, suffix_of
from clinic_mm.types import Evidence, Flag

PIXEL_LIMIT: Final = FRAME_LIMIT_PIXELS
FILE_LIMIT_BYTES: Final = 2**28
EXIF_ORIENTATION: Final = 0x0112
COLOUR_TOLERANCE: Final = 3
"""Grey levels of 255 that the channels of a grey JPEG may differ by, from its conversion to YCbCr and back."""
END_MARKS: Final = {"PNG": b"IEND", "JPEG": b"\xff\xd9"}
DEEP_MODES: Final = frozenset({"I;16", "I;16B", "I;16L", "I"})
COLOURED: Final = frozenset({"rgb", "rgba"})
GREY_IN_COLOUR: Final = Flag(code="xray.grey_in_colour", why="The picture is grey but was stored as colour")
TURNED: Final = Flag(code="xray.turned", why="The file asks to be turned for display, and was")


def load_picture(path: Path) -> tuple[Float32[np.ndarray, "row column"], tuple[Flag, ...]]:
    """Grey values of one PNG or JPEG file.

    Raises:
        EvidenceError: `picture.unreadable`, `picture.truncated`, `picture.misnamed`, `picture.too_large` or
            `xray.colour`.
    """
    with _opened(path) as picture:
        orientation, kind = picture.getexif().get(EXIF_ORIENTATION, 1), _kind(picture)
        rows, columns = picture.height, picture.width
    if orientation in range(5, 9):  # lies on its side
        rows, columns = columns, rows
    pixels = _decoded(path.read_bytes(), kind, rows, columns)
    flags = (TURNED,) if orientation in range(2, 9) else ()
    if kind in COLOURED:
        return _grey_of_colour(pixels), (*flags, GREY_IN_COLOUR)
    return pixels[..., 0].astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max), flags


def find_pictures(root: Path, root_name: str, files: Sequence[Path], zone: tzinfo) -> Iterator[Found]:
    """One finding per picture, patient and time unknown.

    Args:
        root: The folder that was looked through.
        root_name: Its name in the cohort.
        files: The PNG and JPEG files below it.
        zone: Not used: a picture has no time.
    """
    for path in files:
        try:
            yield Found("", _evidence(root, root_name, path))
        except EvidenceError as fault:
            yield Found("", rejected(fault, "xray", root_name, root, [path]))


def _evidence(root: Path, root_name: str, path: Path) -> Evidence:
    with _opened(path) as picture:
        shape, kind = [picture.height, picture.width], str(picture.format).lower()
        colour = _kind(picture) in COLOURED
    flags = load_picture(path)[1] if colour else ()  # only the pixels tell whether colour is grey
    return Evidence(
        modality="xray",
        root=root_name,
        paths=relative(root, [path]),
        content_hash=content_hash([path]),
        flags=flags,
        meta={"format": kind, "shape": shape, "spacing_mm": None, "view_position": "", "laterality": ""},
    )


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """An opened picture within limits; whatever Pillow raises on the way becomes an `EvidenceError`."""
    try:
        size = path.stat().st_size
        if size == 0:
            raise EvidenceError("file.empty", "The file has no bytes", "", "Export it again")
        if size > FILE_LIMIT_BYTES:
            raise _too_large()
        if SUFFIXES.get(suffix_of(path), FileKind.PICTURE) is not FileKind.PICTURE:
            mend = "Give it the name of a picture, if it is a radiograph"
            raise EvidenceError("picture.misnamed", "The file is a picture, but is named as another kind", "", mend)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path, formats=("PNG", "JPEG")) as picture:
                if picture.width * picture.height > PIXEL_LIMIT:
                    raise _too_large()
                if END_MARKS[str(picture.format)] not in path.read_bytes()[-65_536:]:
                    raise _truncated()
                if getattr(picture, "n_frames", 1) != 1:
                    raise EvidenceError("dicom.multiframe", "The file holds several frames", "")
                yield picture
    except Image.DecompressionBombError:
        raise _too_large() from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, struct.error, zlib.error, MemoryError, EOFError):
        raise EvidenceError("picture.unreadable", "The picture cannot be read", "", "Export it again") from None


def _kind(picture: Image.Image) -> str:
    if picture.mode in DEEP_MODES:
        return "grey16"
    return {"L": "grey8", "1": "grey8", "RGB": "rgb"}.get(picture.mode, "rgba")


def _decoded(data: bytes, kind: str, rows: int, columns: int) -> Shaped[np.ndarray, "row column value"]:
    dtype, values = KINDS[kind]
    pixels = np.empty((rows, columns, values), dtype)
    try:
        DECODER.picture(data, kind, pixels)
    except EvidenceError as fault:
        code = fault.code if fault.code.startswith("picture.") else "picture.unreadable"
        raise EvidenceError(code, fault.what, "", "Export it again") from None
    return pixels


def _grey_of_colour(pixels: Shaped[np.ndarray, "row column value"]) -> Float32[np.ndarray, "row column"]:
    red, green, blue, *opacity = np.moveaxis(pixels, 2, 0)
    spread = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    if spread.max() > COLOUR_TOLERANCE or any(part.min() < 255 for part in opacity):
        raise EvidenceError("xray.colour", "The picture is in colour", "", "Give a grey radiograph")
    return np.asarray((red.astype(np.uint16) + green + blue) / np.float32(3 * 255), np.float32)


def _truncated() -> EvidenceError:
    return EvidenceError("picture.truncated", "The picture ends too early", "", "Export it again")


def _too_large() -> EvidenceError:
    return EvidenceError("picture.too_large", "The picture has more than 24 million pixels", "", "Leave this file out")
