"""Nothing that says who somebody is stands in anything that a command says, logs or keeps in a run."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pandas as pd

from tests.conftest import Trained
from tests.fuzz.gate import ROOT
from tests.fuzz.tokens import Tokens, plant

LOUD: Final = """
import json, logging, sys, warnings
logging.basicConfig(level=logging.DEBUG)
warnings.simplefilter("always")
from clinic_mm.cli import main
codes = {}
for name, words in json.loads(sys.argv[1]).items():
    sys.argv = ["clinic-mm", *words]
    try:
        main()
    except SystemExit as ended:
        codes[name] = ended.code or 0
print("\\x1e" + json.dumps(codes))
"""
"""All commands in one process, with everything that any library logs or warns of on stderr."""
UNFORESEEN: Final = 1
"""Exit code of an error of our own."""


def run(n: int, seed: int, model: Path | None = None) -> dict[str, Any]:
    """Plant, hurt `n` files, and let ingest, describe, predict and screen speak of them.

    Returns:
        How many tokens were planted, how many bytes were looked through, and the leaks: command and token.
    """
    began = time.monotonic()
    with TemporaryDirectory() as folder:
        work = Path(folder)
        tokens = plant(work / "files", n, seed)
        ended = _said(_commands(work, model or _model(work)))
        said, codes = ended.stdout + ended.stderr, json.loads(ended.stdout.rpartition(b"\x1e")[2])
        leaks, looked = [f"said or logged: {token}" for token in tokens.in_bytes(said)], len(said)
        for path in (work / "run").rglob("*"):
            if path.is_file():
                kept = _readable(path)
                looked += len(kept)
                leaks += [f"run/{path.suffix}: {token}" for token in tokens.in_bytes(kept)]
        planted = len(set(tokens.made))
    return {
        "planted": planted,
        "hurt": n,
        "looked_through_bytes": looked,
        "exit_codes": codes,
        "leaks": leaks,
        "seconds": time.monotonic() - began,
    }


def _commands(work: Path, model: Path) -> dict[str, list[object]]:
    files, cohort = work / "files", work / "cohort"
    paths: list[object] = ["--xray", files / "good0", "--record", files / "good2", "--note", files / "good2"]
    hurt: list[object] = ["--xray", files / "hurt0", "--record", files / "hurt2", "--note", files / "hurt2"]
    return {
        "ingest": ["ingest", files, "--out", cohort, "--key", work / "pseudonym.key"],
        "ingest --json": ["ingest", files, "--out", cohort, "--key", work / "pseudonym.key", "--json"],
        "describe": ["describe", cohort, "--json"],
        "predict": ["predict", model, *paths, "--json", "--fhir", work / "run" / "one.json"],
        "predict, hurt": ["predict", model, *hurt],
        "predict, nothing fits": ["predict", model, "--xray", files / "hurt3", "--record", files / "good3"],
        "screen": ["screen", model, cohort, "--out", work / "run" / "screen"],
        "describe run": ["describe", work / "run" / "screen"],
        "ingest, no key": ["ingest", files, "--out", cohort, "--key", files],
    }


def _said(commands: dict[str, list[object]]) -> subprocess.CompletedProcess[bytes]:
    environment = {name: value for name, value in os.environ.items() if name != "CLINIC_MM_DEBUG"}
    told = json.dumps({name: [str(word) for word in words] for name, words in commands.items()})
    command = [sys.executable, "-c", LOUD, told]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, timeout=240, check=True)  # noqa: S603 - ours


def _readable(path: Path) -> bytes:
    """The bytes of a file; a packed table as text."""
    if path.suffix == ".parquet":
        return bytes(pd.read_parquet(path).to_csv().encode())
    return path.read_bytes()


def _model(work: Path) -> Path:
    from clinic_mm.cohort.ingest import ingest
    from clinic_mm.simulate.cohort import write_cohort
    from clinic_mm.task import read_task
    from clinic_mm.training.train import train

    write_cohort(work / "sim", cases=64, seed=1, rate=0.4, modalities=("xray", "record", "note"))
    with (work / "sim" / "task.toml").open("a", encoding="utf-8") as file:
        file.write("folds = 2\n[train]\nepochs = 0\nthreads = 1\n")
    cohort = ingest(work / "sim", work / "sim-cohort", key=work / "sim.key")
    train(cohort, read_task(work / "sim" / "task.toml"), work / "model", test_share=0.4)
    return work / "model"


def test_no_token_in_what_is_said_logged_or_kept(trained: Trained) -> None:
    result = run(40, 1, trained.model)
    assert result["leaks"] == []
    assert result["planted"] > 500
    assert UNFORESEEN not in result["exit_codes"].values(), json.dumps(result["exit_codes"])
    assert result["exit_codes"]["screen"] == 0


def test_a_leak_would_be_seen(tmp_path: Path) -> None:
    tokens = Tokens()
    word, day = tokens.word(), tokens.birth()
    (tmp_path / "a.txt").write_text(f"{word.lower()} {day[:4]}-{day[4:6]}-{day[6:]}")
    pd.DataFrame({"who": [word]}).to_parquet(tmp_path / "a.parquet")
    assert len(tokens.in_bytes(_readable(tmp_path / "a.txt"))) == 2
    assert tokens.in_bytes(_readable(tmp_path / "a.parquet")) == [word]
