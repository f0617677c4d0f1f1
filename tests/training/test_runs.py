"""The log of trainings: what was asked, what came of it, who was killed; and the other places that may be told."""

import json
import os
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from clinic_mm.cohort.manifest import open_cohort
from clinic_mm.errors import InputError, StoppedError, UsageError
from clinic_mm.task import read_task
from clinic_mm.training.runlog import Asked, RunLog, as_text, events_of, runs_of, shown
from clinic_mm.training.session import Keep, training_session, work_folder
from clinic_mm.training.trackers import trackers
from clinic_mm.training.train import Resources, train
from tests.conftest import Trained

ASKED = Asked("ill", "a" * 16, "b" * 16, "default", "model")


def test_a_training_leaves_one_row_and_its_events(trained: Trained, tmp_path: Path) -> None:
    use = Resources(keep=Keep(runs=tmp_path / "runs"))
    _, model_hash = train(
        open_cohort(trained.cohort), read_task(trained.task), tmp_path / "model", test_share=0.4, use=use
    )
    (run,) = runs_of(tmp_path / "runs")
    assert (run["state"], run["model"], run["target"], run["out"]) == ("finished", model_hash, "label", "model")
    assert run["cases"] > 0
    assert set(run["figures"]["experts"]) == {"xray", "record", "note"}
    events = events_of(tmp_path / "runs", 1)
    assert [events[0]["event"], events[-1]["event"]] == ["begun", "finished"]
    assert any(event.get("part") == "plain ridge head" for event in events)
    assert "finished" in as_text(events)
    assert shown([run])["state"].tolist() == ["finished"]
    assert not work_folder(tmp_path / "model").exists()
    raw = b"".join(path.read_bytes() for path in (tmp_path / "runs").iterdir())
    cohort = open_cohort(trained.cohort)
    assert not any(key.encode() in raw for key in cohort.patients)
    assert str(trained.files).encode() not in raw


def test_a_killed_run_is_told_from_one_that_goes_on_and_one_that_failed(tmp_path: Path) -> None:
    going_on = RunLog.begin(tmp_path, ASKED)
    pid = os.fork()
    if pid == 0:
        log = RunLog.begin(tmp_path, ASKED)
        log.tell("stage", {"stage": "ct: fold 1 of 3"})
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    with pytest.raises(StoppedError), training_session(tmp_path / "model", ASKED, Keep(runs=tmp_path)):
        raise MemoryError
    with (tmp_path / "000002.jsonl").open("a") as lines:
        lines.write('{"cut o')
    states = {run["run"]: (run["state"], run["reason"]) for run in runs_of(tmp_path)}
    assert states == {1: ("running", ""), 2: ("killed", ""), 3: ("failed", "No memory left")}
    assert [event["event"] for event in events_of(tmp_path, 2)] == ["begun", "stage"]
    going_on.finish("c" * 64, {})
    assert runs_of(tmp_path)[-1]["state"] == "finished"


def test_an_unforeseen_error_is_named_and_not_quoted(tmp_path: Path) -> None:
    with pytest.raises(KeyError), training_session(tmp_path / "model", ASKED, Keep(runs=tmp_path)):
        raise KeyError("a patient's value")
    (run,) = runs_of(tmp_path)
    assert run["reason"] == "KeyError"


def test_two_trainings_of_one_model_do_not_meet(tmp_path: Path) -> None:
    with (
        training_session(tmp_path / "model", ASKED, Keep()),
        pytest.raises(InputError, match="Another training"),
        training_session(tmp_path / "model", ASKED, Keep()),
    ):
        pass


def test_no_log_and_no_run_are_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No training was logged"):
        runs_of(tmp_path)
    RunLog.begin(tmp_path, ASKED).finish("c", {})
    with pytest.raises(InputError, match="no run 7"):
        events_of(tmp_path, 7)


class _Server(BaseHTTPRequestHandler):
    """Answers as MLflow's REST API does."""

    asked: list[tuple[str, Any]]

    def do_GET(self) -> None:
        self.send_error(404)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append((self.path.removeprefix("/api/2.0/mlflow/"), body))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"experiment_id": "4", "run": {"info": {"run_id": "r"}}}).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[tuple[str, list[tuple[str, Any]]]]:
    _Server.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), _Server) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}", _Server.asked
        running.shutdown()
        thread.join()


def test_mlflow_is_told_runs_metrics_and_the_end(server: tuple[str, list[tuple[str, Any]]]) -> None:
    address, asked = server
    (make,) = trackers(None, address)
    tracker = make(ASKED, 3)
    for _ in range(2):
        tracker.tell("step", {"part": "ct encoder", "step": 5, "loss": 0.5})
        tracker.tell("fitted", {"part": "ct encoder"})
    tracker.close("finished")
    assert [path for path, _ in asked] == [
        "experiments/create", "runs/create", "runs/log-batch", "runs/log-batch", "runs/update",
    ]  # fmt: skip
    keys = [body["metrics"][0]["key"] for path, body in asked if path == "runs/log-batch"]
    assert keys == ["ct_encoder/1", "ct_encoder/2"]
    assert asked[-1][1]["status"] == "FINISHED"


def test_a_server_that_is_not_there_stops_nothing() -> None:
    (make,) = trackers(None, "http://127.0.0.1:9")
    tracker = make(ASKED, 1)
    tracker.tell("step", {"part": "ct encoder", "step": 5, "loss": 0.5})
    tracker.close("failed")
    with pytest.raises(UsageError):
        trackers(None, "localhost:5000")


def test_tensorboard_gets_its_curves(tmp_path: Path) -> None:
    (make,) = trackers(tmp_path, None)
    tracker = make(ASKED, 3)
    tracker.tell("step", {"part": "ct encoder", "step": 5, "loss": 0.5})
    tracker.close("finished")
    (written,) = (tmp_path / "model-000003").iterdir()
    assert b"ct_encoder/1" in written.read_bytes()
