"""Import OpenVINO so that nothing leaves the machine.

Out: the module, and one Core per process.

`import openvino` alone would send "import" to a server of its makers, by the package openvino_telemetry, unless a file
in the home folder forbids it. Here that package cannot be imported at all: OpenVINO then takes its own empty stand-in.
"""

import sys
from functools import cache
from types import ModuleType
from typing import Any, cast

SENDER = "openvino_telemetry"


def openvino() -> Any:  # noqa: ANN401 - the library has no types of its own that mypy takes
    """The module."""
    if "openvino" not in sys.modules:
        # None in sys.modules is how Python is told that a module is not to be found.
        sys.modules[SENDER] = cast("ModuleType", None)
    import openvino

    return openvino


@cache
def core() -> Any:  # noqa: ANN401 - as above
    """What reads and compiles networks; one is enough for a process."""
    return openvino().Core()


def version() -> str:
    """Of the library, as it tells it."""
    return str(openvino().__version__)
