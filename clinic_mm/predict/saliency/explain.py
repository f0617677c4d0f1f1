"""Explain one piece of evidence of any kind that can be hidden place by place.

In:  the deployed expert of a modality, its prep, a decoded signal, the class. Out: a `Found`.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from pydantic import JsonValue

from clinic_mm.predict.experts import Expert
from clinic_mm.predict.saliency.asked import Asked
from clinic_mm.predict.saliency.eeg import eeg_saliency, eeg_settings
from clinic_mm.predict.saliency.image import ct_saliency, ct_settings, xray_saliency, xray_settings
from clinic_mm.predict.saliency.result import KINDS, Found
from clinic_mm.prep.base import Prep
from clinic_mm.signals import Signal

HOW: Final[Mapping[str, tuple[Callable[[Asked, Any], Found], Callable[[], Mapping[str, JsonValue]]]]] = {
    "xray": (xray_saliency, xray_settings),
    "ct": (ct_saliency, ct_settings),
    "eeg": (eeg_saliency, eeg_settings),
}
assert tuple(HOW) == KINDS


def explain(expert: Expert, prep: Prep[Signal], signal: Signal, target: int) -> Found:
    """Hide one place after another, and see what the expert then says.

    Summaries look throughout at the places where they look in the signal as it is: hiding the wall of the chest must
    not turn a lung into outside air.

    Raises:
        EvidenceError: If the prep refuses the signal, or it is too long to be hidden piece by piece.
    """
    found, _ = HOW[expert.kind]
    return found(Asked(expert, prep.looking_as_in(signal), target), signal)


def settings_of(kind: str) -> dict[str, JsonValue]:
    """What governs the saliency of a kind."""
    return dict(HOW[kind][1]())
