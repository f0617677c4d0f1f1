"""What lies on disk of an evaluation or comparison is what a page gets: checked, and few people withheld."""

from pathlib import Path

import orjson
import pandas as pd
import pytest

from clinic_mm.errors import ArtifactError
from clinic_mm.evaluate.explorer import counted, few_to_tell, fits, values_of
from clinic_mm.evaluate.folders import found_folders
from clinic_mm.evaluate.read_back import open_comparison, open_evaluation, withheld_rows
from clinic_mm.evaluate.withheld import REST, told_counts
from clinic_mm.report.run import ModelOf, Run, RunInfo
from tests.evaluate.folders_made import write_comparison, write_evaluation

INFO = RunInfo(
    run_id="r",
    model=ModelOf(path="m", hash="h", name="n"),
    cohort="none",
    target="t",
    classes=("a", "b"),
    modalities={},
)


def test_figures_of_an_evaluation_come_back_and_those_of_few_do_not(tmp_path: Path) -> None:
    rows = open_evaluation(write_evaluation(tmp_path / "e", n=40)).patterns().set_index("pattern")
    whole = pd.read_csv(tmp_path / "e" / "by_pattern.csv")
    every = whole[(whole["method"] == "fusion") & (whole["pattern"] == "all")].iloc[0]
    assert rows.index[0] == "all"
    assert rows.loc["all", "n_patients"] == str(every["n_patients"])
    few = rows[rows["withheld"] != ""]
    assert len(few) >= 3
    assert few[["auroc", "auroc_low", "brier", "nll_high"]].isna().all(axis=None)


def test_no_figure_of_few_is_in_what_is_told(tmp_path: Path) -> None:
    rows = withheld_rows(open_comparison(write_comparison(tmp_path / "c")).tables["by_pattern"]).set_index("pattern")
    assert rows.loc["ct", "n_patients"] == "< 10"
    assert pd.isna(rows.loc["ct", "auroc"])
    assert rows.loc["all", "auroc"] == 0.8


@pytest.mark.parametrize(
    "damage", [{"schema_version": "9.0"}, {"n_patients": None}, {"methods": 3}, {"curves": [{"x": 1}]}]
)
def test_a_damaged_comparison_is_refused(tmp_path: Path, damage: dict[str, object]) -> None:
    path = write_comparison(tmp_path / "c") / "compare.json"
    path.write_bytes(orjson.dumps({**orjson.loads(path.read_bytes()), **damage}))
    with pytest.raises(ArtifactError):
        open_comparison(path.parent)


def test_only_what_the_operator_names_is_found_and_no_link_is_followed(tmp_path: Path) -> None:
    run = tmp_path / "site" / "run"
    run.mkdir(parents=True)
    (run / "run.json").touch()
    outside = write_evaluation(tmp_path / "elsewhere" / "secret")
    write_evaluation(tmp_path / "site" / "deep" / "er" / "evaluation")
    write_evaluation(tmp_path / "site" / "evaluation")
    (tmp_path / "site" / "linked").symlink_to(outside, target_is_directory=True)
    opened = Run(run, INFO)
    assert list(found_folders(opened).of("evaluation").values()) == [tmp_path / "site" / "evaluation"]
    assert found_folders(opened, beside_run=False).of("evaluation") == {}
    named = found_folders(opened, [outside.parent], beside_run=False).of("evaluation")
    assert list(named.values()) == [outside]


def test_a_hidden_group_is_not_what_the_others_leave() -> None:
    assert told_counts([57, 43]) == (["57", "43"],)
    assert told_counts([57, 3]) == (["≥ 50", "< 10"],)


def index(n: int = 120) -> pd.DataFrame:
    """Cases of patients of two sexes; nine of a third site; every fourth refused twice."""
    return pd.DataFrame(
        {
            "case_key": [f"c{i}" for i in range(n)],
            "patient_key": [f"p{i}" for i in range(n)],
            "label": pd.Categorical(["b" if i % 3 == 0 else "a" for i in range(n)]),
            "sex": pd.Categorical(["female" if i % 2 else "male" for i in range(n)]),
            "site": pd.Categorical(["rare" if i < 9 else "north" for i in range(n)]),
            "refused": pd.Categorical(["ct x.y;eeg z" if i % 4 == 0 else "" for i in range(n)]),
        }
    )


def test_choices_of_the_explorer_are_those_of_plain_pandas() -> None:
    rows = index()
    wanted = {"sex": ["female"], "refused": [], "label": ["a", "b"]}
    assert fits(rows, wanted).tolist() == (rows["sex"] == "female").tolist()
    assert fits(rows, {"refused": ["eeg z"]}).tolist() == rows["refused"].astype(str).str.contains("eeg z").tolist()
    assert values_of(rows, "refused") == ["ct x.y", "eeg z"]
    assert values_of(rows, "site") == ["north"]
    assert few_to_tell(rows["patient_key"].head(9))
    assert not few_to_tell(rows["patient_key"].head(10))


def test_counts_of_the_explorer_withhold_few_and_have_exact_intervals() -> None:
    by_site = counted(index(), "site", ("a", "b")).set_index("group")
    assert by_site.loc[REST, "patients"] == "< 10"
    assert by_site.loc["north", "patients"] == "≥ 110"
    by_sex = counted(index(), "sex", ("a", "b")).set_index("group")
    assert by_sex.loc["male", "share"] == pytest.approx(20 / 60)
    assert by_sex.loc["male", "low"] < 1 / 3 < by_sex.loc["male", "high"]
    assert counted(index(), "refused").set_index("group").loc["eeg z", "patients"] == "30"
