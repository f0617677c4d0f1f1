"""Other places that may be told how a training goes: a folder for TensorBoard, an MLflow server at a named address.

In:  the events of the log. Out: loss curves there. Neither is needed: the log is our own (`training.runlog`).

Nothing is sent but to the address that the operator names, and nothing but hashes, names of fits and losses. A server
that does not answer is left alone from then on: it does not stop a training.
"""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit
from urllib.request import Request, urlopen

from pydantic import JsonValue

from clinic_mm.errors import UsageError
from clinic_mm.extras import need
from clinic_mm.training.runlog import FINISHED, Asked

TIMEOUT_S: Final = 5.0
EXPERIMENT: Final = "clinic_mm"


class Tracker(Protocol):
    """One such place."""

    def tell(self, event: str, about: Mapping[str, JsonValue]) -> None:
        """One event of the log."""

    def close(self, state: str) -> None:
        """The end: finished or failed."""


Make = Callable[[Asked, int], Tracker]


def trackers(tensorboard: Path | None, mlflow: str | None) -> tuple[Make, ...]:
    """Those that are asked for.

    Raises:
        ExtraMissingError: If TensorBoard is asked for and tensorboardX is not installed.
        UsageError: If the address of MLflow is none.
    """
    made: list[Make] = []
    if tensorboard is not None:
        need("tensorboardX")
        made.append(lambda asked, run: TensorBoard(tensorboard / f"{asked.out}-{run:06d}"))
    if mlflow is not None:
        if urlsplit(mlflow).scheme not in ("http", "https") or not urlsplit(mlflow).netloc:
            raise UsageError(f"{mlflow!r} is no address", "--mlflow", "Write it as http://host:5000")
        made.append(lambda asked, run: MLflow(mlflow, asked, run))
    return tuple(made)


class TensorBoard:
    """Event files of loss curves, one tag per fit."""

    def __init__(self, folder: Path) -> None:
        self._writer: Any = need("tensorboardX").SummaryWriter(str(folder))
        self._fits: dict[str, int] = {}

    def tell(self, event: str, about: Mapping[str, JsonValue]) -> None:
        """One point of a curve."""
        if event == "step":
            self._writer.add_scalar(_tag(about, self._fits), about["loss"], about["step"])
        elif event == "fitted":
            _next(about, self._fits)

    def close(self, state: str) -> None:
        """Write what is left."""
        self._writer.add_text("state", state)
        self._writer.close()


class MLflow:
    """A run on an MLflow server, by its REST API 2.0."""

    def __init__(self, address: str, asked: Asked, run: int) -> None:
        self._address, self._fits, self._run = address.rstrip("/"), dict[str, int](), ""
        told = {"target": asked.target, "task": asked.task, "cohort": asked.cohort, "method": asked.method}
        experiment = self._experiment()
        if experiment is None:
            return
        tags = [{"key": key, "value": value} for key, value in told.items()]
        body = {"experiment_id": experiment, "start_time": _now_ms(), "run_name": f"{asked.out}-{run}", "tags": tags}
        answer = self._post("runs/create", body)
        self._run = "" if answer is None else str(answer["run"]["info"]["run_id"])

    def tell(self, event: str, about: Mapping[str, JsonValue]) -> None:
        """One point of a curve."""
        if event == "step" and self._run:
            metric = {"key": _tag(about, self._fits), "value": about["loss"], "step": about["step"]}
            self._post("runs/log-batch", {"run_id": self._run, "metrics": [{**metric, "timestamp": _now_ms()}]})
        elif event == "fitted":
            _next(about, self._fits)

    def close(self, state: str) -> None:
        """Say how it ended."""
        if self._run:
            status = "FINISHED" if state == FINISHED else "FAILED"
            self._post("runs/update", {"run_id": self._run, "status": status, "end_time": _now_ms()})

    def _experiment(self) -> str | None:
        found = self._ask(f"experiments/get-by-name?experiment_name={quote(EXPERIMENT)}")
        if found is not None:
            return str(found["experiment"]["experiment_id"])
        made = self._post("experiments/create", {"name": EXPERIMENT})
        return None if made is None else str(made["experiment_id"])

    def _post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any] | None:
        return self._ask(path, json.dumps(body).encode())

    def _ask(self, path: str, body: bytes | None = None) -> dict[str, Any] | None:
        """The answer; None where there is none, and then nothing more is sent to this run."""
        url = f"{self._address}/api/2.0/mlflow/{path}"
        request = Request(url, body, {"Content-Type": "application/json"})  # noqa: S310 - http(s) was checked
        try:
            with urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310 - the same
                told: dict[str, Any] = json.loads(answer.read() or b"{}")
                return told
        except HTTPError:
            return None
        except (URLError, OSError, ValueError):
            self._run = ""
            return None


def _tag(about: Mapping[str, JsonValue], fits: Mapping[str, int]) -> str:
    """A fit's name and which of that name it is: each fold has its own curve."""
    part = str(about["part"])
    return f"{part.replace(' ', '_')}/{fits.get(part, 0) + 1}"


def _next(about: Mapping[str, JsonValue], fits: dict[str, int]) -> None:
    part = str(about["part"])
    fits[part] = fits.get(part, 0) + 1


def _now_ms() -> int:
    return int(time.time() * 1000)
