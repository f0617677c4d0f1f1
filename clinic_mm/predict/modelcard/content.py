"""What a card is made of, whatever it is written as. Nothing here knows a model or a file format."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import isnan


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Words; `strong` where a reader must not miss them."""

    text: str
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list."""

    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Cells as they are shown."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG and what is on it."""

    alt: str
    png: bytes = field(repr=False)


Block = Paragraph | Bullets | Table | Picture


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands below it."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Card:
    """A whole card.

    Attributes:
        title: Of the card.
        marks: What stands above everything else.
        sections: In order.
        model_hash: Of the artifact; "" while it is being written.
        simulated: Whether the model was trained on simulated cases.
    """

    title: str
    marks: tuple[str, ...]
    sections: tuple[Section, ...]
    model_hash: str = ""
    simulated: bool = False

    def with_sections(self, added: Sequence[Section], after: str) -> "Card":
        """The same with more sections behind the one of that title."""
        place = next(i for i, one in enumerate(self.sections) if one.title == after) + 1
        return replace(self, sections=(*self.sections[:place], *added, *self.sections[place:]))


def number(value: float | None, digits: int = 3, *, sign: bool = False) -> str:
    """A figure; one that is not defined is a dash."""
    if value is None or isnan(value):
        return "–"
    return f"{value:{'+' if sign else ''}.{digits}f}"


def span(value: float | None, low: float | None, high: float | None, *, sign: bool = False) -> str:
    """A figure with its interval; a figure alone is never shown where it should have one."""
    if value is None or isnan(value):
        return "not defined"
    return f"{number(value, sign=sign)} ({number(low, sign=sign)} to {number(high, sign=sign)})"
