"""The one guarded border to the readers: whatever a reader raises that nobody foresaw becomes `Failed`.

In:  a reader and files. Out: what it read, and the files that it could not take, each with a refusal or failure.

The text of an unforeseen error is dropped, since it may quote a patient's values.
"""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar

from clinic_mm.errors import ClinicError, EvidenceError, InputError, TaskError
from clinic_mm.types import Failed, Rejected

LOG: Final = logging.getLogger(__name__)
T = TypeVar("T")


def guarded(
    look: Callable[[Sequence[Path]], T], files: Sequence[Path], modality: str
) -> tuple[T | None, list[tuple[Path, Failed | Rejected]]]:
    """Run a reader over files; what it cannot take alone is left out and named, and the rest is read again together.

    Raises:
        TaskError: Passed on, since it says that the ingest file is wrong, not the evidence.
    """
    result, failure = _attempt(look, files, modality)
    if failure is None:
        return result, []
    bad = [(path, why) for path in files if (why := _attempt(look, [path], modality)[1]) is not None]
    bad = bad or [(path, failure) for path in files]  # together they fail, alone they do not
    left_out = {path for path, _ in bad}
    rest = [path for path in files if path not in left_out]
    if not rest:
        return None, bad
    result, failure = _attempt(look, rest, modality)
    return result, bad if failure is None else [*bad, *((path, failure) for path in rest)]


def _attempt(
    look: Callable[[Sequence[Path]], T], files: Sequence[Path], modality: str
) -> tuple[T | None, Failed | Rejected | None]:
    try:
        return look(files), None
    except TaskError:
        raise
    except EvidenceError as error:
        return None, Rejected(modality=modality, code=error.code, why=error.what, mend=error.mend)
    except InputError as error:
        return None, Rejected(modality=modality, code="file.unusable", why=error.what, mend=error.mend)
    except ClinicError as error:
        return None, Failed(modality=modality, why=error.what)
    except Exception as error:  # noqa: BLE001 - the guarded border: one bad file never stops a cohort
        kind = type(error).__name__
        LOG.warning("A reader of %s failed with %s", modality, kind)
        return None, Failed(modality=modality, why=f"Our reader failed with {kind}", tries=2)
