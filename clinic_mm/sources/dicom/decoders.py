"""Decode one compressed frame with the library that survived mutated files best.

In:  one codestream, what it declares, and the `Layout` of the header, which agree.
Out: stored values in the header's own integer type, before the bits above Bits Stored are cleared.

Runs inside of the pixel worker only: these libraries may raise anything, panic or end the process. gdcm is never asked
(CVE-2026-3650); pylibjpeg-libjpeg is not used (GPLv3).
"""

from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from typing import Final

import numpy as np

from clinic_mm.errors import EvidenceError
from clinic_mm.sources.dicom.codestream import Codestream
from clinic_mm.sources.dicom.jpeg import Values, decode_whole
from clinic_mm.sources.dicom.layout import JPEG, JPEG_2000, JPEG_LS, RLE, Layout


def decode_frame(codestream: bytes, found: Codestream, layout: Layout) -> Values:
    """Stored values of one frame, flat.

    Raises:
        EvidenceError: `dicom.undecodable` where the decoder gives another size, `dicom.codestream_mismatch` where
            values lie outside of Bits Stored.
    """
    values = DECODERS[layout.transfer_syntax](codestream, found, layout).reshape(-1)
    if values.size != layout.rows * layout.columns * layout.samples:
        raise EvidenceError("dicom.undecodable", "The compressed picture has another size", "PixelData")
    return _in_type(values, found, layout)


def _in_type(values: Values, found: Codestream, layout: Layout) -> Values:
    """The header's type; a bit pattern of a signed picture gets its sign, PS3.5 8.2.1 to 8.2.4."""
    values = values.astype(layout.dtype, copy=False)
    unused = layout.bits_allocated - found.bits
    if layout.signed and not found.signed and unused:
        values = (values << unused) >> unused
    return values


def load() -> None:
    """Import the decoders, before memory is limited and the first picture waits."""
    import jpeg_ls
    import openjpeg.utils
    import PIL.JpegImagePlugin
    import PIL.PngImagePlugin
    import rle.rle

    assert all((jpeg_ls, openjpeg.utils, PIL.JpegImagePlugin, PIL.PngImagePlugin, rle.rle))
    with suppress(ImportError):
        import imagecodecs._jpeg8

        assert imagecodecs._jpeg8


def _rle(codestream: bytes, found: Codestream, layout: Layout) -> Values:
    from rle.rle import decode_frame as decode_rle

    del found
    packed = decode_rle(codestream, layout.rows * layout.columns, layout.bits_allocated, "<")
    return np.frombuffer(packed, f"<u{layout.bits_allocated // 8}")


def _jpeg_2000(codestream: bytes, found: Codestream, layout: Layout) -> Values:
    from openjpeg.utils import decode_pixel_data

    del layout
    return np.frombuffer(decode_pixel_data(codestream, version=2), _container(found))


def _jpeg_ls(codestream: bytes, found: Codestream, layout: Layout) -> Values:
    from jpeg_ls import decode_pixel_data

    del layout
    return np.frombuffer(decode_pixel_data(codestream)[0], _container(found))


def _jpeg(codestream: bytes, found: Codestream, layout: Layout) -> Values:
    del found
    return decode_whole(codestream, _jpeg_with_extra if layout.needs_extra else _jpeg_with_pillow)


def _jpeg_with_extra(codestream: bytes) -> Values:
    from imagecodecs import jpeg8_decode

    return np.asarray(jpeg8_decode(codestream))


def _jpeg_with_pillow(codestream: bytes) -> Values:
    from PIL import Image

    with Image.open(BytesIO(codestream), formats=("JPEG",)) as picture:
        return np.asarray(picture)


def _container(found: Codestream) -> str:
    """The smallest integer that holds the codestream's bits, as the libraries of pydicom return them."""
    size = 1 if found.bits <= 8 else 2 if found.bits <= 16 else 4
    return f"<{'i' if found.signed else 'u'}{size}"


DECODERS: Final[dict[str, Callable[[bytes, Codestream, Layout], Values]]] = {
    **dict.fromkeys(JPEG, _jpeg),
    **dict.fromkeys(JPEG_LS, _jpeg_ls),
    **dict.fromkeys(JPEG_2000, _jpeg_2000),
    RLE: _rle,
}
