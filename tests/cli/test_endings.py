"""However a command ends: the documented exit code, one line, no traceback, no patient detail, valid JSON."""

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from clinic_mm import errors, extras
from clinic_mm.console import DEBUG, end
from tests.cli.terminal import run

ERRORS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.ClinicError)]


@pytest.mark.parametrize("kind", ERRORS)
def test_each_error_ends_with_its_code_and_says_what_where_and_how_to_mend(
    kind: type[errors.ClinicError], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = ("What", "where\nit is", "Mend")
    error = kind("code", *told) if issubclass(kind, errors.EvidenceError) else kind(*told)

    def fails() -> None:
        raise error

    monkeypatch.setattr(extras, "check_up", fails)
    said = run(capsys, "doctor", "--json")
    assert said.code == kind.exit_code
    assert said.json == {"error": kind.__name__, "what": "What", "where": "where\nit is", "mend": "Mend"}
    assert said.lines == ["Error: What [where it is]. Mend"]


def test_our_own_fault_says_so_and_repeats_no_text_that_may_name_a_patient(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def bug() -> None:
        message = "Jane Doe, born 1970-01-01"
        raise KeyError(message)

    monkeypatch.delenv(DEBUG, raising=False)
    monkeypatch.setattr(extras, "check_up", bug)
    said = run(capsys, "doctor")
    assert said.code == 1
    assert len(said.lines) == 1
    assert "our fault" in said.err
    assert "KeyError" in said.err
    assert "Jane" not in said.err
    monkeypatch.setenv(DEBUG, "1")
    assert "Traceback" in run(capsys, "doctor").err


def test_ctrl_c_is_one_line_and_130(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(extras, "check_up", stopped)
    said = run(capsys, "doctor")
    assert said.code == 130
    assert len(said.lines) == 1
    assert "Interrupted" in said.err


def test_a_disk_that_refuses_is_an_input_error_and_shows_only_what_was_typed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["clinic-mm", "screen", "model", "cohort", "--out", "run"])
    assert end(OSError(28, "No space left on device", "run/reports/Jane_Doe.json"), as_json=False) == 3
    said = capsys.readouterr().err
    assert "No space left on device [run]" in said
    assert "Jane" not in said


def test_a_reader_that_goes_away_ends_nothing() -> None:
    command = [sys.executable, "-c", "import sys; from clinic_mm.cli import main; sys.argv[1:] = ['doctor']; main()"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:  # noqa: S603
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        assert running.stderr.read() == b""
    assert running.returncode == 0


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("describe", "nowhere"), 3),
        (("ingest", "nowhere", "--out", "cohort"), 4),
        (("train", "nowhere", "--task", "task.toml", "--out", "model"), 3),
        (("evaluate", "nowhere", "cohort", "--out", "evaluation"), 6),
        (("screen", "nowhere", "cohort", "--out", "run"), 6),
        (("predict", "nowhere", "--note", "note.txt"), 6),
        (("report", "nowhere", "c0"), 6),
        (("dashboard", "nowhere"), 6),
        (("simulate", "new", "--missing", "SOMEHOW"), 2),
        (("simulate", "."), 2),
        (("demo", "--out", "."), 2),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_what_is_not_there_is_named_with_its_mend(
    words: tuple[str, ...],
    code: int,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "note.txt").write_text("Well.")
    said = run(capsys, *words)
    assert said.code == code
    assert len(said.lines) == 1
    assert said.out == ""
