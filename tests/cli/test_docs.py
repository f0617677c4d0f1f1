"""What the docs say is what the code does."""

import inspect
import re
import tomllib
from pathlib import Path

import pytest

from clinic_mm import errors
from clinic_mm.cohort.spec import parse_spec
from clinic_mm.sources.tables.mapping import Mapping, parse_mapping
from clinic_mm.task import Task, parse_task
from tests.cli.test_help import COMMANDS
from tests.conftest import Trained

DOCS = Path(__file__).resolve().parents[2] / "docs"
BLOCK = re.compile(r"^```toml\n(.*?)^```", re.MULTILINE | re.DOTALL)


def _text(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def _blocks(name: str) -> list[str]:
    return BLOCK.findall(_text(name))


def test_every_command_and_only_those_stand_in_the_docs() -> None:
    assert sorted(re.findall(r"^### ([a-z ]+)$", _text("commands.md"), re.MULTILINE)) == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_an_example_in_the_docs(command: str) -> None:
    section = _text("commands.md").split(f"### {command}\n")[1].split("\n### ")[0]
    assert f"\n    clinic-mm {command}" in section


def test_every_exit_code_stands_in_the_docs() -> None:
    told = {row[1]: row[0] for row in re.findall(r"^\| (\d+) \|[^|]*\| ([^|]*) \|", _text("commands.md"), re.MULTILINE)}
    for name, kind in inspect.getmembers(errors, inspect.isclass):
        if issubclass(kind, errors.ClinicError):
            assert [code for names, code in told.items() if f"`{name}`" in names] == [str(kind.exit_code)]


def test_the_task_of_the_docs_is_one_and_names_every_field() -> None:
    (block,) = _blocks("task_file.md")
    given = tomllib.loads(block)
    task = parse_task(given)
    assert task.kind_of("labs") == "record"
    assert set(given) == set(Task.model_fields)


def test_every_cohort_and_mapping_of_the_docs_is_one() -> None:
    blocks = _blocks("cohort_file.md")
    cohorts = [tomllib.loads(block) for block in blocks if block.startswith("# cohort\n")]
    mappings = [tomllib.loads(block) for block in blocks if block.startswith("# mapping\n")]
    assert len(cohorts) + len(mappings) == len(blocks)
    specs = [parse_spec(one) for one in cohorts]
    assert {source.patient for source in specs[0].source} == {"header", "folder", "stem", "table"}
    inline = [source.mapping for spec in specs for source in spec.source if isinstance(source.mapping, dict)]
    parsed: list[Mapping] = [parse_mapping(one) for one in (*mappings, *inline)]
    assert {mapping.layout for mapping in parsed} == {"wide", "long", "notes", "files"}


def test_every_file_of_a_model_and_a_cohort_stands_in_the_docs(trained: Trained) -> None:
    told = _text("artifact.md")
    for folder in (trained.model, trained.cohort):
        for path in folder.iterdir():
            assert f"`{path.name}`" in told
