"""Words of no language, each planted once."""

import random
import re

WORD = re.compile(rb"zqx[b-df-hj-np-tv-z]{6}", re.IGNORECASE)


class Tokens:
    """Gives tokens, and finds them again in any case."""

    def __init__(self, rng: random.Random) -> None:
        self._rng, self._words, self._numbers = rng, set[str](), set[str]()

    def __len__(self) -> int:
        return len(self._words) + len(self._numbers)

    def word(self) -> str:
        """A new word of nine letters with a capital."""
        word = "Zqx" + "".join(self._rng.choices("bcdfghjklmnprstvwz", k=6))
        if word in self._words:
            return self.word()
        self._words.add(word)
        return word

    def number(self, form: str) -> str:
        """A new number of a form in which each # is a digit."""
        number = "".join(str(self._rng.randint(1, 9)) if sign == "#" else sign for sign in form)
        if number in self._numbers:
            return self.number(form)
        self._numbers.add(number)
        return number

    def seen(self, content: bytes) -> set[str]:
        """Which tokens stand in some bytes."""
        words = {found.decode().capitalize() for found in WORD.findall(content)} & self._words
        text = content.decode("latin-1") if self._numbers else ""
        return words | {number for number in _numbers(text) if number in self._numbers}


def _numbers(text: str) -> set[str]:
    """Everything in a text that may be one of our numbers: runs of digits and the signs between them."""
    return {run.strip(" .-/") for run in re.findall(r"[+(]?\d[\d .\-/()]{5,}\d", text)}
