"""Late fusion: the modalities' own opinions, joined without looking at their tokens."""

from collections.abc import Mapping

import torch

from clinic_mm.encoders.base import ModalityOutput
from clinic_mm.fusion.base import Fusion
from clinic_mm.shapes import Logits, Presence


class Average(Fusion):
    """Mean probability of the present modalities; the absent take no part. The baseline that fusion must beat."""

    def evidence(self, outputs: Mapping[str, ModalityOutput], present: Presence) -> Logits:
        """Log of the mean probability, less the log prior that the caller adds."""
        opinions = torch.stack([outputs[name].logits.softmax(dim=1) for name in self.names], dim=1)
        weights = present.to(opinions.dtype)[..., None]
        mean = (opinions * weights).sum(dim=1) / weights.sum(dim=1)
        return mean.clamp(min=1e-12).log() - self.prior
