"""A model as a folder: JSON and safetensors, a hash of each file, and nothing that can run code.

    model.json            task, prep recipes, experts, pool, what is known of its making
    calibration.json      temperatures and thresholds
    heads.safetensors     plain heads and the concat baseline
    networks.safetensors  encoders and residual; absent where no network is used
    joined.safetensors    the way of joining that the task names; absent for the default
    drift.safetensors     what `clinic-mm monitor` measures drift against; the model answers without it
    outside.json          detectors of what the model never learnt from; absent where there are none
    outside.safetensors   their means and variances
    calibration_cases.safetensors  PATIENT-DERIVED: only where sets are to be weighted to new cohorts; may be taken out
    abstain.json          when no answer is given; without any evidence alone, where absent
    bank.safetensors      PATIENT-DERIVED: what training cases were answered; only advice needs it
    card.md               for people
    manifest.json         schema version, sha256 of each file above; its own hash names the model

No pickle is read or written. An unknown major version and a changed byte are refused.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
import torch
from numpy import ndarray as Array
from pydantic import JsonValue
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import nn

from clinic_mm.encoders.base import WIDTH, Encoder, make_encoder
from clinic_mm.errors import ArtifactError
from clinic_mm.fusion.bottleneck import Bottleneck
from clinic_mm.fusion.joined import Joined, restored
from clinic_mm.fusion.pool import pool_from, pool_told
from clinic_mm.predict.abstain import ONLY_NOTHING, silence_from, silence_told
from clinic_mm.predict.bank import BANK, bank_bytes, bank_from
from clinic_mm.predict.calibrate import temperatures_from, temperatures_told
from clinic_mm.predict.card import model_card
from clinic_mm.predict.conformal import thresholds_from, thresholds_told
from clinic_mm.predict.drift import drift_from
from clinic_mm.predict.experts import Expert
from clinic_mm.predict.heads import Head, from_arrays
from clinic_mm.predict.model import Model
from clinic_mm.predict.outside import NO_DETECTORS, Outside
from clinic_mm.predict.outside_state import outside_arrays, outside_from, outside_told
from clinic_mm.predict.sealed import read_sealed, write_sealed
from clinic_mm.predict.shift import calibration_cases_from
from clinic_mm.prep.base import make_prep
from clinic_mm.prep.batch import Recipe
from clinic_mm.task import Task, parse_task
from clinic_mm.types import SCHEMA_VERSION

MADE_BY: Final = "clinic-mm train"
CONCAT: Final = "concat"
RESIDUAL: Final = "residual"
JOINED: Final = "joined.safetensors"
OUTSIDE: Final = "outside"
ABSTAIN: Final = "abstain.json"
DRIFT: Final = "drift.safetensors"
CALIBRATION_CASES: Final = "calibration_cases.safetensors"
PATIENT_DERIVED: Final = (BANK, CALIBRATION_CASES)
"""Files that hold rows of patients; the model answers without them."""
MEND: Final = "Copy the folder again, or train the model again"
JSON_STYLE: Final = orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2


def save_model(model: Model, folder: Path) -> str:
    """Write the folder; `manifest.json` last, so that half an artifact is none.

    Returns:
        The model's hash.

    Raises:
        ArtifactError: If the folder holds something that is not an artifact.
    """
    files = _files(model)
    return write_sealed(folder, files, patient_derived=[name for name in PATIENT_DERIVED if name in files])


def load_model(folder: Path) -> tuple[Model, str]:
    """Read and check the folder.

    Returns:
        The model and its hash.

    Raises:
        ArtifactError: If it is no artifact, of an unknown version, or a file is not what was written.
    """
    files, model_hash = read_sealed(folder, "model.json", MADE_BY)
    try:
        return _model(files), model_hash
    except (KeyError, TypeError, ValueError, IndexError, RuntimeError, SafetensorError) as error:
        raise ArtifactError(f"The model cannot be read ({type(error).__name__})", str(folder), MEND) from error


def _files(model: Model) -> dict[str, bytes]:
    networks = {e.name: e.encoder for e in model.experts if e.encoder is not None}
    every = {**networks, **({RESIDUAL: model.residual} if model.residual is not None else {})}
    files = {
        "model.json": orjson.dumps(_described(model), option=JSON_STYLE),
        "calibration.json": orjson.dumps(_calibration(model), option=JSON_STYLE),
        "heads.safetensors": save_arrays(_head_arrays(model)),
    }
    if every:
        files["networks.safetensors"] = save_tensors(_tensors(every))
    if model.joined is not None:
        _, arrays = model.joined.to_state()
        files[JOINED] = save_arrays({key: np.ascontiguousarray(arrays[key]) for key in sorted(arrays)})
    if model.silence != ONLY_NOTHING:
        files[ABSTAIN] = orjson.dumps(silence_told(model.silence), option=JSON_STYLE)
    if model.drift is not None:
        files[DRIFT] = save_arrays(model.drift.to_arrays())
    if model.calibration_cases is not None:
        files[CALIBRATION_CASES] = save_arrays(model.calibration_cases.to_arrays())
    if model.bank is not None:
        files[BANK] = bank_bytes(model.bank)
    if model.outside != NO_DETECTORS:
        files[f"{OUTSIDE}.json"] = orjson.dumps(outside_told(model.outside), option=JSON_STYLE)
        files[f"{OUTSIDE}.safetensors"] = save_arrays(outside_arrays(model.outside))
    files["card.md"] = model_card(files).encode()
    return files


def _described(model: Model) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "task": model.task.model_dump(mode="json"),
        "select": model.recipe.select,
        "preps": {
            name: {"kind": prep.kind, "version": prep.version, "recipe": prep.recipe}
            for name, prep in model.recipe.preps.items()
        },
        "experts": [
            {
                "name": expert.name,
                "kind": expert.kind,
                "how": expert.how,
                "head": expert.head.kind if expert.head else None,
                "network": expert.encoder is not None,
            }
            for expert in model.experts
        ],
        "concat": model.concat.kind,
        "concat_share": model.share,
        "residual": model.residual is not None,
        "pool": pool_told(model.pool),
        "joined": _joined_told(model.joined),
        "facts": dict(model.facts),
    }


def _joined_told(joined: Joined | None) -> JsonValue:
    return None if joined is None else {"kind": joined.kind, "settings": joined.to_state()[0]}


def _calibration(model: Model) -> dict[str, Any]:
    temperatures, thresholds = model.temperatures, model.thresholds
    return {
        **temperatures_told(temperatures),
        **thresholds_told(thresholds),
    }


def _head_arrays(model: Model) -> dict[str, Array]:
    heads = {**{e.name: e.head for e in model.experts if e.head is not None}, CONCAT: model.concat}
    arrays = {f"{n}/{key}": np.ascontiguousarray(a) for n, head in heads.items() for key, a in head.to_arrays().items()}
    return dict(sorted(arrays.items()))


def _tensors(networks: Mapping[str, nn.Module]) -> dict[str, torch.Tensor]:
    every = {f"{name}/{key}": t.contiguous() for name, net in networks.items() for key, t in net.state_dict().items()}
    return dict(sorted(every.items()))


def _model(files: Mapping[str, bytes]) -> Model:
    told, calibration = orjson.loads(files["model.json"]), orjson.loads(files["calibration.json"])
    task = parse_task(told["task"], "model.json")
    arrays = load_arrays(files["heads.safetensors"])
    tensors = load_tensors(files["networks.safetensors"]) if "networks.safetensors" in files else {}
    # In the order of the task, not of the file: columns of `present` follow the recipe's names.
    preps = {name: make_prep(told["preps"][name]["kind"], told["preps"][name]["recipe"]) for name in task.modalities}
    recipe = Recipe(preps, told["select"])
    for name, prep in recipe.preps.items():
        if prep.version != told["preps"][name]["version"]:
            raise ArtifactError(f"The preparation of {name} has changed since", "model.json", "Train the model again")
    shapes = {name: prep.shape for name, prep in recipe.preps.items()}
    experts = tuple(
        Expert(e["name"], e["kind"], e["how"], _head(e["head"], e["name"], arrays), _encoder(e, shapes, task, tensors))
        for e in told["experts"]
    )
    return Model(
        task=task,
        recipe=recipe,
        experts=experts,
        pool=pool_from(told["pool"], task.modalities),
        residual=_residual(task, np.array(told["pool"]["prior"]), tensors) if told["residual"] else None,
        temperatures=temperatures_from(calibration, task.modalities),
        thresholds=thresholds_from(calibration, task.modalities),
        concat=_must(_head(told["concat"], CONCAT, arrays)),
        facts=told["facts"],
        share=told.get("concat_share", 0.0),
        joined=_joined(told.get("joined"), files),
        drift=drift_from(load_arrays(files[DRIFT])) if DRIFT in files else None,
        calibration_cases=calibration_cases_from(load_arrays(files[CALIBRATION_CASES]))
        if CALIBRATION_CASES in files
        else None,
        outside=_outside(files),
        silence=silence_from(orjson.loads(files[ABSTAIN])) if ABSTAIN in files else ONLY_NOTHING,
        bank=bank_from(files[BANK], task.modalities) if BANK in files else None,
    )


def _outside(files: Mapping[str, bytes]) -> Outside:
    if f"{OUTSIDE}.json" not in files:
        return NO_DETECTORS
    return outside_from(orjson.loads(files[f"{OUTSIDE}.json"]), load_arrays(files[f"{OUTSIDE}.safetensors"]))


def _joined(told: Mapping[str, Any] | None, files: Mapping[str, bytes]) -> Joined | None:
    return None if told is None else restored(told["kind"], told["settings"], load_arrays(files[JOINED]))


def _head(kind: str | None, name: str, arrays: Mapping[str, Array]) -> Head | None:
    if kind is None:
        return None
    return from_arrays(kind, {key.partition("/")[2]: a for key, a in arrays.items() if key.startswith(f"{name}/")})


def _must(head: Head | None) -> Head:
    assert head is not None
    return head


def _encoder(
    told: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]], task: Task, tensors: Mapping[str, torch.Tensor]
) -> Encoder | None:
    if not told["network"]:
        return None
    encoder = make_encoder(told["kind"], shapes[told["name"]], len(task.classes), task.size)
    encoder.load_state_dict(_own(told["name"], tensors))
    return encoder.eval()


def _residual(task: Task, prior: Array, tensors: Mapping[str, torch.Tensor]) -> Bottleneck:
    residual = Bottleneck(task.modalities, WIDTH[task.size], torch.from_numpy(prior.astype(np.float32)))
    residual.load_state_dict(_own(RESIDUAL, tensors))
    return residual.eval()


def _own(name: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key.partition("/")[2]: t for key, t in tensors.items() if key.startswith(f"{name}/")}
