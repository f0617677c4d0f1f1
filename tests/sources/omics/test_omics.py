"""Omics: every form gives the same samples, what a matrix cannot be is refused, and no sample is given to a guess."""

import tracemalloc
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from clinic_mm.cohort.ingest import ingest
from clinic_mm.errors import EvidenceError, TaskError
from clinic_mm.prep.batch import fit_preps, plan_recipe, prepare_cases
from clinic_mm.sources.found import Found
from clinic_mm.sources.omics import lines as reading
from clinic_mm.sources.omics import matrix as laying
from clinic_mm.sources.omics.declared import Declared, declared
from clinic_mm.sources.omics.matrix import open_matrix
from clinic_mm.sources.omics.sample import find_omics, load
from clinic_mm.task import parse_task
from clinic_mm.types import Evidence, Rejected
from tests.sources.omics.matrices import GENES, SAMPLES, SUFFIX, counts, written

ZONE = ZoneInfo("Europe/Berlin")


def found(path: Path, **options: object) -> list[Found]:
    return list(find_omics(path.parent, "r", [path], ZONE, **options))


def text(folder: Path, content: str, name: str = "m.csv") -> Path:
    (folder / name).write_text(content, encoding="utf-8")
    return folder / name


@pytest.mark.parametrize("form", SUFFIX)
@pytest.mark.parametrize("block", [50, 10**6], ids=["many blocks", "one block"])
def test_every_form_gives_the_same_samples(
    tmp_path: Path, form: str, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "BLOCK_VALUES", block)
    monkeypatch.setattr(laying, "BLOCK_VALUES", block)
    path, options = written(tmp_path, form)
    ones = found(path, scale="counts", ids="ensembl", **options)
    assert [one.patient_id for one in ones] == SAMPLES
    for one, name in zip(ones, SAMPLES, strict=True):
        assert isinstance(one.finding, Evidence)
        sample = load([path], locator=one.finding.locator)
        assert list(sample.features) == GENES
        np.testing.assert_array_equal(sample.values, counts().loc[name].to_numpy())
    assert sample.peers is not None
    mean, spread = sample.peers.typical()
    million = np.log1p(1e6 * counts().to_numpy() / counts().sum(axis=1).to_numpy()[:, None])
    np.testing.assert_allclose(mean, million.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(spread, million.std(axis=0), atol=2e-3)


def test_a_matrix_is_laid_out_in_the_memory_of_a_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "BLOCK_VALUES", 20_000)
    monkeypatch.setattr(laying, "BLOCK_VALUES", 20_000)
    n, p = 150, 2000
    line = "\n".join(",".join([f"g{k}", *["7"] * n]) for k in range(p))
    path = text(tmp_path, ",".join(["id", *(f"s{k}" for k in range(n))]) + "\n" + line)
    tracemalloc.start()
    matrix = open_matrix(path, Declared(layout="samples_in_columns", scale="counts"))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert matrix.values.shape == (n, p)
    assert most < 0.8 * n * p * 4, "the whole would be 1.2 MB, and more as Python's numbers"


