"""One Prediction as an HTML page: no script, nothing loaded from elsewhere, readable aloud, fit for print.

In:  a Prediction and its setting. Out: text; everything in it is escaped. It says what the PDF says, part by part.
"""

import re
from collections.abc import Iterable
from html import escape
from typing import Final

from clinic_mm.predict.prediction import Prediction
from clinic_mm.report.content import Part, class_rows, facts, marks, parts_after, parts_before
from clinic_mm.report.fhir_parts import clean
from clinic_mm.report.setting import Setting
from clinic_mm.report.words import NOT_A_DEVICE, answer_in_words, probability, shows_answer

STYLE: Final = """
:root { color-scheme: light dark }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 860px; margin: 2rem auto; padding: 0 1.2rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.05rem; margin: 1.6rem 0 .3rem }
.mark { border: 1px solid; border-left-width: 5px; padding: .45rem .8rem; margin: .5rem 0; font-weight: 600 }
dl { display: grid; grid-template-columns: minmax(9rem, 14rem) 1fr; margin: .3rem 0 }
dt, dd { margin: 0; padding: .2rem .6rem .2rem 0; border-bottom: 1px solid #8884; overflow-wrap: anywhere }
dt { opacity: .8 } progress { width: 16rem; vertical-align: middle } footer { margin-top: 2rem; font-size: 13px }
code { font-size: 12px }
@media print { h2 { break-after: avoid } dl { break-inside: avoid } }
"""
BAR: Final = '<progress max="1" value="{:.2f}" aria-hidden="true"></progress>'
A_HASH: Final = re.compile(r"[0-9a-f]{40,}")


def html_report(prediction: Prediction, setting: Setting) -> str:
    """The whole page."""
    title = f"AI report: {prediction.target}, case {prediction.case_key}"
    body = "".join(
        [
            f"<h1>AI report: {_text(prediction.target)}</h1>",
            *map(_mark, marks(setting)),
            _rows(facts(prediction, setting)),
            *map(_section, parts_before(prediction, setting.signed, setting.whose)),
            _answer(prediction),
            *map(_section, parts_after(prediction, setting.labels)),
        ]
    )
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{_text(title)}</title>'
    foot = f"<footer><p>{_text(NOT_A_DEVICE)}</p><p>prediction sha256 {_words(prediction.content_hash)}</p></footer>"
    page = f"<head>{head}<style>{STYLE}</style></head><body><main>{body}</main>{foot}</body>"
    return f'<!doctype html>\n<html lang="en">{page}</html>\n'


def _answer(prediction: Prediction) -> str:
    words = answer_in_words(prediction)
    told = f"<p>{_text(words)}</p>" if shows_answer(prediction) else _mark(words)
    return f"<section><h2>The AI's answer</h2>{told}{_classes(prediction)}</section>"


def _classes(prediction: Prediction) -> str:
    rows = [
        f"<dt>{_text(name)}</dt><dd>{BAR.format(p)} <b>{_text(probability(p))}</b></dd>"
        for name, p in class_rows(prediction)
    ]
    return f"<dl>{''.join(rows)}</dl>" if rows else ""


def _section(part: Part) -> str:
    lines = "".join(f"<p>{_text(line)}</p>" for line in part.lines)
    return f"<section><h2>{_text(part.title)}</h2>{_rows(part.rows) if part.rows else ''}{lines}</section>"


def _rows(rows: Iterable[tuple[str, str]]) -> str:
    return f"<dl>{''.join(f'<dt>{_text(name)}</dt><dd>{_words(words)}</dd>' for name, words in rows)}</dl>"


def _mark(words: str) -> str:
    return f'<p class="mark">{_text(words)}</p>'


def _words(words: str) -> str:
    return f"<code>{_text(words)}</code>" if A_HASH.fullmatch(words) else _text(words)


def _text(text: str) -> str:
    return escape(clean(text))
