"""Turn a clinical note into hashed n-gram shares: no vocabulary to learn, nothing to look up, works offline.

In:  text (clinic_mm.signals.NoteText).
Out: float32 [n]: one and two word n-grams hashed to n places (signed hashing off), log-damped, unit length.
     The same vector serves the encoder and the plain heads.
     With `text_model` in the recipe (the path of a local folder, an option of the task) a transformer's mean embedding
     takes its place.

Source: Weinberger et al., "Feature hashing for large scale multitask learning", arXiv 0902.2206.
"""

import re
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, Final, NamedTuple, Self

import numpy as np
from jaxtyping import Float, Float64, Int
from numpy import ndarray as Array
from sklearn.feature_extraction import FeatureHasher
from sklearn.feature_extraction.text import HashingVectorizer

from clinic_mm.errors import EvidenceError, TaskError
from clinic_mm.extras import need
from clinic_mm.prep.base import Prep, Prepared
from clinic_mm.signals import NoteText
from clinic_mm.task import ModalityTask

PLACES: Final = {"tiny": 1024, "small": 4096, "base": 16384}
MAX_TOKENS: Final = 512
WORD: Final = re.compile(r"(?u)\b\w\w+\b")
"""What hashing takes for a word: two letters, figures or underscores, or more."""


class NotePrep(Prep[NoteText]):
    """Hash a text, or embed it with a transformer from a local folder."""

    kind: ClassVar[str] = "note"

    @classmethod
    def plan(cls, size: str, options: ModalityTask) -> Self:
        """A number of hash places by model size, or the width of the transformer that the task names."""
        if not options.text_model:
            return cls({"places": PLACES[size]})
        _, model = _transformer(options.text_model)
        return cls({"places": int(model.config.hidden_size), "text_model": options.text_model})

    def __call__(self, signal: NoteText, until: object = None) -> Prepared:
        """Prepare one note.

        Raises:
            EvidenceError: `note.empty` where no word is left.
        """
        del until
        folder = self.recipe.get("text_model")
        x = embedded(signal.text, folder) if folder else hashed(signal.text, self.shape[0])
        # Hashing knows words of two letters or more: a note of none would look like a note of average content.
        if not x.any() or not any(letter.isalnum() for letter in signal.text):
            raise EvidenceError("note.empty", "The note holds no word", "note", "Leave it out")
        return Prepared(x, x, signal.flags)

    @property
    def shape(self) -> tuple[int, ...]:
        """Hash places or embedding width."""
        return (int(self.recipe["places"]),)

    @property
    def plain_names(self) -> tuple[str, ...]:
        """Places have no words of their own: several n-grams may share one."""
        return tuple(f"n-gram place {place}" for place in range(self.shape[0]))

    @property
    def rests_on(self) -> tuple[Path, ...]:
        """The transformer's files: another model in the same folder gives other embeddings."""
        folder = self.recipe.get("text_model")
        return tuple(sorted(path for path in Path(folder).rglob("*") if path.is_file())) if folder else ()


def hashed(text: str, places: int) -> Array:
    """Shares of hashed n-grams, [places], log-damped, unit length."""
    counts = _vectorizer(places).transform([text]).toarray()[0]
    damped = np.log1p(counts)
    return _unit(damped)


def word_counts(shares: Float[Array, "n p"]) -> Float64[Array, "n p"]:
    """How often each place was hit, back from `hashed` shares.

    Exact wherever some place of the text was hit once, as nearly always: the least share then stands for one hit.
    Otherwise all counts of a text are too small by one factor.
    """
    least = np.where(shares > 0, shares, np.inf).min(axis=1, keepdims=True, initial=np.inf)
    counts: Array = np.rint(np.expm1(np.log(2.0) * shares.astype(np.float64) / least))
    return counts


class Words(NamedTuple):
    """The words of a text and where its n-grams are hashed to.

    Attributes:
        span: First character and last (exclusive) of each word [w, 2].
        one: Place of each word [w].
        two: Place of each word with the next one [w - 1].
    """

    span: Int[Array, "w 2"]
    one: Int[Array, " w"]
    two: Int[Array, " v"]


def words_of(text: str, places: int) -> Words:
    """Where the shares of `hashed` come from in a text."""
    found = list(WORD.finditer(text))
    words = [match.group().lower() for match in found]
    pairs = [f"{first} {second}" for first, second in pairwise(words)]
    span = np.array([match.span() for match in found], dtype=int).reshape(-1, 2)
    hasher = FeatureHasher(places, input_type="string", alternate_sign=False)
    place = hasher.transform([gram] for gram in [*words, *pairs]).indices if words else np.zeros(0, int)
    return Words(span, place[: len(words)], place[len(words) :])


def _unit(vector: Array) -> Array:
    scaled: Array = (vector / max(float(np.linalg.norm(vector)), 1e-9)).astype(np.float32)
    return scaled


@lru_cache(maxsize=4)
def _vectorizer(places: int) -> HashingVectorizer:
    return HashingVectorizer(n_features=places, alternate_sign=False, ngram_range=(1, 2), norm=None)


def embedded(text: str, folder: str) -> Array:
    """Mean last hidden state over the tokens of a text, [width], unit length."""
    import torch

    tokenizer, model = _transformer(folder)
    tokens = tokenizer(text, truncation=True, max_length=MAX_TOKENS, return_tensors="pt")
    with torch.inference_mode():
        states = model(**tokens).last_hidden_state[0]
    vector = states.mean(dim=0).numpy()
    return _unit(vector)


@lru_cache(maxsize=1)
def _transformer(folder: str) -> tuple[Any, Any]:
    """Tokenizer and model from a local folder; never from anywhere else, and safetensors only."""
    if not Path(folder).is_dir():
        raise TaskError("There is no such transformer folder", "modality.note / text_model", "Name a local folder")
    transformers = need("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    model = transformers.AutoModel.from_pretrained(
        folder, local_files_only=True, trust_remote_code=False, use_safetensors=True
    )
    return tokenizer, model.eval()
