"""Cross-attention: the tokens of each modality listen to those of every other, one pair at a time.

In:  tokens with masks and times. Out: what they add to the log prior. For all ordered pairs of present modalities,

    c_ij = softmax(Q(X_i) K(X_j)' / sqrt d) V(X_j),    X_i <- X_i + O(mean over present j != i of c_ij)

by head; then an MLP, the mean over the real tokens of each modality and over the present, and a last linear layer. All
pairs share their projections: parameters are linear in M, cost is not (M (M - 1) pairs). A modality alone hears nothing
and speaks for itself.

Source: attention of Vaswani et al. 2017, arXiv 1706.03762; between pairs of modalities Tsai et al. 2019,
arXiv 1906.00295.
"""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from clinic_mm.encoders.base import ModalityOutput
from clinic_mm.fusion.tokens import HEADS, TokenFusion, mean_of_real
from clinic_mm.shapes import Logits, Presence, TokenMask, Tokens


class CrossAttention(TokenFusion):
    """Projections that all ordered pairs share, and a head."""

    def __init__(self, names: Sequence[str], width: int, prior: Tensor) -> None:
        super().__init__(names, width, prior)
        self.norm, self.mlp_norm, self.head_norm = (nn.LayerNorm(width) for _ in range(3))
        self.project = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.head = nn.Linear(width, len(prior))

    def evidence(self, outputs: Mapping[str, ModalityOutput], present: Presence) -> Logits:
        """What the modalities say after they have heard each other."""
        parts = self.marked(outputs, present)
        tokens = torch.cat([tokens for tokens, _ in parts], dim=1)
        tokens = tokens + self._heard(tokens, [padding for _, padding in parts])
        tokens = tokens + self.mlp(self.mlp_norm(tokens))
        split = torch.split(tokens, [padding.shape[1] for _, padding in parts], dim=1)
        means = [mean_of_real(t, padding) for t, (_, padding) in zip(split, parts, strict=True)]
        said = torch.stack(means, dim=1)
        here = present.to(said.dtype)[..., None]
        word: Tensor = self.head(self.head_norm((said * here).sum(dim=1) / here.sum(dim=1)))
        return word

    def _heard(self, tokens: Tokens, paddings: Sequence[TokenMask]) -> Tokens:
        """O(mean of c_ij) for every token; zero where there is nobody else."""
        query, key, value = self.project(self.norm(tokens)).chunk(3, dim=2)
        query, key, value = (x.unflatten(2, (HEADS, -1)).transpose(1, 2) for x in (query, key, value))
        scores = query @ key.transpose(2, 3) / query.shape[3] ** 0.5
        shares, count = _shares(scores, paddings)
        mean = (shares @ value).transpose(1, 2).flatten(2) / count.clamp(min=1.0)
        heard: Tensor = self.out(mean).masked_fill(count == 0, 0.0)
        return heard


def _shares(
    scores: Float[Tensor, "B H T T"], paddings: Sequence[TokenMask]
) -> tuple[Float[Tensor, "B H T T"], Float[Tensor, "B T 1"]]:
    """Attention of each token to each other modality, summing to 1 over the real tokens of each, and how many speak.

    A softmax over keys that are all masked would be NaN: the least finite score keeps it a number, and a modality that
    does not speak is given nothing.
    """
    sizes = [padding.shape[1] for padding in paddings]
    shares, counts = [], []
    for column, (block, padding) in enumerate(zip(torch.split(scores, sizes, dim=3), paddings, strict=True)):
        others = [torch.full((size,), float(k != column)) for k, size in enumerate(sizes)]
        speaks = (~padding).any(dim=1).to(scores.dtype)
        listens = torch.cat(others).to(scores) * speaks[:, None]
        attention = block.masked_fill(padding[:, None, None, :], torch.finfo(scores.dtype).min).softmax(dim=3)
        shares.append(attention * listens[:, None, :, None])
        counts.append(listens)
    return torch.cat(shares, dim=3), torch.stack(counts).sum(dim=0)[..., None]
