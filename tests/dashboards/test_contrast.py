"""Contrasts of both themes by WCAG 2.2: 1.4.3 for words (4.5:1), 1.4.11 for what is drawn and must be seen (3:1)."""

import re
import sys
import tomllib
from collections.abc import Iterator
from itertools import product
from typing import Any, Final

import pytest

from clinic_mm.bundle import folder

sys.path.insert(0, str(folder("dashboards")))

from components import chart, colours, within

ROOM: Final = folder("dashboards")
THEMES: Final[dict[str, dict[str, Any]]] = tomllib.loads(
    (ROOM / ".streamlit" / "config.toml").read_text(encoding="utf-8")
)["theme"]
CANVAS: Final = ROOM / "components" / "canvas"
WORDS, DRAWN = 4.5, 3.0
DRAWN_IN: Final = (colours.TOWARDS, colours.AWAY, colours.QUIET, colours.POINT, colours.ALARM)


def luminance(colour: str) -> float:
    """Relative luminance of `#rrggbb` (WCAG 2.2, definition)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def laid_over(colour: str, ground: str, share: float) -> str:
    mixed = [
        round(share * int(colour[at : at + 2], 16) + (1 - share) * int(ground[at : at + 2], 16)) for at in (1, 3, 5)
    ]
    return "#" + "".join(f"{one:02x}" for one in mixed)


def grounds(theme: dict[str, Any]) -> tuple[str, str]:
    return theme["backgroundColor"], theme["secondaryBackgroundColor"]


def canvas_colours(style: str) -> Iterator[tuple[str, dict[str, str]]]:
    """The two sets of a canvas: light first, then dark."""
    text = (CANVAS / style).read_text(encoding="utf-8")
    for name, block in zip(("light", "dark"), re.findall(r"\{([^}]*--[^}]*)\}", text), strict=False):
        yield name, dict(re.findall(r"--\w+-(\w+): (#[0-9a-f]{6})", block))


def test_the_measure_is_that_of_the_standard() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


@pytest.mark.parametrize("name", ["light", "dark"])
def test_words_of_the_themes(name: str) -> None:
    theme = THEMES[name]
    for ground, word in product(grounds(theme), ("textColor", "linkColor", "primaryColor")):
        assert contrast(theme[word], ground) >= WORDS, (word, ground)
    for ground in grounds(theme):  # Streamlit writes captions in the text's colour, faded to three fifths
        assert contrast(laid_over(theme["textColor"], ground, 0.6), ground) >= WORDS


def test_words_on_the_main_button() -> None:
    assert contrast("#ffffff", THEMES["light"]["primaryColor"]) >= WORDS
    css = (CANVAS / "page.css").read_text(encoding="utf-8")
    ink = re.search(r"stBaseButton-primary.*?color: (#[0-9a-f]{6})", css, re.DOTALL)
    assert ink is not None
    assert contrast(ink[1], THEMES["dark"]["primaryColor"]) >= WORDS


@pytest.mark.parametrize("style", ["eeg.css", "timeline.css"])
def test_what_is_drawn_on_canvas(style: str) -> None:
    seen = dict(canvas_colours(style))
    assert set(seen) == {"light", "dark"}
    for found in seen.values():
        for word in ("ink", "faint"):
            assert contrast(found[word], found["paper"]) >= WORDS, word
        for line in {"mark", "cursor", "towards", "away", "alarm", "line"} & set(found):
            assert contrast(found[line], found["paper"]) >= DRAWN, line


@pytest.mark.parametrize("name", ["light", "dark"])
def test_charts_are_seen_on_either_ground(name: str) -> None:
    for colour, ground in product((*DRAWN_IN, *colours.KINDS), grounds(THEMES[name])):
        assert contrast(colour, ground) >= DRAWN, (colour, ground)


@pytest.mark.parametrize(("name", "word"), [("light", colours.WORDS_ON_LIGHT), ("dark", colours.WORDS_ON_DARK)])
def test_words_of_charts_and_the_ground_on_which_each_is_taken(name: str, word: str) -> None:
    for ground in grounds(THEMES[name]):
        assert contrast(word, ground) >= WORDS
        assert (luminance(ground) > chart.MIDDLE) == (name == "light")


def test_the_middle_is_where_black_and_white_stand_out_alike() -> None:
    assert pytest.approx(chart.MIDDLE, abs=0.001) == (1.05 * 0.05) ** 0.5 - 0.05


def test_charts_are_drawn_in_one_place_and_take_their_colours_from_one() -> None:
    for path in {*ROOM.rglob("*.py")} - {ROOM / "components" / "chart.py", ROOM / "components" / "colours.py"}:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\b(altair_chart|vega_lite_chart|line_chart|bar_chart|scatter_chart)\(", text), path
        if "import altair" in text:
            assert not re.search(r"""(#[0-9a-f]{6}|color=")""", text), path


@pytest.mark.parametrize(("name", "mark"), list(product(["light", "dark"], within.RGB.values())))
def test_words_of_a_note_on_their_darkest_mark(name: str, mark: str) -> None:
    theme = THEMES[name]
    colour = "#" + "".join(f"{int(part):02x}" for part in mark.split(","))
    assert contrast(theme["textColor"], laid_over(colour, theme["backgroundColor"], within.DARKEST)) >= WORDS
