"""docs/add_a_modality.md, followed to the letter: its blocks become a package, its commands are run."""

import re
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from clinic_mm.bundle import folder
from clinic_mm.modalities import BUILT_IN, table
from clinic_mm.prep.code import code_version
from clinic_mm.report.run import open_run
from tests.cli.terminal import run
from tests.signed_in import signed_in

PAGE = Path(__file__).resolve().parents[1] / "docs" / "add_a_modality.md"
BLOCK = re.compile(r"^```(?:python|toml)\n# (\S+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMANDS = re.compile(r"^    ((?:pip|python|clinic-mm) .+)$", re.MULTILINE)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The files of the page, installed as `pip install .` installs them: on the path, with a dist-info."""
    for name, text in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    told = (tmp_path / "pyproject.toml").read_text(encoding="utf-8")
    row = re.search(r'^\[project.entry-points."(.+)"\]\n(\S+) = "(.+)"$', told, re.MULTILINE)
    assert row
    info = tmp_path / "clinic_spirometry-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: clinic-spirometry\nVersion: 0.1\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[{row[1]}]\n{row[2]} = {row[3]}\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    table.cache_clear()
    yield tmp_path
    table.cache_clear()
    for module in [name for name in sys.modules if name.split(".")[0] in {"clinic_spirometry", "components", "views"}]:
        del sys.modules[module]


def test_the_page_adds_a_modality(
    package: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert set(table()) - {one.name for one in BUILT_IN} == {"spirometry"}
    done = []
    for command in COMMANDS.findall(PAGE.read_text(encoding="utf-8")):
        words = command.split()
        if words[0] == "python":
            runpy.run_path(words[1])
        elif words[0] == "clinic-mm" and words[1] != "dashboard":
            told = run(capsys, *words[1:], *(["--workers", 1] if words[1] == "screen" else []))
            assert told.code == 0, told.err
            done.append((words[1], told.out))
    assert [name for name, _ in done] == ["ingest", "train", "predict", "screen"]
    said = dict(done)
    assert re.search(r"spirometry +50 +0 +0 +0", said["ingest"]), "all 50 curves are somebody's"
    assert "Probability of positive" in said["predict"]
    # A guard learnt from 30 curves may take one or two good ones for foreign, and says so; none may fail.
    told = re.search(r"(\d+) answered, (\d+) without an answer, (\d+) skipped, 0 failed", said["screen"])
    assert told, said["screen"]
    answered, silent, skipped = map(int, told.groups())
    assert answered + silent >= 45
    assert answered + silent + skipped == 50
    test = _case_page(package / "run", monkeypatch)
    assert not test.exception
    assert not test.error
    words = "\n".join(str(part.value) for part in [*test.markdown, *test.caption, *test.warning]).replace("\\", "")
    assert "##### Spirometry" in words
    assert "FVC " in words, "its own viewer drew it"
    assert "Cannot be shown" not in words


def test_a_broken_curve_is_refused_with_its_reason_and_stops_nothing(
    package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runpy.run_path("make.py")
    (package / "files" / "000.spiro").write_text("SIM-000,2026-01-05T09:30:00Z\n0.0,zero\n", encoding="utf-8")
    told = run(capsys, "ingest", "cohort.toml", "--out", "cohort", "--key", "pseudonym.key")
    assert told.code == 0
    assert "spirometry.numbers" in told.out
    assert re.search(r"spirometry +49 ", told.out)


def test_whatever_its_package_changes_is_prepared_anew(package: Path) -> None:
    before = code_version.__wrapped__("spirometry")
    assert code_version.__wrapped__("spirometry") == before
    (package / "clinic_spirometry" / "tables.py").write_text("NORMAL = 0.7", encoding="utf-8")
    assert code_version.__wrapped__("spirometry") != before


def _case_page(run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    with signed_in(monkeypatch, run_folder.parent / "room", run_folder):
        test = AppTest.from_file(str(folder("dashboards") / "app.py"), default_timeout=60)
        test.query_params["case"] = str(open_run(run_folder).worklist()["case_key"].iloc[0])
        test.switch_page("views/case.py")
        return test.run()
