"""Marks in a note: only of the very text that was explained, and nothing of the text acts as markup."""

import hashlib
import sys

from clinic_mm.bundle import folder
from clinic_mm.predict.within.told import Within, WordShare

sys.path.insert(0, str(folder("dashboards")))

from components.note import weightiest
from components.within import marked

TEXT = "Severe <b>pain</b> & fever."


def told(text: str) -> Within:
    words = (WordShare(start=0, end=6, share=0.8), WordShare(start=21, end=26, share=-0.4))
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Within(modality="note", way="linear", opinion=0.0, baseline=-0.4, words=words, text_hash=digest)


def test_words_are_marked_in_their_places_and_the_rest_is_escaped() -> None:
    html = marked(TEXT, told(TEXT))
    assert html.count("<mark") == 2
    assert ">Severe</mark> &lt;b&gt;pain&lt;/b&gt; &amp; <mark" in html
    assert ">fever</mark>." in html


def test_another_text_is_shown_without_marks() -> None:
    assert marked(TEXT, told("Something else")) == "Severe &lt;b&gt;pain&lt;/b&gt; &amp; fever."
    assert marked(TEXT, None) == "Severe &lt;b&gt;pain&lt;/b&gt; &amp; fever."


def test_the_weightiest_words_are_said_too_and_only_of_this_text() -> None:
    assert weightiest(TEXT, told(TEXT)) == "Severe +0.80 · fever −0.40"
    assert weightiest(TEXT, told("Something else")) == ""
