"""A fitted fusion network: adapters, bridges, fusion; one encoding of a case answers all its subsets.

In:  `Heard`. Out: logits of subsets. How it is fitted stands in `training.methods.network`.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final, Self, cast

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray as Array
from pydantic import JsonValue
from torch import Tensor, nn

from clinic_mm.colearning.bridge import Bridge
from clinic_mm.colearning.registry import make_bridge
from clinic_mm.encoders.base import ModalityOutput, make_encoder
from clinic_mm.fusion.adapters import Adapter, Features, Given, LiveAdapter, PlainAdapter, SpokenAdapter
from clinic_mm.fusion.base import make_fusion
from clinic_mm.fusion.cost import multiply_adds, parameters
from clinic_mm.fusion.heard import Heard
from clinic_mm.fusion.joined import Cost, Joined, State
from clinic_mm.shapes import Logits, Presence

CASES_AT_ONCE: Final = 256
ROWS_AT_ONCE: Final = 2048
Told = dict[str, JsonValue]


class Network(nn.Module):
    """Adapters, bridges and a fusion by name.

    `told` says everything that makes its shape: fusion, bridges, width, names, and for each modality its adapter.
    """

    def __init__(self, told: Mapping[str, JsonValue], prior: Tensor) -> None:
        super().__init__()
        names = tuple(cast(Sequence[str], told["names"]))
        width = cast(int, told["width"])
        adapters = cast(Mapping[str, Told], told["adapters"])
        self.names = names
        self.adapters = nn.ModuleList(make_adapter(adapters[name], width, len(prior)) for name in names)
        self.bridges = nn.ModuleList(make_bridge(b, names, width) for b in cast(Sequence[str], told["bridges"]))
        self.fusion = make_fusion(cast(str, told["fusion"]), names, width, prior)

    def hear(self, given: Mapping[str, Given]) -> dict[str, ModalityOutput]:
        """What each modality says of a batch, before any bridge."""
        return {name: self.adapters[k](given[name]) for k, name in enumerate(self.names)}

    def answer(
        self, outputs: Mapping[str, ModalityOutput], present: Presence, case: Int[Tensor, " B"] | None = None
    ) -> Logits:
        """Logits of subsets of what was heard; nothing at all gives the prior, whatever a bridge may add.

        Args:
            outputs: What each modality said of some cases.
            present: Who speaks in each row.
            case: Whose each row is; by default row r is case r.
        """
        there = present
        if self.bridges and case is not None:  # a bridge fills each row for itself
            outputs, case = {name: output.rows(case) for name, output in outputs.items()}, None
        for bridge in self.bridges:
            outputs, there = bridge(outputs, there)
        logits: Tensor = self.fusion(outputs, there & present.any(dim=1)[:, None], case)
        return logits

    def forward(self, given: Mapping[str, Given], present: Presence) -> Logits:
        """Both in one."""
        return self.answer(self.hear(given), present)


def make_adapter(told: Told, width: int, n_classes: int) -> Adapter:
    """An adapter from what is told of it."""
    if told["level"] == "joint":
        shape = tuple(cast(Sequence[int], told["shape"]))
        return LiveAdapter(make_encoder(cast(str, told["kind"]), shape, n_classes, cast(str, told["size"])))
    if told["level"] == "spoken":
        return SpokenAdapter(width, cast(int, told["encoder_width"]), n_classes)
    features = Features(*cast(Sequence[int], told["features"]))
    return PlainAdapter(width, features, n_classes if told["opinion"] else 0)


def given_of(heard: Heard, cases: Int[Array, " b"]) -> dict[str, Given]:
    """A batch of cases as the adapters take it."""
    return {name: _given(heard, name, column, cases) for column, name in enumerate(heard.names)}


def _given(heard: Heard, name: str, column: int, cases: Int[Array, " b"]) -> Given:
    here, row = heard.present[cases, column], heard.row[name][cases]
    time_h = heard.time_h[cases, column]
    x = torch.from_numpy(heard.x[name][row[here]].astype(np.float32)) if name in heard.x else None
    return Given(
        here=torch.from_numpy(here),
        time_h=torch.from_numpy(time_h.astype(np.float32)),
        plain=torch.from_numpy(heard.plain[name][cases].astype(np.float32)),
        opinion=torch.from_numpy(np.log(np.maximum(heard.opinions[cases, column], 1e-6)).astype(np.float32)),
        said=heard.spoken[name].output(np.where(here, row, -1), time_h) if name in heard.spoken else None,
        x=x,
    )


class JoinedNetwork(Joined):
    """A fitted `Network`."""

    kind: ClassVar[str] = "network"

    def __init__(self, told: Mapping[str, JsonValue], network: Network) -> None:
        self.told, self.network = dict(told), network.eval()

    @property
    def fills(self) -> str:
        """What the bridges put in the place of absent modalities, in words."""
        return "; ".join(cast(Bridge, bridge).fills for bridge in self.network.bridges if cast(Bridge, bridge).fills)

    @torch.inference_mode()
    def logits(self, heard: Heard, case: Int[Array, " r"], present: Bool[Array, "r M"]) -> Float[Array, "r C"]:
        """Each case is encoded once, however many of its subsets are asked for."""
        self.network.eval()
        out = np.zeros((len(case), len(self.network.fusion.prior)))
        cases, place = np.unique(case, return_inverse=True)
        for start in range(0, len(cases), CASES_AT_ONCE):
            part = cases[start : start + CASES_AT_ONCE]
            outputs = self.network.hear(given_of(heard, part))
            rows = np.flatnonzero((place >= start) & (place < start + len(part)))
            for at in range(0, len(rows), ROWS_AT_ONCE):
                asked = rows[at : at + ROWS_AT_ONCE]
                index = torch.from_numpy(place[asked] - start)
                answer = self.network.answer(outputs, torch.from_numpy(present[asked]), index)
                out[asked] = answer.double().numpy()
        return out

    def to_state(self) -> State:
        """The shape as JSON, the weights as arrays."""
        weights = {key: t.detach().contiguous().numpy().copy() for key, t in self.network.state_dict().items()}
        return dict(self.told), weights

    @classmethod
    def from_state(cls, told: Mapping[str, JsonValue], arrays: Mapping[str, Array]) -> Self:
        """The same network."""
        network = Network(told, torch.from_numpy(np.exp(arrays["fusion.prior"])))
        network.load_state_dict({key: torch.from_numpy(np.array(a)) for key, a in arrays.items()})
        return cls(told, network)

    def cost(self) -> Cost:
        """Parameters as they are; multiply-adds of the products of one case with every modality, live encoders too."""
        given = {
            name: _nothing(a, self.told, name)
            for name, a in zip(self.network.names, self.network.adapters, strict=True)
        }
        everyone = torch.ones(1, len(self.network.names), dtype=torch.bool)
        return Cost(parameters(self.network), multiply_adds(lambda: self.network(given, everyone)))


def _nothing(adapter: nn.Module, told: Mapping[str, JsonValue], name: str) -> Given:
    """One case of zeros in the shape that an adapter takes."""
    here, time_h = torch.ones(1, dtype=torch.bool), torch.zeros(1)
    of = cast(Mapping[str, Told], told["adapters"])[name]
    n_inputs = cast(Sequence[int], of["features"])[0] if "features" in of else 0
    plain, opinion = torch.zeros(1, n_inputs), torch.zeros(1, cast(int, told["n_classes"]))
    if isinstance(adapter, LiveAdapter):
        return Given(here, time_h, plain, opinion, x=torch.zeros(1, *adapter.encoder.shape))
    if isinstance(adapter, SpokenAdapter):
        tokens = torch.zeros(1, cast(int, of["n_tokens"]), cast(int, of["encoder_width"]))
        said = ModalityOutput(
            tokens, torch.ones(tokens.shape[:2], dtype=torch.bool), torch.zeros(tokens.shape[:2]), tokens[:, 0], opinion
        )
        return Given(here, time_h, plain, opinion, said=said)
    return Given(here, time_h, plain, opinion)
