"""Bridges and terms of co-learning by name, as task files and methods name them.

A *bridge* `(outputs, present) -> (outputs, present)` stands before the fusion and is deployed with it; a *term*
`(moment) -> loss` takes part in training alone. Both are made with the names of the modalities and the width of tokens.
"""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Final

from torch import nn

from clinic_mm.errors import TaskError
from clinic_mm.modalities import resolve

BRIDGES: Final[dict[str, str]] = {
    "missing_tokens": "clinic_mm.colearning.missing_tokens:MissingTokens",
    "prompts": "clinic_mm.colearning.prompts:Prompts",
    "shared_specific": "clinic_mm.colearning.shared_specific:SharedSpecific",
    "translate": "clinic_mm.colearning.translate:Translate",
}
TERMS: Final[dict[str, str]] = {
    "align": "clinic_mm.colearning.contrast:Align",
    "cycle": "clinic_mm.colearning.translate:Cycle",
    "distill": "clinic_mm.colearning.distill:Distill",
}


def make_bridge(name: str, names: Sequence[str], width: int) -> nn.Module:
    """A bridge by name. Raises TaskError for an unknown name."""
    return _made(BRIDGES, name, names, width)


def make_term(name: str, names: Sequence[str], width: int) -> nn.Module:
    """A loss term by name. Raises TaskError for an unknown name."""
    return _made(TERMS, name, names, width)


def check_colearning(wanted: Sequence[str]) -> None:
    """Every name is known.

    Raises:
        TaskError: For the first that is not, with the nearest and the list.
    """
    known = {**BRIDGES, **TERMS}
    for name in wanted:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"Did you mean {near[0]!r}? " if near else ""
            raise TaskError(f"Unknown co-learning {name!r}", "fusion", f"{hint}Known: {', '.join(sorted(known))}")


def _made(table: Mapping[str, str], name: str, names: Sequence[str], width: int) -> nn.Module:
    check_colearning([name])
    made: nn.Module = resolve(table[name])(names, width)
    return made
