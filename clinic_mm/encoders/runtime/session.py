"""Run an encoder by OpenVINO on the CPU.

In:  present rows as numpy. Out: `Spoken`, as `encoders.run.run_encoder` gives it, within 1e-4 in float32.

One stream, a fixed number of threads, one row after the other: what is said of a row hangs on that row alone, to the
bit, however rows are grouped and whoever computes them.
"""

from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray as Array

from clinic_mm.encoders.base import Encoder
from clinic_mm.encoders.run import Spoken, nothing_said, run_encoder
from clinic_mm.encoders.runtime.graph import Graph
from clinic_mm.encoders.runtime.library import core, version
from clinic_mm.encoders.runtime.setting import Precision, Runtime

HINT: Final[dict[Precision, str]] = {"float32": "f32", "bfloat16": "bf16"}
CLOSE: Final = 1e-4
"""Largest difference from PyTorch that a float32 graph may have, relative to what it says where that is above 1."""
PROBE_SEED: Final = 5


class CpuSession:
    """A compiled encoder.

    Args:
        encoder: What the graph was made from: its shapes, and what it is held against.
        graph: As `graph_of` made it.
        runtime: Precision and threads.
    """

    def __init__(self, encoder: Encoder, graph: Graph, runtime: Runtime) -> None:
        self.encoder, self.runtime = encoder, runtime
        # The default precision is bfloat16 on processors that have it. Pinned threads of two processes would share
        # one core.
        settings = {
            "INFERENCE_PRECISION_HINT": HINT[runtime.precision],
            "INFERENCE_NUM_THREADS": runtime.threads,
            "NUM_STREAMS": "1",
            "ENABLE_CPU_PINNING": False,
        }
        if graph.has_group_norm:  # or the library may die of it, see `graph`
            settings["SNIPPETS_MODE"] = "DISABLE"
        compiled = core().compile_model(core().read_model(graph.xml, graph.weights), "CPU", settings)
        self._request: Any = compiled.create_infer_request()
        self._row = np.zeros((1, *encoder.shape), np.float32)

    @property
    def told(self) -> str:
        """What runs it, in words."""
        return f"OpenVINO {version().partition('-')[0]}, {self.runtime.precision}"

    def __call__(self, x: Float[Array, "n ..."]) -> Spoken:
        """Tokens, summaries and logits of present rows."""
        if not len(x):
            return nothing_said(self.encoder)
        shapes = ((self.encoder.n_tokens, self.encoder.width), (self.encoder.width,), (self.encoder.n_classes,))
        out = [np.empty((len(x), *shape), np.float32) for shape in shapes]
        for n, row in enumerate(x):
            self._row[0] = row
            self._request.infer([self._row], share_inputs=True, share_outputs=True)
            for k, part in enumerate(out):
                part[n] = self._request.get_output_tensor(k).data[0]
        return Spoken(*map(torch.from_numpy, out))

    def faithful(self) -> bool:
        """Whether it says the same as PyTorch of one row of drawn numbers: a wrong graph must not answer."""
        x = np.random.default_rng(PROBE_SEED).random(self._row.shape, np.float32)
        mine, theirs = self(x), run_encoder(self.encoder, x)
        pairs = zip(parts(mine), parts(theirs), strict=True)
        return all(bool(((a - b).abs() <= CLOSE * b.abs().clamp(min=1.0)).all()) for a, b in pairs)


def parts(said: Spoken) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Tokens, summaries, logits."""
    return said.tokens, said.summary, said.logits
