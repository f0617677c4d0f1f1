"""Make a model ready to answer: every network opened for the runtime that an operator chose.

In:  an artifact, a runtime. Out: the same model, whose experts run their networks by it.
Fusion, heads and calibration stay with numpy and PyTorch; training, recalibration and out-of-fold work never come here.
"""

from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import torch

from clinic_mm.encoders.runtime.opened import FOLDER, Shelf, open_session
from clinic_mm.encoders.runtime.setting import Runtime
from clinic_mm.predict.artifact import load_model
from clinic_mm.predict.experts import Expert
from clinic_mm.predict.model import Model


def load_deployed(folder: Path, runtime: Runtime | None = None) -> tuple[Model, str]:
    """Read and check an artifact, and open its networks; graphs made on the way are kept in its folder `compiled`.

    Args:
        folder: The artifact.
        runtime: As chosen; None for float32 on the CPU with as many threads as PyTorch has in this process.

    Returns:
        The model and its hash.

    Raises:
        ArtifactError: As `load_model`.
        InputError: If there is no such device.
    """
    model, model_hash = load_model(folder)
    runtime = runtime or Runtime(threads=torch.get_num_threads())
    return deployed(model, runtime, Shelf(folder / FOLDER, model_hash)), model_hash


def deployed(model: Model, runtime: Runtime, shelf: Shelf) -> Model:
    """The same model, its networks opened; a model without networks is not changed, whatever the runtime."""
    return replace(model, experts=tuple(_opened(expert, runtime, shelf) for expert in model.experts))


def _opened(expert: Expert, runtime: Runtime, shelf: Shelf) -> Expert:
    if expert.encoder is None:
        return expert
    return replace(expert, session=open_session(expert.name, expert.encoder, runtime, shelf))


def runtime_told(model: Model) -> str:
    """What runs the networks of a model, in words for people; "" where it has none."""
    by: defaultdict[str, list[str]] = defaultdict(list)
    for expert in model.experts:
        if expert.encoder is not None:
            by[expert.session.told if expert.session else "PyTorch as in training, float32"].append(expert.name)
    told = "; ".join(f"{how} ({', '.join(names)})" for how, names in by.items())
    return f"Networks run by {told}" if told else ""
