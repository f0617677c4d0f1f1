"""The emotion pipeline writes its page from recordings that it simulates: no real files are needed."""

from pathlib import Path

from tests.pipelines.test_pipelines import _cheap as _cheap
from tests.pipelines.test_pipelines import script


def test_emotion_says_simulated_and_stands_beside_the_limit(tmp_path: Path) -> None:
    module = script("emotion_eeg_eye")
    module.main(out=tmp_path / "docs", work=tmp_path / "work", quick=True)
    page = (tmp_path / "docs/results_emotion.md").read_text()
    assert "$" not in page
    assert "Not a result" in page
    assert "**SIMULATED.**" in page
    assert "| eeg + eye |" in page
    assert "| 0.803 |" in page  # the best possible of both: separations of 0.9 and 0.8
    for method in ("EEG alone", "eye tracking alone", "late average"):
        assert f"| {method} |" in page
    assert (tmp_path / "docs/figures/emotion_eeg_eye.png").stat().st_size > 5_000
