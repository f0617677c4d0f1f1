"""A model card as one HTML page: no script, nothing loaded from elsewhere, pictures inside, fit for print.

In:  a card. Out: text; everything in it is escaped.
"""

import base64
import re
from html import escape
from typing import Final

from clinic_mm.predict.modelcard.content import Block, Bullets, Card, Paragraph, Picture, Section, Table

STYLE: Final = """
:root { color-scheme: light }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1040px; margin: 2rem auto; padding: 0 1.2rem; color: #1d2328;
  background: #fff }
h1 { font-size: 1.7rem; margin: 0 0 .8rem } h2 { font-size: 1.15rem; margin: 2.2rem 0 .5rem; padding-top: .6rem;
  border-top: 1px solid #d8dee4 }
.mark { background: #fff3cd; border-left: 4px solid #b8860b; padding: .55rem .9rem; margin: .4rem 0; font-weight: 600 }
.strong { font-weight: 600 } nav { font-size: 13px; columns: 3; margin: 1rem 0 }
nav a { color: #0b5394; display: block }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; margin: .5rem 0 1rem }
th, td { padding: .28rem .6rem; border-bottom: 1px solid #e3e7eb; text-align: left;
  vertical-align: top }
th { color: #57606a; font-weight: 600 } td { overflow-wrap: anywhere } td + td { overflow-wrap: break-word }
.scroll { overflow-x: auto } img { max-width: 100%; height: auto } figure { margin: 1rem 0 }
figcaption { font-size: 13px; color: #57606a } tr:has(.flag) td { background: #fdf2f0 }
code { font-size: 12px; overflow-wrap: anywhere }
@media print { nav { display: none } h2 { break-after: avoid } table, figure { break-inside: avoid } }
"""
HASH: Final = re.compile(r"[0-9a-f]{40,}")
FLAG: Final = "(!) "


def as_html(card: Card) -> str:
    """The whole page."""
    marks = "".join(f'<p class="mark">{_text(mark)}</p>' for mark in card.marks)
    links = "".join(f'<a href="#{_anchor(one)}">{_text(one.title)}</a>' for one in card.sections)
    body = "".join(_section(one) for one in card.sections)
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{_text(card.title)}</title><style>{STYLE}</style>"
    )
    nav = f'<nav aria-label="Sections">{links}</nav>'
    main = f"<main><h1>{_text(card.title)}</h1>{marks}{nav}{body}</main>"
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>{main}</body></html>\n'


def _section(section: Section) -> str:
    blocks = "".join(map(_block, section.blocks))
    return f'<section id="{_anchor(section)}"><h2>{_text(section.title)}</h2>{blocks}</section>'


def _anchor(section: Section) -> str:
    return re.sub(r"[^a-z]+", "-", section.title.lower()).strip("-")


def _block(block: Block) -> str:
    match block:
        case Paragraph():
            return f"<p{' class=strong' if block.strong else ''}>{_text(block.text)}</p>"
        case Bullets():
            return f"<ul>{''.join(f'<li>{_text(item)}</li>' for item in block.items)}</ul>"
        case Table():
            head = "".join(f'<th scope="col">{_text(cell)}</th>' for cell in block.head)
            above = f"<thead><tr>{head}</tr></thead>" if any(block.head) else ""
            rows = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in block.rows)
            return f'<div class="scroll"><table>{above}<tbody>{rows}</tbody></table></div>'
        case Picture():
            data = base64.b64encode(block.png).decode("ascii")
            image = f'<img alt="{_text(block.alt)}" src="data:image/png;base64,{data}">'
            return f"<figure>{image}<figcaption>{_text(block.alt)}</figcaption></figure>"


def _cell(text: str) -> str:
    if text.startswith(FLAG):
        return f'<td class="flag">{_text(text)}</td>'
    return f"<td><code>{_text(text)}</code></td>" if HASH.fullmatch(text) else f"<td>{_text(text)}</td>"


def _text(text: str) -> str:
    return escape("".join(sign if sign.isprintable() else " " for sign in text))
