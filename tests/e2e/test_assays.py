"""Gene expression, miRNA, methylation and a cough in one task, from files to the page: each a modality of its own."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.io import wavfile
from streamlit.testing.v1 import AppTest

from clinic_mm.bundle import folder
from clinic_mm.report.run import open_run
from tests.cli.terminal import run
from tests.signed_in import signed_in

PATIENTS, GENES, RATE = 48, 300, 16_000
COHORT = """
[[source]]
name = "rna"
path = "gene.tsv"
kind = "omics"
named = "gene"
options = { layout = "samples_in_columns", scale = "counts" }
[[source]]
name = "small_rna"
path = "mirna.csv"
kind = "omics"
named = "mirna"
options = { layout = "samples_in_rows", scale = "log", ids = "mirna" }
[[source]]
name = "arrays"
path = "methylation.parquet"
kind = "omics"
named = "methylation"
options = { layout = "samples_in_rows", scale = "beta", ids = "cpg" }
[[source]]
name = "coughs"
path = "coughs"
patient = "stem"
[labels]
path = "labels.csv"
"""
TASK = """
target = "ill"
modalities = ["gene", "mirna", "methylation", "cough"]
folds = 2
modality.gene.kind = "omics"
modality.mirna.kind = "omics"
modality.methylation.kind = "omics"
modality.cough = { kind = "audio", sound = "cough" }
train = { epochs = 0, threads = 1 }
"""


def _write(root: Path) -> None:
    rng, patients = np.random.default_rng(0), [f"P{n:02d}" for n in range(PATIENTS)]
    ill = np.arange(PATIENTS) % 2
    e = rng.normal(0, 0.7, (PATIENTS, 3)) + ill[:, None]
    programme = np.where(np.arange(GENES) < 60, 0.5, 0.0)
    logs = 4 + e[:, :1] * programme + rng.normal(0, 0.4, (PATIENTS, GENES))
    gene = pd.DataFrame(rng.poisson(np.exp(logs)), patients, [f"G{k}" for k in range(GENES)])
    gene.T.to_csv(root / "gene.tsv", sep="\t", index_label="gene")
    mirna = logs[:, 40:80] + e[:, 1:2]
    names = [f"hsa-miR-{k}" for k in range(40)]
    pd.DataFrame(mirna, patients, names).iloc[::2].to_csv(root / "mirna.csv", index_label="id")
    beta = 1 / (1 + np.exp(-rng.normal(0, 1, (PATIENTS, GENES)) - programme * e[:, 2:]))
    pd.DataFrame(beta, patients, [f"cg{k:08d}" for k in range(GENES)]).to_parquet(root / "methylation.parquet")
    (root / "coughs").mkdir()
    for patient, sick in zip(patients, ill, strict=True):
        hiss = rng.normal(0, 0.05, RATE)
        hiss[4000:9000] += (0.1 + 0.2 * sick) * rng.normal(size=5000)
        wavfile.write(root / "coughs" / f"{patient}_1.wav", RATE, hiss.clip(-1, 1).astype(np.float32))
    rows = [f"{patient},{sick}" for patient, sick in zip(patients, ill, strict=True)]
    (root / "labels.csv").write_text("\n".join(["patient_id,ill", *rows]), encoding="utf-8")
    sheet = [f"{name},{value:.3f}" for name, value in zip(names, mirna[1], strict=True)]
    (root / "sheet.csv").write_text("\n".join(["feature,log", *sheet]), encoding="utf-8")
    (root / "cohort.toml").write_text(COHORT, encoding="utf-8")
    (root / "task.toml").write_text(TASK, encoding="utf-8")


def test_several_assays_and_a_sound_from_files_to_the_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _write(tmp_path)
    for command in (
        "ingest cohort.toml --out cohort --key key",
        "train cohort --task task.toml --out model --workers 1",
        "screen model cohort --out run --workers 1",
    ):
        told = run(capsys, *command.split())
        assert told.code == 0, told.err
    work = open_run(tmp_path / "run").worklist()
    assert sorted(work["pattern"].unique()) == ["cough+gene+methylation", "cough+gene+methylation+mirna"]
    assert len(work) == PATIENTS
    one = ["predict", "model", "--evidence", "mirna=sheet.csv", "--evidence", "cough=coughs/P01_1.wav", "--json"]
    said = run(capsys, *one)
    assert said.code == 0, said.err
    assert said.json["pattern"] == ["cough", "mirna"]
    assert {m["modality"] for m in said.json["missing"]} == {"gene", "methylation"}
    wrong = run(capsys, "predict", "model", "--evidence", "gene=sheet.csv")
    assert wrong.code == 3
    assert "omics.other_scale" in wrong.err
    with_all = work.loc[work["pattern"].str.contains("mirna"), "case_key"].iloc[0]
    words = _page(tmp_path / "run", str(with_all), monkeypatch)
    for tile in ("##### gene", "##### mirna", "##### methylation", "##### Body sound"):
        assert tile in words
    assert words.count("samples of its matrix") == 3
    assert "300 of 300 features measured · methylation" in words
    assert "Cannot be shown" not in words


def _page(run_folder: Path, case_key: str, monkeypatch: pytest.MonkeyPatch) -> str:
    with signed_in(monkeypatch, run_folder.parent / "room", run_folder):
        test = AppTest.from_file(str(folder("dashboards") / "app.py"), default_timeout=60)
        test.query_params["case"] = case_key
        test.switch_page("views/case.py")
        test.run()
    assert not test.exception
    return "\n".join(str(part.value) for part in [*test.markdown, *test.caption, *test.warning]).replace("\\", "")
