"""Figures by group: always with an interval, never of few people, and as others compute them."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from clinic_mm.evaluate import fairness_figure
from clinic_mm.evaluate.fairness import ODDS, REST, UNKNOWN, Answers, fairness

N = 400


def answers(n: int = N, seed: int = 0) -> tuple[Answers, np.ndarray]:
    """A calibrated model; labels follow its probabilities. And who is in group `b`, one patient in four."""
    rng = np.random.default_rng(seed)
    p = rng.uniform(0.02, 0.98, n)
    y = (rng.random(n) < p).astype(int)
    b = np.arange(n) % 4 == 0
    return Answers(np.column_stack([1 - p, p]), y, np.arange(n), np.array([0.5, 0.5]), np.ones(n)), b


def table(asked: Answers, levels: np.ndarray, n: int = 100) -> pd.DataFrame:
    return fairness(asked, pd.DataFrame({"sex": levels}), n=n)


def test_figures_are_those_of_the_group_and_differences_those_to_the_rest() -> None:
    asked, b = answers()
    rows = table(asked, np.where(b, "b", "a")).set_index(["group", "figure"])
    own = roc_auc_score(asked.labels[b], asked.probs[b, 1])
    rest = roc_auc_score(asked.labels[~b], asked.probs[~b, 1])
    assert rows.loc[("b", "AUROC"), "value"] == pytest.approx(own)
    assert rows.loc[("b", "AUROC"), "difference"] == pytest.approx(own - rest)
    assert rows.loc[("a", "AUROC"), "difference"] == pytest.approx(rest - own)
    said = asked.probs[:, 1] > 0.5
    rate = [said[g & (asked.labels == 1)].mean() for g in (b, ~b)]
    false = [said[g & (asked.labels == 0)].mean() for g in (b, ~b)]
    gap = max(abs(rate[0] - rate[1]), abs(false[0] - false[1]))
    assert rows.loc[("b", "equalised odds gap"), "difference"] == pytest.approx(gap)


def test_every_figure_has_an_interval_around_it_and_the_gap_its_chance() -> None:
    asked, b = answers()
    rows = table(asked, np.where(b, "b", "a"))
    scored = rows[~rows["figure"].isin(ODDS)]
    assert (scored["low"] <= scored["value"]).all()
    assert (scored["value"] <= scored["high"]).all()
    assert rows[["difference", "difference_low", "difference_high"]].notna().all(axis=None)
    gaps = rows[rows["figure"].isin(ODDS)]
    assert (gaps["by_chance"] > 0).all()


def test_an_unfair_model_is_seen_and_a_fair_one_is_not() -> None:
    asked, b = answers(1200)
    fair = table(asked, np.where(b, "b", "a"), 300).set_index(["group", "figure"])
    name = "mean probability − observed"
    assert fair.loc[("b", name), "difference_low"] < 0 < fair.loc[("b", name), "difference_high"]
    probs = asked.probs.copy()
    probs[b, 1] *= 0.5
    probs[b, 0] = 1 - probs[b, 1]
    unfair = Answers(probs, asked.labels, asked.patients, asked.prior, asked.covered)
    rows = table(unfair, np.where(b, "b", "a"), 300).set_index(["group", "figure"])
    assert rows.loc[("b", name), "difference_high"] < -0.1
    gap = rows.loc[("b", "equalised odds gap")]
    assert gap["difference_low"] > gap["by_chance"]


def test_small_groups_have_a_reason_and_no_figure() -> None:
    asked, _ = answers()
    levels = np.where(np.arange(N) < 25, "few", "many")
    rows = table(asked, levels).set_index("group")
    assert rows.loc["few", "withheld"] == "fewer than 30 patients"
    assert pd.isna(rows.loc["few", "value"])
    labels = asked.labels.copy()
    labels[:60] = 0
    one_class = Answers(asked.probs, labels, asked.patients, asked.prior, asked.covered)
    rows = table(one_class, np.where(np.arange(N) < 60, "healthy", "many")).set_index("group")
    assert rows.loc["healthy", "withheld"] == "fewer than 10 patients of a class"


def test_groups_of_very_few_lose_their_names_and_cannot_be_counted_out() -> None:
    asked, _ = answers()
    levels = np.array([f"village {i // 3}" if i < 6 else "town" if i < 150 else "city" for i in range(N)])
    rows = table(asked, levels)
    assert not rows["group"].str.startswith("village").any()
    shown = rows.drop_duplicates("group").set_index("group")["n_patients"]
    assert shown[REST] == "< 10"
    assert shown["town"] == "≥ 140"  # 144: the villages cannot be told as what is left of the whole
    assert rows.set_index("group").loc[REST, "withheld"] == "no one group"


def test_cases_of_one_patient_count_as_one() -> None:
    asked, _ = answers()
    together = Answers(asked.probs, asked.labels, np.arange(N) // 20, asked.prior, asked.covered)
    rows = table(together, np.where(np.arange(N) < 200, "a", "b"))
    assert set(rows["withheld"]) == {"fewer than 30 patients"}


def test_unknown_is_no_group_and_nothing_known_no_table() -> None:
    asked, b = answers()
    rows = table(asked, np.where(b, "", "a")).set_index("group")
    assert rows.loc[UNKNOWN, "withheld"] == "no one group"
    assert len(table(asked, np.full(N, ""))) == 0


def test_three_classes(tmp_path: object) -> None:
    rng = np.random.default_rng(0)
    probs = rng.dirichlet([1, 1, 1], N)
    y = np.array([rng.choice(3, p=row) for row in probs])
    asked = Answers(probs, y, np.arange(N), np.full(3, 1 / 3), np.full(N, np.nan))
    rows = table(asked, np.where(np.arange(N) % 2 == 0, "a", "b"))
    assert "coverage of the sets" not in set(rows["figure"])
    assert rows[rows["figure"] == "sensitivity"]["value"].between(0, 1).all()
    from pathlib import Path

    path = Path(str(tmp_path)) / "f.png"
    fairness_figure.draw(rows, path, simulated=True)
    assert path.read_bytes().startswith(b"\x89PNG")
