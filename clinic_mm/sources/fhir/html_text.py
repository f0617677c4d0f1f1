"""Take the text out of HTML, in one pass from front to back: nothing in it is run, opened or fetched.

In:  HTML or XHTML, however broken. Out: its words, a line for each block.

Takes time in proportion to the length, whatever is in it: each search goes on where the last one ended.
"""

import html
import re
from typing import Final

HIDDEN: Final = frozenset({"script", "style", "head", "title", "template", "noscript", "iframe", "object", "svg"})
INLINE: Final = frozenset(
    {"a", "abbr", "b", "code", "em", "font", "i", "mark", "q", "s", "small", "span", "strong", "sub", "sup", "u"}
)
NAME: Final = re.compile(r"/?([A-Za-z][A-Za-z0-9]{0,15})")
BLANKS: Final = re.compile(r"[ \t\r\f\v\u00a0]+")
LINES: Final = re.compile(r" ?\n[ \n]*")


def html_text(source: str) -> str:
    """The words of a document, without its markup.

    Args:
        source: HTML or XHTML.
    """
    lower, parts, at = source.lower() if source.isascii() else _ascii_lower(source), [], 0
    while (start := source.find("<", at)) >= 0:
        parts.append(source[at:start])
        if source.startswith("<!--", start):
            at = _after(source, "-->", start + 4)
            continue
        found = NAME.match(source, start + 1)
        if not found and source[start + 1 : start + 2] not in {"!", "?", "/"}:
            parts.append("<")  # a sign in a sentence: "< 5 mm"
            at = start + 1
            continue
        name = found[1].lower() if found else ""
        at = _after(source, ">", start + 1)
        if name in HIDDEN and source[start + 1] != "/" and source[at - 2 : at] != "/>":
            at = _after(lower, f"</{name}", at)
            at = _after(source, ">", at)
        if name not in INLINE:
            parts.append("\n")
    parts.append(source[at:])
    text = html.unescape("".join(parts)).replace("\0", "")
    return LINES.sub("\n", BLANKS.sub(" ", text)).strip()


def _after(text: str, sign: str, at: int) -> int:
    found = text.find(sign, at)
    return len(text) if found < 0 else found + len(sign)


def _ascii_lower(text: str) -> str:
    """Lower case without a change of length, which some letters of Unicode would make."""
    return text.translate({code: code + 32 for code in range(ord("A"), ord("Z") + 1)})
