"""One batch by one process or by several: who takes which rows, and whose gradients become one.

In:  a network, a batch that every process has drawn alike. Out: the loss of this process's rows, such that the average
of all processes' gradients is the gradient of the mean over the whole batch.

Each process drops out at random for itself, from a seed of the fit, the step and its number; what the batch is drawn
and augmented from stays the same in all, so that one state serves all of them after a kill.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from clinic_mm.training.together import processes


def shared(network: nn.Module) -> nn.Module:
    """The network, its gradients averaged over the processes where they split batches."""
    if processes().splits_batches == 1:
        return network
    return DistributedDataParallel(network.to(device()))


def device() -> torch.device:
    """Where shares of batches are computed: this process's GPU where there is one."""
    return torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")


def mean_loss(
    network: nn.Module, x: Float[Tensor, "n ..."], y: Int[Tensor, " n"], *, step: int, seed: int
) -> Float[Tensor, ""]:
    """Cross-entropy of a batch, or of this process's share of it, scaled so that shares average to the whole."""
    us = processes()
    if us.splits_batches == 1:
        return nn.functional.cross_entropy(network(x), y)
    mine = slice(us.rank, None, us.world)
    with _own_chance(seed, step, us.rank):
        lost = nn.functional.cross_entropy(network(x[mine].to(device())), y[mine].to(device()), reduction="sum")
    return lost * us.world / len(y)


def autocast(precision: str) -> AbstractContextManager[object]:
    """Arithmetic inside the network: bfloat16 where it is asked for and safe, float32 otherwise."""
    where = "cpu" if processes().splits_batches == 1 else device().type
    return torch.autocast(where, torch.bfloat16, enabled=precision == "bfloat16")


@contextmanager
def _own_chance(seed: int, step: int, rank: int) -> Iterator[None]:
    """Random numbers of one process in one step; afterwards torch is as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed((seed * 1_000_003 + step) * 1_009 + rank)
        yield
