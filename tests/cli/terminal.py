"""Run a command as the shell does, in this process."""

import sys
from typing import NamedTuple

import orjson
import pytest

from clinic_mm import cli


class Said(NamedTuple):
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> object:
        """Its one JSON document."""
        return orjson.loads(self.out)

    @property
    def lines(self) -> list[str]:
        """What it said on stderr, without blank lines."""
        return [line for line in self.err.splitlines() if line.strip()]


def run(capsys: pytest.CaptureFixture[str], *words: object) -> Said:
    """`clinic-mm WORDS`, through the console script's own entry point."""
    capsys.readouterr()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["clinic-mm", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
    out, err = capsys.readouterr()
    assert isinstance(ended.value.code, int | None)
    return Said(ended.value.code or 0, out, err)
