"""Kill what screens on Ray: an actor, a node, the driver, in turns; then compare with a run that was not hurt.

    python -m benchmarks.ray_kills --kills 20 --page docs/robustness.md

Two nodes on the loopback (127.0.0.2 and 127.0.0.3), the real command as the driver, SIGKILL each time: a killed node
comes back, a killed driver is started again with --resume, a killed actor is the engine's to replace.
"""

import argparse
import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.kills import differences, made, shards
from benchmarks.section import machine, write_section

UNIT = 4
NODES = ("127.0.0.2", "127.0.0.3")
TURNS = ("actor", "node", "driver")
SMALL = {"num_cpus": 1, "object_store_memory": 80 * 2**20}


@dataclass(slots=True)
class Hurting:
    """What is hurt, how often, and what was seen."""

    cluster: Any
    second: Any
    words: list[str]
    root: Path
    rng: random.Random
    done: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    ended: int = 0

    def run(self, kills: int) -> None:
        """Kill as often as asked, and let the last run come to its end."""
        whole, hurt = self.root / "whole", self.root / "hurt"
        with self._driver(whole) as driver:
            _well(driver)
        while self.done.total() < kills:
            with self._driver(hurt) as driver:
                while self.done.total() < kills and self._more_shards(driver, hurt):
                    turn = TURNS[self.done.total() % len(TURNS)]
                    if self._hurt(turn, driver):
                        self.done[turn] += 1
                    if turn == "driver":
                        break
                else:
                    _well(driver)
                    self._compare(whole, hurt)
        if hurt.exists():
            with self._driver(hurt) as driver:
                _well(driver)
            self._compare(whole, hurt)

    def _compare(self, whole: Path, hurt: Path) -> None:
        self.ended += 1
        self.wrong.update(differences(whole, hurt))
        shutil.rmtree(hurt)

    @contextmanager
    def _driver(self, out: Path) -> Iterator[subprocess.Popen[bytes]]:
        words = [*self.words, "--out", str(out), "--address", self.cluster.address]
        with subprocess.Popen(words, stdout=subprocess.DEVNULL) as driver:  # noqa: S603 - our own command
            try:
                yield driver
            finally:
                driver.kill()

    def _more_shards(self, driver: subprocess.Popen[bytes], run: Path) -> bool:
        """Whether some more were written; False once the driver has ended."""
        enough = len(shards(run)) + self.rng.randint(1, 5)
        while driver.poll() is None and len(shards(run)) < enough:
            time.sleep(0.01)
        time.sleep(self.rng.uniform(0, 0.3))
        return driver.poll() is None

    def _hurt(self, turn: str, driver: subprocess.Popen[bytes]) -> bool:
        """Kill one; whether there was one."""
        if turn == "node":
            self.cluster.remove_node(self.second, allow_graceful=False)
            self.second = self.cluster.add_node(node_ip_address=NODES[1], **SMALL)
            return True
        if turn == "driver":
            driver.kill()
            driver.wait()
            return True
        found = actors()
        if found:
            os.kill(self.rng.choice(found), signal.SIGKILL)
        return bool(found)


def main() -> None:
    """Run it and print, or write, what was seen."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--cases", type=int, default=400)
    parser.add_argument("--seed", type=int, default=6)
    parser.add_argument("--page", type=Path)
    asked = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, two_nodes() as (cluster, second):
        model, cohort = made(Path(folder), asked.cases)
        plain = f"--engine ray --workers 2 --unit {UNIT} --resume --json".split()
        words = [sys.executable, "-m", "clinic_mm.cli", "screen", str(model), str(cohort), *plain]
        hurting = Hurting(cluster, second, words, Path(folder), random.Random(asked.seed))  # noqa: S311 - moments
        hurting.run(asked.kills)
    told = as_text(hurting, asked, time.monotonic() - started)
    print(told)
    if asked.page:
        write_section(asked.page, "Screening on Ray killed", told)


@contextmanager
def two_nodes() -> Iterator[tuple[Any, Any]]:
    """A cluster on the loopback, that lets in only who has its token; the second node may be killed."""
    os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32), "RAY_USAGE_STATS_ENABLED": "0"}
    os.environ["OMP_NUM_THREADS"] = "1"
    from ray.cluster_utils import Cluster  # it reads the environment

    cluster = Cluster(initialize_head=True, head_node_args={"node_ip_address": NODES[0], **SMALL})
    try:
        yield cluster, cluster.add_node(node_ip_address=NODES[1], **SMALL)
    finally:
        cluster.shutdown()


def actors() -> list[int]:
    """Processes of this user that Ray has named after our actor, and that hold its model or are about to."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            named = folder.name.isdigit() and (folder / "cmdline").read_bytes().startswith(b"ray::_Actor")
        except OSError:  # it has just ended
            continue
        if named:
            found.append(int(folder.name))
    return found


def as_text(hurting: Hurting, asked: argparse.Namespace, took_s: float) -> str:
    """Markdown."""
    rows = [*((f"kills of {turn}", n) for turn, n in hurting.done.items()), *hurting.wrong.items()]
    bad = hurting.wrong.total()
    return (
        f"`python -m benchmarks.ray_kills --kills {asked.kills} --cases {asked.cases} --seed {asked.seed} --page "
        f"docs/robustness.md`, {machine()}, {took_s:.0f} s. SIGKILL of an actor, of a node (raylet and all) and of the "
        f"driver in turns, {asked.kills} times, while `clinic-mm screen --engine ray --address` screens {asked.cases} "
        f"simulated cases in units of {UNIT} on two nodes on the loopback. A run that came to its end "
        f"({hurting.ended} did) was compared with one that was not hurt.\n\n"
        "| seen | times |\n|---|---:|\n" + "\n".join(f"| {name} | {n} |" for name, n in rows) + "\n\n"
        f"{'Nothing was lost, doubled or damaged.' if not bad else f'IT DID NOT HOLD: {bad} differences.'}"
    )


def _well(driver: subprocess.Popen[bytes]) -> None:
    if driver.wait():
        raise SystemExit(f"screen ended with {driver.returncode}")


if __name__ == "__main__":
    main()
