"""What the docs say is what the program does, and it keeps nothing that PS3.15 removes but by an option."""

import tomllib
from pathlib import Path

import pytest
from pydicom.datadict import tag_for_keyword

from clinic_mm.bundle import folder
from clinic_mm.deid.plan import as_markdown, plan
from clinic_mm.deid.policy import read_policy
from clinic_mm.errors import UsageError
from tests.cli.terminal import run

DOCS = Path(__file__).resolve().parents[2] / "docs" / "deidentify.md"
MODIFIED_DATES = {"StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate", "InstanceCreationDate"}
BY_ITEM = {"ReferencedImageSequence", "SourceImageSequence"}
"""The standard removes or empties these, or replaces the UIDs in them (X/Z/U*): we do the last."""


def _basic() -> dict[str, str]:
    table = tomllib.loads((folder("schemas") / "deid_ps315.toml").read_text(encoding="utf-8"))["basic"]
    return {tag: letters for letters, tags in table.items() for tag in tags}


def test_the_table_of_the_docs_is_the_programs_own(capsys: pytest.CaptureFixture[str]) -> None:
    told = DOCS.read_text(encoding="utf-8").split("<!-- plan -->\n")[1].split("\n<!-- /plan -->")[0]
    assert told == as_markdown(plan())
    said = run(capsys, "deidentify", "--plan")
    assert said.code == 0
    assert said.out.strip() == told


def test_every_option_shows_in_the_plan_and_in_the_docs() -> None:
    lists = read_policy().lists
    told = (DOCS.parent / "commands.md").read_text(encoding="utf-8")
    for options in (one.get("options", {}) for one in lists.values()):
        for name in options:
            assert plan([name]) != plan()
            assert f"`{name}`" in told


def test_an_option_that_is_not_there_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="descriptors"):
        plan(["descriptor"])


def test_nothing_is_kept_that_the_standard_removes() -> None:
    lists, basic = read_policy().lists["dicom"], _basic()
    kept = {
        name for group in ("numbers", "codes", "sequences", "code_sequences", "lookup_tables") for name in lists[group]
    }
    kept = {name for name in kept if f"{tag_for_keyword(name):08X}" in basic} - BY_ITEM
    assert not kept
    removed = {name for name in lists["forms"] if f"{tag_for_keyword(name):08X}" in basic}
    assert removed == {"TimezoneOffsetFromUTC"}  # stays under the option of modified dates


def test_uids_and_dates_are_treated_as_the_standard_says() -> None:
    lists, basic = read_policy().lists["dicom"], _basic()
    for name in lists["uids"]:
        assert "U" in basic.get(f"{tag_for_keyword(name):08X}", "U"), name
    assert set(lists["dates"]) >= MODIFIED_DATES
    for name in lists["empty"]:
        assert "Z" in basic[f"{tag_for_keyword(name):08X}"], name


def test_every_code_of_the_docs_is_in_the_code() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in Path(plan.__code__.co_filename).parent.glob("*.py"))
    told = {
        word.strip("`(),.:;")
        for word in DOCS.read_text(encoding="utf-8").split()
        if word.strip("`(").startswith("deid.")
    }
    assert told
    assert all(f'"{one}"' in code for one in told)
