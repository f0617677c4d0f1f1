"""Text from files, made safe to stand inside Streamlit's Markdown: no link, no image, no colour, no markup.

In:  any string. Out: the same characters, which Markdown shows as they are; control characters become spaces.
"""

import re
from typing import Final

MARKUP: Final = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:&@/])")


def plain(text: str) -> str:
    """Escape what Markdown, its extensions and Streamlit's directives would act on."""
    return MARKUP.sub(r"\\\1", "".join(sign if sign.isprintable() else " " for sign in text))