GOOD = "id,a,b,c,d\ns1,1,2,3,4\ns2,2,3,4,70\n"
ROWS = {"layout": "samples_in_rows"}
REFUSED: dict[str, tuple[str, str, dict[str, object]]] = {
    "nothing declared": ("omics.undeclared", GOOD, {}),
    "a sample twice": ("omics.duplicate_sample", GOOD.replace("s2", "s1"), {**ROWS, "scale": "counts"}),
    "a feature twice": ("omics.duplicate_feature", GOOD.replace("b,c", "b,b"), {**ROWS, "scale": "counts"}),
    "a word": ("omics.not_numeric", GOOD.replace("3,4\n", "high,4\n"), {**ROWS, "scale": "counts"}),
    "1_000": ("omics.not_numeric", GOOD.replace("3,4\n", "1_000,4\n"), {**ROWS, "scale": "counts"}),
    "negative counts": ("omics.negative", GOOD.replace("3,4\n", "-3,4\n"), {**ROWS, "scale": "counts"}),
    "negative rate": ("omics.negative", GOOD.replace("3,4\n", "-3,4\n"), {**ROWS, "scale": "rate"}),
    "beta of 2": ("omics.beta_range", GOOD, {**ROWS, "scale": "beta"}),
    "counts as log": ("omics.not_log", GOOD, {**ROWS, "scale": "log"}),
    "log as counts": ("omics.not_counts", "id,a,b\ns1,1.5,2.25\ns2,3.5,4\n", {**ROWS, "scale": "counts"}),
    "infinite": ("omics.not_finite", GOOD.replace("3,4\n", "inf,4\n"), {**ROWS, "scale": "counts"}),
    "other ids": ("omics.other_ids", GOOD, {**ROWS, "scale": "counts", "ids": "ensembl"}),
    "lies the other way": (
        "omics.other_ids",
        f"gene,{','.join(SAMPLES)}\n{GENES[0]},1,2,3,4,5,6\n{GENES[1]},1,2,3,4,5,7\n",
        {**ROWS, "scale": "counts", "ids": "ensembl"},
    ),
    "no id": ("omics.blank_id", GOOD.replace("s2", ""), {**ROWS, "scale": "counts"}),
    "ragged": ("omics.unreadable", GOOD.replace("3,4\n", "3\n"), {**ROWS, "scale": "counts"}),
    "only a header": ("omics.empty", "id,a,b\n", {**ROWS, "scale": "counts"}),
    "nothing": ("file.empty", "", {**ROWS, "scale": "counts"}),
    "no such column": ("omics.unreadable", GOOD, {**ROWS, "scale": "counts", "ignore": ["age"]}),
    "no Parquet": ("omics.unreadable", "PAR1 and nothing", {**ROWS, "scale": "counts"}),
    "another scale": ("omics.undeclared", "feature,beta\na,0.1\nb,0.2\n", {"layout": "sheet", "scale": "counts"}),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_matrix_cannot_be_is_refused(tmp_path: Path, name: str) -> None:
    code, content, options = REFUSED[name]
    (one,) = found(text(tmp_path, content), **options)
    assert isinstance(one.finding, Rejected)
    assert (one.finding.code, bool(one.finding.mend)) == (code, True)


def test_a_bad_sample_costs_no_other(tmp_path: Path) -> None:
    path = text(tmp_path, "id,a,b,c,d\ns1,1,2,3,4\ns2,NA,,nan,4\ns3,5,5,5,5\ns4,1,2,3,\n")
    one, missing, constant, few = (each.finding for each in found(path, scale="rate", **ROWS))
    assert isinstance(one, Evidence)
    assert isinstance(missing, Rejected)
    assert isinstance(constant, Rejected)
    assert isinstance(few, Evidence)
    assert (missing.code, constant.code) == ("omics.missing", "omics.constant")
    assert [flag.code for flag in few.flags] == ["omics.missing"]
    assert np.isnan(load([path], locator=few.locator).values[3])


def test_genes_that_became_dates_and_estimated_counts_are_flagged(tmp_path: Path) -> None:
    symbols = ["TP53", "KRAS", "MYC", "EGFR", "2-Sep", "1-Mar"]
    path = text(tmp_path, f"id,{','.join(symbols)}\ns1,100.5,7,80.2,9,1,3\n")
    (one,) = found(path, scale="counts", ids="symbol", **ROWS)
    assert isinstance(one.finding, Evidence)
    assert [flag.code for flag in one.finding.flags] == ["omics.dates_for_genes", "omics.fractional_counts"]


def test_a_sheet_says_its_scale_itself(tmp_path: Path) -> None:
    path = text(tmp_path, "feature,beta\ncg00000001,0.25\ncg00000002,0.75\n")
    (one,) = found(path)
    assert isinstance(one.finding, Evidence)
    assert (one.patient_id, one.finding.locator) == ("", "")
    sample = load([path])
    assert (sample.scale, sample.peers, sample.values.tolist()) == ("beta", None, [0.25, 0.75])


def test_a_sheet_of_samples_says_whose_each_is_and_when(tmp_path: Path) -> None:
    path = text(tmp_path, GOOD + "s3,1,2,3,9\ns4,1,2,5,9\n")
    text(tmp_path, "Sample_ID,patient,at\ns1,P1,2026-03-01T09:00:00\ns2,P2,\ns4,P4,\ns4,P5,\n", "samples.csv")
    sheet = {"path": "samples.csv", "patient": "patient", "time": "at"}
    files = [path, tmp_path / "samples.csv"]
    ones = list(find_omics(tmp_path, "r", files, ZONE, scale="counts", samples=sheet, **ROWS))
    assert [one.patient_id for one in ones] == ["P1", "P2", "", ""], "not listed, or two patients': nobody's"
    times = [one.finding.acquired_at for one in ones]
    assert times == [datetime(2026, 3, 1, 8, tzinfo=UTC), None, None, None]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"layout": "rows", "scale": "counts"}, "layout"),
        ({"layout": "samples_in_rows"}, "scale"),
        ({"layout": "samples_in_rows", "scale": "tpm"}, "Known: counts, rate, log, beta"),
        ({"layout": "samples_in_rows", "scale": "counts", "ids": "ensemble"}, "Known: ensembl"),
        ({"layout": "samples_in_rows", "scale": "counts", "lay": 1}, "did you mean 'layout'"),
    ],
)
def test_a_wrong_declaration_is_answered_with_its_field(options: dict[str, object], says: str) -> None:
    with pytest.raises(TaskError, match=says):
        declared(options)


