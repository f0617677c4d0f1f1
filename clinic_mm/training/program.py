"""What the program is that computes an answer: a hash of the source of every room that takes part, and the libraries.

In:  nothing. Out: a hash. What was kept under another one is not taken again.
"""

import hashlib
from functools import cache
from pathlib import Path
from typing import Final

from clinic_mm import __version__
from clinic_mm.extras import installed

ROOMS: Final = ("prep", "encoders", "fusion", "colearning", "predict", "training")
LIBRARIES: Final = ("torch", "monai", "numpy", "scipy", "scikit-learn")


@cache
def program() -> str:
    """Hash of the source and of the versions it runs with."""
    package = Path(__file__).resolve().parents[1]
    files = sorted(f for room in ROOMS for f in (package / room).rglob("*.py"))
    told = hashlib.sha256("".join([__version__, *(f"{name} {installed(name)}" for name in LIBRARIES)]).encode())
    for file in files:
        told.update(file.read_bytes())
    return told.hexdigest()
