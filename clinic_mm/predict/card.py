"""The model card that stands in an artifact: Markdown, from the very JSON files that are written beside it."""

from collections.abc import Mapping

import orjson

from clinic_mm.predict.modelcard.build import Parts, card_of
from clinic_mm.predict.modelcard.markdown import as_markdown


def model_card(files: Mapping[str, bytes]) -> str:
    """Markdown, from an artifact's files by name."""
    return as_markdown(card_of(parts_of(files)))


def parts_of(files: Mapping[str, bytes]) -> Parts:
    """What a card is built from: the JSON files of an artifact, read."""
    return {name: orjson.loads(content) for name, content in files.items() if name.endswith(".json")}
