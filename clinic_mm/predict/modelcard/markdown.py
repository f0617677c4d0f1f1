"""A card as Markdown.

In:  a card. Out: text; what came from files is escaped, so that a name cannot become a link or a tag. Pictures are
named, not shown.
"""

import re
from typing import Final

from clinic_mm.predict.modelcard.content import Block, Bullets, Card, Paragraph, Picture, Table

SPECIAL: Final = re.compile(r"([\\`*_\[\]<>|$~])")


def as_markdown(card: Card) -> str:
    """The whole card."""
    parts = [f"# {_plain(card.title)}", *(f"**{_plain(mark)}**" for mark in card.marks)]
    for section in card.sections:
        parts += [f"## {_plain(section.title)}", *map(_block, section.blocks)]
    return "\n\n".join(parts) + "\n"


def _block(block: Block) -> str:
    match block:
        case Paragraph():
            return f"**{_plain(block.text)}**" if block.strong else _plain(block.text)
        case Bullets():
            return "\n".join(f"- {_plain(item)}" for item in block.items)
        case Table():
            lines = [block.head, tuple("---" for _ in block.head), *block.rows]
            return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)
        case Picture():
            return f"(Figure: {_plain(block.alt)}; see the HTML card)"


def _cell(text: str) -> str:
    return text if text == "---" else _plain(text)


def _plain(text: str) -> str:
    kept = "".join(sign if sign.isprintable() else " " for sign in text)
    return SPECIAL.sub(r"\\\1", kept)
