"""Every command explains itself, and a mistake in it costs a person one line."""

import subprocess
import sys
import time

import pytest

from clinic_mm import cli
from tests.cli.terminal import run

COMMANDS = sorted(
    [str(c.callback.__name__) for c in cli.app.registered_commands if c.callback]
    + [
        f"{group.name} {c.name}"
        for group in cli.app.registered_groups
        for c in group.typer_instance.registered_commands
    ]
)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_shows_an_example_that_can_be_copied(capsys: pytest.CaptureFixture[str], command: str) -> None:
    said = run(capsys, *command.split(), "--help")
    assert said.code == 0
    assert any(line.strip().startswith(f"Example:  clinic-mm {command}") for line in said.out.splitlines())


def test_no_word_at_all_shows_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    said = run(capsys)
    assert said.code == 0
    assert all(command.split()[0] in said.out for command in COMMANDS)


@pytest.mark.parametrize(
    "words",
    [("prediktt",), ("predict",), ("predict", "model", "--cct", "x"), ("simulate", "x", "--rate", "2")],
    ids=["command", "argument", "option", "value"],
)
@pytest.mark.parametrize("json", [True, False])
def test_a_slip_of_the_hand_is_one_line_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], json: bool
) -> None:
    said = run(capsys, *words, *(["--json"] if json else []))
    assert said.code == 2
    assert len(said.lines) == 1
    assert "--help" in said.err
    if json:
        assert isinstance(said.json, dict)
        assert said.json["error"] == "UsageError"
    else:
        assert said.out == ""


def test_help_comes_at_once() -> None:
    def seconds() -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "clinic_mm.cli", "--help"], check=True, capture_output=True)
        return time.perf_counter() - start

    assert min(seconds() for _ in range(3)) < 0.5
