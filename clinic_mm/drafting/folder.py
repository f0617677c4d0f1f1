"""A drafter as a folder: JSON and safetensors, a hash of each file, and nothing that can run code.

    drafter.json          task, prep recipes, words that may be written, what is known of its making
    drafter.safetensors   the decoder; from summaries to coordinates
    bank.json             PATIENT-DERIVED: keys of training cases, sentences of their notes
    bank.safetensors      PATIENT-DERIVED: their coordinates
    manifest.json         schema version, sha256 of each file above; its own hash names the drafter

Without both bank files the decoder still writes; retrieval, frequent sentences and supporting cases need them.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
import torch
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from clinic_mm.drafting.bank import Bank, Foretell
from clinic_mm.drafting.choose import Slots
from clinic_mm.drafting.decoder import Decoder
from clinic_mm.drafting.drafter import Drafter
from clinic_mm.drafting.words import Lexicon
from clinic_mm.errors import ArtifactError
from clinic_mm.predict.sealed import STYLE, read_sealed, write_sealed
from clinic_mm.prep.base import make_prep
from clinic_mm.prep.batch import Recipe
from clinic_mm.task import parse_task
from clinic_mm.types import SCHEMA_VERSION

LEADING: Final = "drafter.json"
MADE_BY: Final = "clinic-mm draft learn"
PATIENT_DERIVED: Final = ("bank.json", "bank.safetensors")


def save_drafter(drafter: Drafter, folder: Path) -> str:
    """Write the folder.

    Returns:
        The drafter's hash.

    Raises:
        ArtifactError: If the folder holds something else.
    """
    assert drafter.bank is not None, "a drafter is saved where it was learnt"
    arrays = {f"decoder/{key}": t.numpy() for key, t in drafter.decoder.state_dict().items()}
    for name, one in drafter.foretell.items():
        arrays |= {f"centre/{name}": one.centre, f"spread/{name}": one.spread, f"weight/{name}": one.weight}
    files = {
        LEADING: orjson.dumps(_described(drafter), option=STYLE),
        "drafter.safetensors": save_arrays({key: np.ascontiguousarray(a) for key, a in sorted(arrays.items())}),
        "bank.json": orjson.dumps(_bank_described(drafter.bank), option=STYLE),
        "bank.safetensors": save_arrays({name: np.ascontiguousarray(u) for name, u in drafter.bank.u.items()}),
    }
    return write_sealed(folder, files, patient_derived=PATIENT_DERIVED)


def load_drafter(folder: Path) -> tuple[Drafter, str]:
    """Read and check the folder.

    Returns:
        The drafter and its hash.

    Raises:
        ArtifactError: If it is no drafter, of an unknown version, or a file is not what was written.
    """
    files, drafter_hash = read_sealed(folder, LEADING, MADE_BY)
    try:
        return _drafter(files), drafter_hash
    except (KeyError, TypeError, ValueError, IndexError, RuntimeError, SafetensorError) as error:
        mend = f"Copy the folder again, or run {MADE_BY} again"
        raise ArtifactError(f"The drafter cannot be read ({type(error).__name__})", str(folder), mend) from error


def _described(drafter: Drafter) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "task": drafter.task.model_dump(mode="json"),
        "select": drafter.recipe.select,
        "names": list(drafter.names),
        "preps": {
            name: {"kind": prep.kind, "version": prep.version, "recipe": prep.recipe}
            for name, prep in drafter.recipe.preps.items()
        },
        "k": drafter.lexicon.k,
        "words": drafter.lexicon.forms,
        "vocabulary": list(drafter.decoder.vocabulary),
        "slots": list(drafter.slots),
        "neighbours": drafter.neighbours,
        "facts": dict(drafter.facts),
    }


def _bank_described(bank: Bank) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "patient_derived": True,
        "case_keys": list(bank.case_keys),
        "patients": list(bank.patients),
        "sentences": [list(one) for one in bank.sentences],
        "said": [list(one) for one in bank.said],
        "frequent": [list(one) for one in bank.frequent],
    }


def _drafter(files: Mapping[str, bytes]) -> Drafter:
    told, arrays = orjson.loads(files[LEADING]), load_arrays(files["drafter.safetensors"])
    names = tuple(told["names"])
    preps = {name: make_prep(told["preps"][name]["kind"], told["preps"][name]["recipe"]) for name in names}
    for name, prep in preps.items():
        if prep.version != told["preps"][name]["version"]:
            raise ArtifactError(f"The preparation of {name} has changed since", LEADING, f"Run {MADE_BY} again")
    foretell = {
        name: Foretell(*(arrays[f"{part}/{name}"] for part in ("centre", "spread", "weight"))) for name in names
    }
    decoder = Decoder({name: one.weight.shape[1] for name, one in foretell.items()}, told["vocabulary"])
    weights = {key.removeprefix("decoder/"): a for key, a in arrays.items() if key.startswith("decoder/")}
    decoder.load_state_dict({key: torch.from_numpy(a) for key, a in weights.items()})
    return Drafter(
        task=parse_task(told["task"], LEADING),
        recipe=Recipe(preps, told["select"]),
        foretell=foretell,
        lexicon=Lexicon(told["k"], told["words"]),
        decoder=decoder.eval(),
        slots=Slots(*told["slots"]),
        neighbours=told["neighbours"],
        bank=_bank(files, names),
        facts=told["facts"],
    )


def _bank(files: Mapping[str, bytes], names: tuple[str, ...]) -> Bank | None:
    if PATIENT_DERIVED[0] not in files:
        return None
    told, arrays = orjson.loads(files[PATIENT_DERIVED[0]]), load_arrays(files[PATIENT_DERIVED[1]])
    return Bank(
        case_keys=tuple(told["case_keys"]),
        patients=tuple(told["patients"]),
        u={name: arrays[name] for name in names},  # in the order of the drafter, not of the file
        sentences=tuple(tuple(one) for one in told["sentences"]),
        said=tuple(tuple(one) for one in told["said"]),
        frequent=tuple(tuple(one) for one in told["frequent"]),
    )
