"""The state of a fit as bytes and back: one safetensors file, tensors by name, everything else as JSON in its header.

In:  a tree of mappings, lists, numbers, words, tensors and numpy arrays. Out: bytes that hold their own sha256.

No pickle. Numbers come back as the same bits, NaN and infinity included; a changed byte is refused.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from clinic_mm.errors import ArtifactError

TENSOR: Final = "$tensor"
ARRAY: Final = "$array"
HEADER: Final = "state"
CHECK_LETTERS: Final = 64
"""The header begins with a sha256 of what follows."""
LENGTH_BYTES: Final = 8
"""A safetensors file begins with the length of its header."""


def packed(tree: Mapping[str, Any]) -> bytes:
    """A tree as bytes."""
    tensors: dict[str, torch.Tensor] = {}
    told = json.dumps(_told(tree, "", tensors))
    return save(tensors, {HEADER: _check(told, tensors) + told})


def unpacked(content: bytes) -> dict[str, Any]:
    """The tree that `packed` was given; lists for tuples.

    Raises:
        ArtifactError: If it is not what was packed.
    """
    try:
        tensors = load(content)
        length = int.from_bytes(content[:LENGTH_BYTES], "little")
        header = json.loads(content[LENGTH_BYTES : LENGTH_BYTES + length])["__metadata__"][HEADER]
        check, told = header[:CHECK_LETTERS], header[CHECK_LETTERS:]
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise _damaged() from error
    if _check(told, tensors) != check:
        raise _damaged()
    tree: dict[str, Any] = _tree(json.loads(told), tensors)
    return tree


def _damaged() -> ArtifactError:
    return ArtifactError("The kept state is not what was written", "work folder", "Take the file away and run again")


def _told(value: Any, place: str, tensors: dict[str, torch.Tensor]) -> Any:  # noqa: ANN401  - any JSON
    if isinstance(value, np.ndarray):
        tensors[place] = torch.from_numpy(value.copy(order="C"))
        return {ARRAY: place}
    if isinstance(value, torch.Tensor):
        # A copy: two names of one storage would be refused.
        tensors[place] = value.detach().cpu().clone(memory_format=torch.contiguous_format)
        return {TENSOR: place}
    if isinstance(value, Mapping):
        return {str(key): _told(one, f"{place}/{key}", tensors) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_told(one, f"{place}/{k}", tensors) for k, one in enumerate(value)]
    if isinstance(value, np.generic):
        return value.item()
    assert value is None or isinstance(value, str | int | float | bool), type(value)
    return value


def _tree(told: Any, tensors: Mapping[str, torch.Tensor]) -> Any:  # noqa: ANN401  - any JSON
    if isinstance(told, dict):
        if set(told) == {TENSOR}:
            return tensors[told[TENSOR]]
        if set(told) == {ARRAY}:
            return tensors[told[ARRAY]].numpy()
        return {key: _tree(one, tensors) for key, one in told.items()}
    return [_tree(one, tensors) for one in told] if isinstance(told, list) else told


def _check(told: str, tensors: Mapping[str, torch.Tensor]) -> str:
    check = hashlib.sha256(told.encode())
    for name in sorted(tensors):
        check.update(tensors[name].numpy().tobytes())
    return check.hexdigest()
