"""ECG and eye tracking from files to an answer: ingested, trained, screened, and each asked alone."""

from pathlib import Path

import orjson
import pytest
from pydicom.data import get_testdata_file
from threadpoolctl import threadpool_limits

from clinic_mm.cohort.ingest import ingest
from clinic_mm.jobs.asked import ScreenOptions
from clinic_mm.jobs.screen import screen_cohort
from clinic_mm.jobs.spec import Selection
from clinic_mm.report.run import open_run
from clinic_mm.simulate.cohort import write_cohort
from clinic_mm.task import read_task
from clinic_mm.training import crossfit, joint
from clinic_mm.training.train import train
from tests.cli.terminal import run

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The files and a run over a third of the patients; heads only, no trees."""
    root = tmp_path_factory.mktemp("signals")
    files = root / "files"
    write_cohort(files, cases=48, seed=2, rate=0.3, modalities=("ecg", "eye"))
    with (files / "task.toml").open("a", encoding="utf-8") as file:
        file.write('folds = 2\n[train]\nepochs = 0\nthreads = 1\n[outside]\nthen = "flag"\n')
    cohort = ingest(files, root / "cohort", key=root / "key")
    with pytest.MonkeyPatch.context() as patch, threadpool_limits(1):
        for room in (crossfit, joint):
            patch.setattr(room, "TREES_UP_TO", 0)
        train(cohort, read_task(files / "task.toml"), root / "model", test_share=0.3)
    options = ScreenOptions(validate=False, selection=Selection(unseen=True))
    screen_cohort(root / "model", cohort.path, root / "run", options=options)
    return root, files


def test_unseen_patients_are_answered_by_either_and_both(walked: tuple[Path, Path]) -> None:
    root, _ = walked
    work = open_run(root / "run").worklist()
    assert {"ecg", "eye", "ecg+eye"} >= set(work["pattern"]) >= {"ecg+eye"}
    assert work.loc[work["abstained"] == "", "p_1"].between(0, 1).all()


def test_a_gaze_table_and_a_real_ecg_are_answered_alone(walked: tuple[Path, Path], capsys: Capture) -> None:
    root, files = walked
    gaze = next((files / "eye").rglob("*-1.csv"))
    for evidence in (f"eye={gaze}", f"ecg={get_testdata_file('waveform_ecg.dcm')}"):
        said = run(capsys, "predict", root / "model", "--evidence", evidence, "--json")
        assert said.code == 0, said.err
        told = orjson.loads(said.out)
        assert told["pattern"] == [evidence.partition("=")[0]]
        # Learnt from simulated tracings alone, the model says of a real one that it is unlike them.
        assert ("ecg.outside_training" in said.out) == ("ecg" in told["pattern"])


def test_a_file_of_the_other_kind_is_refused_in_words(walked: tuple[Path, Path], capsys: Capture) -> None:
    root, files = walked
    gaze = next((files / "eye").rglob("*-1.csv"))
    said = run(capsys, "predict", root / "model", "--evidence", f"ecg={gaze}")
    assert said.code == 3
    assert "ecg.columns" in said.err
