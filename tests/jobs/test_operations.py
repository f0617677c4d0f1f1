"""What the operator's page shows is what the program takes: commands are parsed, units verified, and one is run."""

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from clinic_mm import cli
from clinic_mm.report.run import open_run
from tests.cli.terminal import run
from tests.conftest import Trained

ROOT = Path(__file__).resolve().parents[2]
OPERATIONS = ROOT / "docs" / "operations"
UNITS = sorted(path.name for path in OPERATIONS.iterdir() if path.suffix in {".service", ".timer"})
PROGRAM = re.compile(r"(?:\S*/)?clinic-mm")
NOT_OURS = re.compile(r"[;&|]+|\d?>+(?:&\d|\S*)?")
MOST_EXPOSED = 2.0
"""Of 10, as systemd-analyze security reckons; 10 has no wall at all."""


def _command(words: list[str]) -> list[str] | None:
    """The words after clinic-mm, up to what the shell takes for itself."""
    start = next((at for at, word in enumerate(words) if PROGRAM.fullmatch(word)), None)
    if start is None or words[0].startswith(("#", "cp", "install", "useradd", "systemctl", "journalctl")):
        return None
    rest = words[start + 1 :]
    end = next((at for at, word in enumerate(rest) if NOT_OURS.fullmatch(word)), len(rest))
    return rest[:end]


def _lines() -> Iterator[tuple[str, str]]:
    """Everything in docs that a shell, systemd or cron would run."""
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for line in path.read_text(encoding="utf-8").splitlines():
            if re.match(r"(?:    |\$ )?(?:\S+=\S+ )*(?:clinic-mm|ray job submit) ", line):
                yield path.name, line.strip()
    for name in UNITS:
        for line in re.findall(r"^ExecStart=(.*)$", (OPERATIONS / name).read_text(), re.MULTILINE):
            yield name, line
    for line in re.findall(r"^\d.*$", (OPERATIONS / "clinic-mm.cron").read_text(), re.MULTILINE):
        yield from (("clinic-mm.cron", part) for part in re.split(r"&&|;", line) if "clinic-mm/bin" in part)


def _parse(words: list[str]) -> None:
    command = typer.main.get_command(cli.app)
    while isinstance(command, TyperGroup):
        _, found, words = command.resolve_command(typer.Context(command), words)
        assert found is not None
        command = found
    with command.make_context(command.name, words):
        pass


@pytest.mark.parametrize(("where", "line"), [pytest.param(*found, id=": ".join(found)) for found in _lines()])
def test_every_command_of_the_docs_is_one_that_the_program_takes(where: str, line: str) -> None:
    words = _command(shlex.split(line, comments=True))
    assert words, where
    _parse(words)


def test_a_command_that_the_program_does_not_take_would_be_found() -> None:
    with pytest.raises(Exception, match="wach"):
        _parse(["screen", "model", "cohort", "--out", "run", "--wach"])


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units as they would be installed, with the program of this machine."""
    for name in UNITS:
        text = (OPERATIONS / name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(text.replace("/opt/clinic-mm/bin/clinic-mm", sys.executable))
    return tmp_path


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_systemd_takes_the_units_and_finds_them_well_walled(units: Path) -> None:
    files = [str(units / name) for name in UNITS]
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *files], capture_output=True, text=True)  # noqa: S603, S607
    assert (done.returncode, done.stderr) == (0, "")
    for file in files:
        if file.endswith(".service"):
            asked = ["systemd-analyze", "security", "--offline=yes", f"--threshold={int(10 * MOST_EXPOSED)}", file]
            assert subprocess.run(asked, capture_output=True).returncode == 0, file  # noqa: S603


def test_a_service_may_write_nowhere_but_where_its_command_says() -> None:
    for name in UNITS:
        text = (OPERATIONS / name).read_text(encoding="utf-8")
        if name.endswith(".service"):
            (allowed,) = re.findall(r"^ReadWritePaths=(.*)$", text, re.MULTILINE)
            assert set(re.findall(r"--(?:out|cohort-out|home) (\S+)", text)) == set(allowed.split())


def test_the_watch_is_not_started_again_where_a_person_must_mend_and_the_pod_neither() -> None:
    yaml = pytest.importorskip("yaml")
    watch = (OPERATIONS / "clinic-mm-watch.service").read_text(encoding="utf-8")
    (prevent,) = re.findall(r"^RestartPreventExitStatus=(.*)$", watch, re.MULTILINE)
    job, _ = yaml.safe_load_all((OPERATIONS / "kubernetes.yaml").read_text(encoding="utf-8"))
    rules = job["spec"]["jobTemplate"]["spec"]["podFailurePolicy"]["rules"]
    assert rules[0]["onExitCodes"]["values"] == [int(code) for code in prevent.split()]


def test_the_commands_of_the_cluster_examples_are_ones_that_the_program_takes() -> None:
    yaml = pytest.importorskip("yaml")
    job, policy = yaml.safe_load_all((OPERATIONS / "kubernetes.yaml").read_text(encoding="utf-8"))
    pod = job["spec"]["jobTemplate"]["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    assert container["command"] == ["clinic-mm"]
    _parse(container["args"])
    assert policy["spec"]["podSelector"]["matchLabels"] == pod["metadata"]["labels"]
    mounts = {mount["name"] for mount in container["volumeMounts"]}
    assert mounts == {volume["name"] for volume in pod["spec"]["volumes"]}
    ray = yaml.safe_load((OPERATIONS / "ray.yaml").read_text(encoding="utf-8"))
    words = _command(shlex.split(ray["spec"]["entrypoint"]))
    assert words
    _parse(words)


FIELD = r"(?:\*|\d+(?:-\d+)?(?:,\d+(?:-\d+)?)*)(?:/\d+)?"


def test_the_cron_file_has_times_a_user_and_an_end_of_line() -> None:
    text = (OPERATIONS / "clinic-mm.cron").read_text(encoding="utf-8")
    assert text.endswith("\n")  # cron ignores a last line without it
    jobs = [line for line in text.splitlines() if line and not re.match(r"#|[A-Z_]+=", line)]
    (job,) = jobs
    assert re.match(rf"(?:{FIELD}\s+){{5}}clinic-mm ", job)
    assert "%" not in job  # which cron takes for an end of line


@pytest.mark.long
def test_the_nightly_service_does_what_it_says_on_a_small_cohort(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "srv"
    site.mkdir()
    (site / "evidence").symlink_to(trained.files)
    (site / "model").symlink_to(trained.model)
    monkeypatch.setenv("CLINIC_MM_KEY", str(trained.key))
    text = (OPERATIONS / "clinic-mm-nightly.service").read_text(encoding="utf-8")
    lines = re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)
    assert len(lines) == 2
    for _ in range(2):  # two evenings
        for line in lines:
            words = _command(shlex.split(line.replace("/srv/clinic-mm", str(site))))
            assert words
            said = run(capsys, *words)
            assert said.code == 0, said.err
    counts = open_run(site / "run").info.counts
    assert counts.total == 64
    assert counts.trouble == 0
