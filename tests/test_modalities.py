"""Every row of the table of modalities can be followed to its parts."""

from dataclasses import replace
from importlib.metadata import EntryPoint

import pytest

from clinic_mm import modalities
from clinic_mm.encoders.base import Encoder
from clinic_mm.errors import TaskError
from clinic_mm.modalities import BUILT_IN, modality, resolve, table
from clinic_mm.prep.base import Prep


@pytest.mark.parametrize("name", sorted(table()))
def test_a_row_leads_to_a_reader_a_prep_and_an_encoder(name: str) -> None:
    row = modality(name)
    assert callable(resolve(row.load))
    assert issubclass(resolve(row.prep), Prep)
    assert resolve(row.prep).kind == name
    assert issubclass(resolve(row.encoder), Encoder)
    assert row.cost > 0
    assert row.label
    assert "+" not in name


def test_an_unknown_name_is_answered_with_the_nearest_and_the_list() -> None:
    with pytest.raises(TaskError, match=r"Did you mean 'xray'\? Known: ct, xray, eeg, record, note"):
        modality("x-ray")


def test_an_installed_package_adds_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    added = EntryPoint("spirometry", "tests.test_modalities:SPIROMETRY", "clinic_mm.modalities")
    monkeypatch.setattr(modalities, "entry_points", lambda group: [added] if group == "clinic_mm.modalities" else [])
    table.cache_clear()
    try:
        assert modality("spirometry") is SPIROMETRY
        assert list(table())[:-1] == [row.name for row in BUILT_IN]
    finally:
        monkeypatch.undo()
        table.cache_clear()


SPIROMETRY = replace(BUILT_IN[2], name="spirometry", label="Spirometry")
