"""A running dashboard and Debian's chromium; the run is the one of tests/dashboards."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dashboards.conftest import answers_open
from tests.dashboards.conftest import made_run as made_run  # the same run for both
from tests.serving import Address, serving

CHROMIUM = Path("/usr/bin/chromium")


@pytest.fixture(scope="session")
def served(made_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    """The address of the dashboard, started as `clinic-mm dashboard` starts it, with the cookie of a person."""
    if not CHROMIUM.is_file():
        pytest.skip("no /usr/bin/chromium: apt-get install chromium")
    base = tmp_path_factory.mktemp("served")
    more = {"CLINIC_MM_SITE": str(answers_open(base / "room"))}
    with serving(made_run, base / "room", base / "log", more=more) as address:
        yield address