def test_a_sheet_of_samples_that_is_not_there_or_lacks_a_column_is_a_mistake_of_the_cohort(tmp_path: Path) -> None:
    path = text(tmp_path, GOOD)
    for sheet in ({"path": "nowhere.csv"}, {"path": "m.csv"}):
        with pytest.raises(TaskError, match="sheet of samples"):
            found(path, scale="counts", samples=sheet, **ROWS)


def test_several_tables_are_no_sample(tmp_path: Path) -> None:
    with pytest.raises(EvidenceError):
        load([tmp_path / "a", tmp_path / "b"])


COHORT = """
[[source]]
name = "rna"
path = "gene.csv"
kind = "omics"
named = "gene"
options = { layout = "samples_in_rows", scale = "counts" }
[[source]]
name = "small_rna"
path = "mirna"
kind = "omics"
named = "mirna"
patient = "stem"
options = { layout = "sheet", scale = "log", ids = "mirna" }
[[source]]
name = "arrays"
path = "methylation.parquet"
kind = "omics"
named = "methylation"
options = { layout = "samples_in_columns", scale = "beta", ids = "cpg" }
"""


def test_three_assays_of_three_sources_are_three_modalities(tmp_path: Path) -> None:
    rng, patients = np.random.default_rng(0), [f"P{n}" for n in range(8)]
    gene = counts().reset_index(drop=True)
    gene = gene.loc[[n % len(gene) for n in range(8)]].set_axis(patients) + rng.integers(0, 50, (8, len(GENES)))
    gene.loc["P0"] = 7  # every gene the same: refused
    gene.to_csv(tmp_path / "gene.csv", index_label="id")
    (tmp_path / "mirna").mkdir()
    for patient in patients[1:]:
        values = [f"hsa-miR-{k},{value:.3f}" for k, value in enumerate(rng.normal(5, 2, 12))]
        text(tmp_path / "mirna", "\n".join(["feature,log", *values]), f"{patient}.csv")
    beta = counts().T.set_axis([f"cg{k:08d}" for k in range(len(GENES))])
    beta = beta.sample(n=8, axis=1, replace=True, random_state=0).set_axis(patients, axis=1)
    (0 * beta + rng.beta(2, 2, beta.shape)).to_parquet(tmp_path / "methylation.parquet")
    text(tmp_path, COHORT, "cohort.toml")
    cohort = ingest(tmp_path / "cohort.toml", tmp_path / "cohort", key=tmp_path / "key")
    task = parse_task(
        {
            "target": "ill",
            "modalities": ["gene", "mirna", "methylation"],
            "modality": {name: {"kind": "omics"} for name in ("gene", "mirna", "methylation")},
        }
    )
    cases = cohort.cases(modalities=["omics"])
    recipe = fit_preps(cases, cohort.roots, plan_recipe(task))
    prepared = prepare_cases(cases, cohort.roots, recipe)
    assert {name: prep.recipe["scale"] for name, prep in recipe.preps.items()} == {
        "gene": "counts",
        "mirna": "log",
        "methylation": "beta",
    }
    assert prepared.present.sum(axis=0).tolist() == [7, 7, 8]
    (told,) = [case for case in prepared.outcomes if isinstance(case["gene"].no, Rejected)]
    assert told["gene"].no.code == "omics.constant"
    assert told["mirna"].no.status == "absent", "what is wrong with the one assay is not told of the other"
    assert told["methylation"].no is None


def test_no_name_of_a_file_can_say_whose_the_samples_of_a_matrix_are(tmp_path: Path) -> None:
    text(tmp_path, GOOD, "gene.csv")
    text(tmp_path, COHORT.split('[[source]]\nname = "small')[0] + 'patient = "stem"\n', "cohort.toml")
    with pytest.raises(TaskError, match="holds several patients"):
        ingest(tmp_path / "cohort.toml", tmp_path / "cohort", key=tmp_path / "key")


@pytest.mark.realdata
def test_a_real_table_of_712_people_is_read_as_it_is_declared(data: Path) -> None:
    path = data / "multimodal" / "psychiatric_eeg.csv"
    ignore = ["sex", "age", "education", "IQ", "label", "diagnosis"]
    ones = found(path, layout="samples_in_rows", scale="rate", ignore=ignore)
    assert len(ones) == 712
    assert all(isinstance(one.finding, Evidence) for one in ones)
    sample = load([path], locator=ones[0].finding.locator)
    assert sample.features == tuple(f"{b}_average" for b in ("delta", "theta", "alpha", "beta", "highbeta", "gamma"))
    assert sample.values[0] == np.float32(21.23040163)
    (undeclared,) = found(path, layout="samples_in_rows", scale="rate")
    assert isinstance(undeclared.finding, Rejected)
    assert undeclared.finding.code == "omics.not_numeric", "a diagnosis is no value of an assay"
