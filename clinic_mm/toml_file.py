"""Read a TOML file that a person wrote, and say what is wrong with it in that person's words.

In:  a path, or what stands in it, and the model that it should fit. Out: the model, frozen; or `TaskError`.
No value of the file is repeated, only names of fields.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from clinic_mm.errors import TaskError
from clinic_mm.types import first_mistake

Model = TypeVar("Model", bound=BaseModel)


def read_toml(path: Path, what: str, see: str) -> dict[str, object]:
    """A TOML file as a mapping.

    Args:
        path: The file.
        what: What it should be, for the error: `task file`.
        see: Where a person finds how to write one.

    Raises:
        TaskError: If there is no such file, or it is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise TaskError(f"There is no such {what}", str(path), f"Give the path of a TOML file. {see}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TaskError(f"The {what} is not TOML: {error}", str(path), see) from None


def fitted(model: type[Model], given: Mapping[str, object], where: str, see: str) -> Model:
    """Check a mapping and freeze it.

    Raises:
        TaskError: What is wrong, the field, and the mend.
    """
    try:
        return model.model_validate(given)
    except ValidationError as error:
        what, field = first_mistake(error, model)
        raise TaskError(what, f"{where} / {field}", see) from None
