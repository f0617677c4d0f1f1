"""Open an encoder for a runtime: from the folder of graphs made before, or anew.

In:  a fitted encoder, a runtime, where graphs are kept. Out: a `Session`, which says what it is.

A network that OpenVINO does not take, or that says something else there, stays with PyTorch. A folder that cannot be
written costs time, and a damaged file is made again. No pickle.
"""

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import torch
from jaxtyping import Float
from numpy import ndarray as Array
from safetensors import SafetensorError

from clinic_mm.encoders.base import Encoder
from clinic_mm.encoders.run import Spoken
from clinic_mm.encoders.runtime.gpu import DeviceSession
from clinic_mm.encoders.runtime.graph import FORM, Graph, graph_of
from clinic_mm.encoders.runtime.library import version
from clinic_mm.encoders.runtime.session import CpuSession
from clinic_mm.encoders.runtime.setting import Runtime
from clinic_mm.sources.kept import Kept

FOLDER: Final = "compiled"
MOST_BYTES: Final = 1 << 30
"""Graphs of models that were in this folder before go first."""


class Session(Protocol):
    """What runs one encoder."""

    @property
    def told(self) -> str:
        """What that is, in words."""

    def __call__(self, x: Float[Array, "n ..."]) -> Spoken:
        """Tokens, summaries and logits of present rows."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """Where the graphs of one model are kept.

    Attributes:
        folder: Beside the artifact; None for nowhere.
        model_hash: Of the artifact.
    """

    folder: Path | None
    model_hash: str

    def graph(self, name: str, make: Callable[[], Graph]) -> Graph:
        """What is kept under the name of an encoder, or else what `make` makes, which is then kept."""
        kept, key = self._kept(), self._key(name)
        if content := kept.read(key) if kept else None:
            with suppress(SafetensorError, KeyError):
                return Graph.from_bytes(content)
        made = make()
        if kept:
            kept.write(key, made.to_bytes())
        return made

    def forget(self, name: str) -> None:
        """Remove what is kept under a name."""
        if kept := self._kept():
            kept.drop(self._key(name))

    def _kept(self) -> Kept | None:
        if self.folder is None:
            return None
        with suppress(OSError):  # a model that may only be read is used without
            self.folder.mkdir(exist_ok=True)
        return Kept(self.folder, MOST_BYTES)

    def _key(self, name: str) -> str:
        # Neither precision nor processor: a graph is turned into machine code at every start, in a tenth of a second.
        part = [self.model_hash, name, FORM, version(), torch.__version__]
        return hashlib.sha256(json.dumps(part).encode()).hexdigest() + ".graph"


def open_session(name: str, encoder: Encoder, runtime: Runtime, shelf: Shelf) -> Session:
    """What runs an encoder.

    Args:
        name: Of its modality in the task.
        encoder: As fitted.
        runtime: As chosen.
        shelf: Where its graph is kept.

    Raises:
        InputError: If there is no such device.
    """
    if runtime.engine == "torch":
        return DeviceSession(encoder, runtime)
    return _by_openvino(name, encoder, runtime, shelf) or DeviceSession(encoder, runtime)


def _by_openvino(name: str, encoder: Encoder, runtime: Runtime, shelf: Shelf) -> CpuSession | None:
    exact = Runtime(threads=runtime.threads)
    for _ in range(2):  # what was kept may be wrong: then once more from the encoder itself
        try:
            graph = shelf.graph(name, lambda: graph_of(encoder))
            session = CpuSession(encoder, graph, exact)
            if session.faithful():
                return session if runtime == exact else CpuSession(encoder, graph, runtime)
        except Exception:  # noqa: BLE001, S110 - a network of another's making may be anything; PyTorch runs it
            pass
        shelf.forget(name)
    return None
