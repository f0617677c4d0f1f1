"""What fusions of tokens share: every token told whose it is and when it was taken, and one layer of attention.

In:  tokens with masks and times of every modality. Out: marked tokens, and who may not be listened to.
A token that is not real is masked as a key; as a query it is nobody's, and whoever pools must leave it out.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import torch
from torch import Tensor, nn

from clinic_mm.encoders.base import ModalityOutput
from clinic_mm.fusion.base import Fusion
from clinic_mm.shapes import Presence, TokenMask, Tokens

HEADS: Final = 4
HOURS_UNIT: Final = 24.0


class TokenFusion(Fusion):
    """Base of the fusions that read tokens."""

    def __init__(self, names: Sequence[str], width: int, prior: Tensor) -> None:
        super().__init__(names, width, prior)
        self.whose = nn.Parameter(0.1 * torch.randn(len(self.names), width))
        self.when = nn.Linear(1, width)
        self.token_norm = nn.LayerNorm(width)

    def marked(self, outputs: Mapping[str, ModalityOutput], present: Presence) -> list[tuple[Tokens, TokenMask]]:
        """For each modality its tokens with whose and when added, and where they are not real."""
        parts = []
        for column, name in enumerate(self.names):
            said = outputs[name]
            when = self.when((said.time_h / HOURS_UNIT).abs().log1p()[..., None])
            padding = ~(said.token_mask & present[:, column, None])
            parts.append((self.token_norm(said.tokens) + self.whose[column] + when, padding))
        return parts


class Layer(nn.Module):
    """Queries attend to keys, then think: layer norm before each, a residual around each."""

    def __init__(self, width: int, heads: int = HEADS) -> None:
        super().__init__()
        self.query_norm, self.key_norm, self.mlp_norm = (nn.LayerNorm(width) for _ in range(3))
        self.attend = nn.MultiheadAttention(width, heads, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, queries: Tensor, keys: Tensor, padding: Tensor) -> Tensor:
        """One round.

        Args:
            queries: [B, Q, D].
            keys: [B, K, D].
            padding: True where a key is not to be heard: of all queries [B, K], or of each [B, Q, K]; or what
                `muted` made of it. Nobody may be left without a key.
        """
        if not len(queries):  # torch cannot attend with a mask where there are no rows at all
            return queries
        keys = self.key_norm(keys)
        mask = muted(padding, queries, self.attend.num_heads) if padding.dtype == torch.bool else padding
        heard, _ = self.attend(self.query_norm(queries), keys, keys, attn_mask=mask, need_weights=False)
        queries = queries + heard
        thought: Tensor = queries + self.mlp(self.mlp_norm(queries))
        return thought


def muted(padding: Tensor, queries: Tensor, heads: int = HEADS) -> Tensor:
    """What attention adds to its scores [B * heads, Q, K]: made once where several layers hear the same."""
    of_each = padding if padding.ndim == 3 else padding[:, None].expand(-1, queries.shape[1], -1)
    added = queries.new_zeros(of_each.shape).masked_fill_(of_each, -torch.inf)
    return added.repeat_interleave(heads, dim=0)


def mean_of_real(tokens: Tokens, padding: TokenMask) -> Tensor:
    """Mean of the real tokens [B, D]; zero where none is."""
    real = (~padding).to(tokens.dtype)[..., None]
    mean: Tensor = (tokens * real).sum(dim=1) / real.sum(dim=1).clamp(min=1.0)
    return mean
