"""How deployed networks are run: device, engine, precision, threads.

In:  what an operator chose. Out: `Runtime`, checked. Neither torch nor OpenVINO is imported here.
"""

from dataclasses import dataclass
from typing import Literal, cast, get_args

from clinic_mm.errors import UsageError

Device = Literal["cpu", "cuda"]
Engine = Literal["openvino", "torch"]
Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True, slots=True)
class Runtime:
    """What runs the networks of a model.

    Attributes:
        device: Where they run.
        engine: What runs them: OpenVINO on a CPU and PyTorch on a GPU; PyTorch on a CPU is for comparison.
        precision: float32 answers as training did, within 1e-4; bfloat16 only after `predict.narrow` has compared.
        threads: Of one process; part of the job, since sums over other numbers of threads differ in the last bits.
    """

    device: Device = "cpu"
    engine: Engine = "openvino"
    precision: Precision = "float32"
    threads: int = 1

    def __post_init__(self) -> None:
        assert self.threads > 0, "a process has at least one thread"
        assert (self.device, self.engine) != ("cuda", "openvino"), "OpenVINO runs on the CPU here"

    @property
    def told(self) -> str:
        """In words, for people."""
        engine = "OpenVINO" if self.engine == "openvino" else "PyTorch"
        return f"networks on {self.device} by {engine} in {self.precision}"


def runtime_of(device: str = "cpu", precision: str = "float32", threads: int = 1) -> Runtime:
    """The runtime that a command's options ask for.

    Raises:
        UsageError: For an unknown device or precision.
    """
    _known(device, get_args(Device), "--device")
    _known(precision, get_args(Precision), "--precision")
    engine: Engine = "openvino" if device == "cpu" else "torch"
    return Runtime(cast("Device", device), engine, cast("Precision", precision), threads)


def _known(name: str, names: tuple[str, ...], option: str) -> None:
    if name not in names:
        raise UsageError(f"Unknown {option.lstrip('-')} {name!r}", option, f"Known: {', '.join(names)}")
