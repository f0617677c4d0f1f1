"""Find what travels with the package: schemas and dashboards, in a checkout and in an installed wheel."""

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from clinic_mm.errors import InputError

PACKAGE = Path(__file__).resolve().parent


@cache
def folder(name: str) -> Path:
    """The folder `schemas` or `dashboards`.

    Raises:
        InputError: If neither a checkout nor a wheel has it.
    """
    for place in (PACKAGE / "_bundle" / name, PACKAGE.parent / name):
        if place.is_dir():
            return place
    raise InputError(f"This installation has no {name} folder", name, "Install clinic_mm again from its wheel")


def policy(name: str) -> dict[str, Any]:
    """A policy table of `schemas`, by the name of its file: read anew each time, so whoever asks keeps what it needs.

    Raises:
        InputError: If this installation has no schemas.
    """
    return tomllib.loads((folder("schemas") / f"{name}.toml").read_text(encoding="utf-8"))
