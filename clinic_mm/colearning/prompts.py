"""Missing-aware prompts: what is absent is told to those who are there, as a few learned tokens before their own.

    P_S = p_0 + sum of p_k over k not in S        tokens_m <- [P_S; tokens_m], z_m <- z_m + mean(P_S)   for m in S

The paper learns one prompt for every pattern of absence, 2^M - 1 of them; the sum of one prompt per absent modality
keeps the parameters linear in M, and gives a pattern that training never met a prompt that it did. The mean is added to
the summary, so that fusions that read summaries alone hear the prompt too. Presence stays as it is.

Source: Lee, Tsai, Chiu and Lee, "Multimodal Prompting with Missing Modalities for Visual Recognition", CVPR 2023, arXiv
2303.03369; that the number of prompts need not grow exponentially: Jang, Wang and Kim, 2023, arXiv 2312.15890.
"""

from collections.abc import Sequence
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from clinic_mm.colearning.bridge import Bridge, Carried
from clinic_mm.encoders.base import ModalityOutput
from clinic_mm.shapes import Presence

PROMPTS: Final = 2
"""Prompt tokens before those of each modality."""
FIRST: Final = 0.02


class Prompts(Bridge):
    """A few prompt tokens for "all there", and a few for each modality's absence."""

    def __init__(self, names: Sequence[str], width: int) -> None:
        super().__init__(names, width)
        self.always = nn.Parameter(FIRST * torch.randn(PROMPTS, width))
        self.absent = nn.Parameter(FIRST * torch.randn(len(self.names), PROMPTS, width))

    def prompt(self, present: Presence) -> Float[Tensor, "B P D"]:
        """The prompt of each row's pattern."""
        return self.always + torch.einsum("bm,mpd->bpd", (~present).to(self.absent.dtype), self.absent)

    def carry(self, outputs: dict[str, ModalityOutput], present: Presence) -> Carried:
        """Who is there hears who is not."""
        prompt = self.prompt(present)
        told = {name: _prompted(outputs[name], present[:, k], prompt) for k, name in enumerate(self.names)}
        return told, present


def _prompted(said: ModalityOutput, here: Tensor, prompt: Tensor) -> ModalityOutput:
    mine = prompt * here[:, None, None].to(prompt.dtype)
    mask = here[:, None].expand(-1, prompt.shape[1])
    return ModalityOutput(
        torch.cat([mine, said.tokens], dim=1),
        torch.cat([mask, said.token_mask], dim=1),
        torch.cat([said.time_h.new_zeros(mask.shape), said.time_h], dim=1),
        said.summary + mine.mean(dim=1),
        said.logits,
    )
