"""Whether an engine's workers write what one worker writes in this process, to the bit."""

from pathlib import Path

import pandas as pd

from clinic_mm.jobs.asked import ScreenOptions
from clinic_mm.jobs.screen import screen_cohort
from clinic_mm.report.run import Run, open_run
from tests.conftest import Trained


def assert_same_rows(engine: str, trained: Trained, folder: Path, address: str = "") -> None:
    one = _screened(trained, folder / "inline", ScreenOptions(engine="inline", unit=8, validate=False))
    asked = ScreenOptions(workers=2, engine=engine, address=address, unit=8, validate=False)
    many = _screened(trained, folder / engine, asked)
    assert many.info.counts == one.info.counts
    pd.testing.assert_frame_equal(many.worklist(), one.worklist(), check_exact=True)
    pd.testing.assert_frame_equal(many.skipped(), one.skipped())
    keys = list(one.worklist()["case_key"])
    assert len(keys) > 8  # more than one unit
    for key in keys:
        assert many.prediction(key).model_copy(update={"run_id": one.info.run_id}) == one.prediction(key)


def _screened(trained: Trained, out: Path, options: ScreenOptions) -> Run:
    screen_cohort(trained.model, trained.cohort, out, options=options)
    return open_run(out)
