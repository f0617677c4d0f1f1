"""Pages are filled from frames, and never half filled."""

from pathlib import Path

import pandas as pd
import pytest

from clinic_mm.errors import InputError
from clinic_mm.evaluate.page import bar, best_of, gains_table, patterns_table, scores_table, write_page
from clinic_mm.evaluate.table import by_pattern, fusion_gain
from tests.evaluate.frames import answers

WORDS = {"fusion": "ours", "late_average": "late average"}


def gain(high: float) -> pd.Series:
    return pd.Series(
        {"against": "a", "theirs": 0.8, "ours": 0.7, "gain": -0.1, "low": -0.2, "high": high, "level": 0.95}
    )


@pytest.mark.parametrize(("high", "word"), [(-0.001, "Missed"), (0.0, "Met"), (0.1, "Met")])
def test_the_bar_is_met_unless_the_interval_lies_below_0(high: float, word: str) -> None:
    assert word in bar(gain(high), {"a": "simple"})
    assert word not in bar(gain(high), {"a": "simple"}, judged=False)


def test_the_best_is_the_one_with_the_highest_figure() -> None:
    rows = [
        {"pattern": p, "against": a, "theirs": t}
        for p, a, t in [("all", "x", 0.6), ("all", "y", 0.7), ("ct", "x", 0.9)]
    ]
    assert best_of(pd.DataFrame(rows), ["x", "y"])["against"] == "y"


def test_a_template_is_filled_or_refused(tmp_path: Path) -> None:
    (tmp_path / "t.md").write_text("$n people, $m more")
    with pytest.raises(InputError, match="cannot be filled"):
        write_page(tmp_path / "t.md", tmp_path / "p.md", {"n": 3})
    assert not (tmp_path / "p.md").exists()
    write_page(tmp_path / "t.md", tmp_path / "p.md", {"n": 3, "m": 4}, quick=True)
    assert "Not a result" in (tmp_path / "p.md").read_text()
    assert "3 people, 4 more" in (tmp_path / "p.md").read_text()


def test_tables_have_a_line_per_method_and_pattern() -> None:
    frame = answers()
    scores = by_pattern(frame, n=20)
    assert "not defined" in patterns_table(scores.assign(auroc=float("nan")), "fusion")
    assert scores_table(scores, {"fusion": "ours", "nobody": "?"}).count("\n") == 2
    assert (
        patterns_table(scores, "fusion").count("\n")
        == 1 + scores.loc[scores["method"] == "fusion", "pattern"].nunique()
    )
    assert "ours − theirs" in gains_table(fusion_gain(frame, n=20), WORDS)
