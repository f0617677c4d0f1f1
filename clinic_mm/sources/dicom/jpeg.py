"""Tell a shortened JPEG from a whole one, which libjpeg does not: it fills what is missing with grey, without a word.

In:  a codestream with its end mark, and a decoder built on libjpeg. Out: its values, or `EvidenceError`.
"""

from collections.abc import Callable
from typing import Any, Final, TypeAlias

import numpy as np

from clinic_mm.errors import EvidenceError

END_OF_IMAGE: Final = b"\xff\xd9"
MEANINGLESS: Final = bytes((37 * k) % 251 for k in range(4096))
"""Never 0xFF, which would begin a marker."""
Values: TypeAlias = np.ndarray[Any, np.dtype[Any]]


def decode_whole(codestream: bytes, decode: Callable[[bytes], Values]) -> Values:
    """Decode a JPEG that is all there.

    It is decoded a second time with bytes of no meaning before the end mark: a whole picture never gets to them, a
    shortened one takes them for its own and looks different.

    Args:
        codestream: With its end mark.
        decode: Decodes a codestream.

    Raises:
        EvidenceError: `dicom.truncated`.
    """
    values = decode(codestream)
    end = codestream.rindex(END_OF_IMAGE)
    if not np.array_equal(values, decode(codestream[:end] + MEANINGLESS + codestream[end:])):
        raise EvidenceError("dicom.truncated", "The compressed picture ends too early", "PixelData", "Export it again")
    return values
