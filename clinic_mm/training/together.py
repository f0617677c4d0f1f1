"""Several processes that train one model together, started by torchrun: on one machine or many.

In:  what torchrun tells each process. Out: who I am, whose turn it is, what the first process says.

Two ways to share the work (docs/decisions/0010). `parts`: each process fits whole networks of its own, found by the
others in the work folder, which all must see; the weights are those of one process, bit for bit. `batch`: all fit each
network together, each on its share of the rows of every batch, gradients averaged (DistributedDataParallel, gloo on
CPUs, nccl on GPUs); the weights depend in their last digits on how many there are.

Everything else is done by the first process, or by all alike. Without torchrun there is one process, and nothing here
does anything.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal, TypeVar, cast, get_args

import torch
import torch.distributed as dist

from clinic_mm.errors import UsageError

WAIT: Final = timedelta(hours=12)
"""For the first process, which may prepare a large cohort while the others wait."""
Share = Literal["parts", "batch"]
T = TypeVar("T")


def share_named(name: str) -> Share:
    """A way to share the work, by name.

    Raises:
        UsageError: For an unknown name.
    """
    for known in get_args(Share):
        if name == known:
            return cast(Share, known)
    raise UsageError(f"Unknown way to share the work: {name!r}", "--share", f"Known: {', '.join(get_args(Share))}")


@dataclass(frozen=True, slots=True)
class Processes:
    """Who takes part.

    Attributes:
        rank: Who I am, from 0.
        world: How many there are.
        share: How the work is shared.
    """

    rank: int = 0
    world: int = 1
    share: Share = "parts"

    @property
    def first(self) -> bool:
        """Whether this process writes and speaks for all."""
        return self.rank == 0

    @property
    def several(self) -> bool:
        """Whether there is anybody else."""
        return self.world > 1

    @property
    def splits_batches(self) -> int:
        """Into how many shares a batch is split; 1 where each process fits for itself."""
        return self.world if self.share == "batch" else 1


ALONE: Final = Processes()
_CURRENT: ContextVar[Processes] = ContextVar("processes", default=ALONE)


def processes() -> Processes:
    """Who takes part in what is going on."""
    return _CURRENT.get()


@contextmanager
def together(share: Share) -> Iterator[Processes]:
    """Join those that torchrun started; one process alone where it did not."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world < 2:
        yield ALONE
        return
    rank = int(os.environ["RANK"])
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo", timeout=WAIT)
    token = _CURRENT.set(Processes(rank, world, share))
    try:
        yield processes()
        dist.barrier()
    finally:
        _CURRENT.reset(token)
        dist.destroy_process_group()


def said_by_first(say: Callable[[], T]) -> T:
    """What the first process says; the others do not say it themselves."""
    us = processes()
    if not us.several:
        return say()
    told: list[T | None] = [say() if us.first else None]
    dist.broadcast_object_list(told, src=0)  # a pickle between our own processes
    return cast(T, told[0])


@contextmanager
def first_alone(wanted: bool = True) -> Iterator[None]:
    """The first process goes through before the others, which then find what it left."""
    us = processes()
    if us.several and wanted and not us.first:
        dist.barrier()
    yield
    if us.several and wanted and us.first:
        dist.barrier()


def in_parts(fits: Sequence[Callable[[], object]]) -> None:
    """Let each process do its share of some fits, so that all find them kept. Nothing where there is one process."""
    us = processes()
    if not us.several or us.share != "parts":
        return
    token = _CURRENT.set(ALONE)
    try:
        for fit in fits[us.rank :: us.world]:
            fit()
    finally:
        _CURRENT.reset(token)
    dist.barrier()
