"""Errors say what, where and how to mend, survive a worker process, and end a command with a code of their own."""

import pickle
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import pytest

import clinic_mm
from clinic_mm import errors
from clinic_mm.errors import ClinicError, EvidenceError, InputError
from clinic_mm.prep.base import NothingKnownError
from clinic_mm.store import ConflictError

DOCUMENTED = {
    "ClinicError": 1,
    "UsageError": 2,
    "InputError": 3,
    "EvidenceError": 3,
    "TaskError": 4,
    "ExtraMissingError": 5,
    "ArtifactError": 6,
    "LeakError": 7,
    "StoppedError": 8,
}


def _every() -> list[type[ClinicError]]:
    """Also those that live beside what raises them."""
    found, waiting = [], [ClinicError]
    while waiting:
        error = waiting.pop()
        found.append(error)
        waiting += error.__subclasses__()
    return found


def _made(error: type[ClinicError]) -> ClinicError:
    words = ("It is so", "case 7f3a / ct", "Do this")
    return error("ct.code", *words) if issubclass(error, EvidenceError) else error(*words)


@pytest.mark.parametrize("error", [e for e in _every() if e is not ConflictError], ids=lambda e: e.__name__)
def test_an_error_survives_a_worker_process(error: type[ClinicError]) -> None:
    made = _made(error).at("series 3")
    back = pickle.loads(pickle.dumps(made))  # noqa: S301 - what concurrent.futures does, on our own bytes
    assert type(back) is type(made) is error
    assert str(back) == str(made) == "It is so [series 3 / case 7f3a / ct]. Do this"
    assert vars(back) == vars(made)


def test_who_was_quicker_survives_a_worker_process() -> None:
    made = ConflictError("Somebody else signed this case", "u-7", datetime(2026, 1, 2, tzinfo=UTC))
    back = pickle.loads(pickle.dumps(made))  # noqa: S301 - what concurrent.futures does, on our own bytes
    assert (str(back), vars(back)) == (str(made), vars(made))


@pytest.mark.parametrize("error", [ClinicError, EvidenceError, NothingKnownError])
def test_what_is_not_known_is_not_printed(error: type[ClinicError]) -> None:
    made = error("c", "It is so") if issubclass(error, EvidenceError) else error("It is so")
    assert str(made) == "It is so"
    assert str(made.at("here")) == "It is so [here]"


def test_exit_codes_are_as_documented_and_distinct() -> None:
    codes = {name: error.exit_code for name in DOCUMENTED for error in [getattr(errors, name)]}
    assert codes == DOCUMENTED
    assert sorted(set(codes.values())) == [1, 2, 3, 4, 5, 6, 7, 8]
    doc = errors.__doc__ or ""
    for name, code in DOCUMENTED.items():
        assert any(name in line and f" {code} " in line for line in doc.splitlines()), name


def test_rejected_evidence_is_bad_input_and_keeps_its_code() -> None:
    error = EvidenceError("ct.flat", "Flat", "ct", "Leave it out").at("c1")
    assert isinstance(error, InputError)
    assert (error.code, error.where) == ("ct.flat", "c1 / ct")


def test_every_module_can_be_imported_and_every_error_in_it_is_ours() -> None:
    package = Path(clinic_mm.__file__).parent
    for module in walk_packages([str(package)], "clinic_mm."):
        if module.name.startswith("clinic_mm.store.migrations."):  # scripts that Alembic runs
            continue
        for name, value in vars(import_module(module.name)).items():
            if isinstance(value, type) and issubclass(value, Exception) and value.__module__ == module.name:
                assert issubclass(value, ClinicError), f"{module.name}.{name}"
                assert name.endswith("Error")
