"""The note encoder: an embedding of hashed n-grams, summed by their shares (a bag of embeddings), one token.

In:  [n, place] shares of hashed n-grams, or a sentence embedding. Out: one token.
Source: Joulin et al., "Bag of tricks for efficient text classification", arXiv 1607.01759.
"""

from torch import Tensor, nn

from clinic_mm.encoders.base import Encoder


class NoteEncoder(Encoder):
    """Bag of n-gram embeddings."""

    def __init__(self, shape: tuple[int, ...], n_classes: int, size: str) -> None:
        super().__init__(shape, n_classes, size)
        self.bag = nn.Linear(shape[0], self.width)
        self.mix = nn.Sequential(nn.GELU(), nn.Dropout(0.1), nn.Linear(self.width, self.width))

    @property
    def n_tokens(self) -> int:
        """One."""
        return 1

    def encode(self, x: Tensor) -> Tensor:
        """One token."""
        token: Tensor = self.mix(self.bag(x))
        return token[:, None]
