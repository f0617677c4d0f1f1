"""Row by row: what the manifest asks of each hard file, and what `clinic-mm ingest` makes of it."""

from pathlib import Path

import pytest

from tests.fuzz.hard_files import DISAGREE, Row, judged

pytestmark = pytest.mark.realdata


@pytest.fixture(scope="module")
def rows(data: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    return judged(data, tmp_path_factory.mktemp("hard"))


def test_every_row_of_the_manifest_agrees(rows: list[Row]) -> None:
    assert len(rows) == 161
    assert [row for row in rows if not row.agrees] == []


def test_every_file_is_named_by_a_finding_where_it_lies(rows: list[Row]) -> None:
    assert [row.name for row in rows if not row.folder] == []


def test_what_disagrees_is_few_and_has_a_reason(rows: list[Row]) -> None:
    assert len(DISAGREE) <= 3
    assert set(DISAGREE) <= {row.name for row in rows}
    assert all(DISAGREE.values())
