"""How long exchanging an engine takes, and the longest answer a client gets meanwhile, against the same load at rest.

    PYTHONPATH=infra:. python bench/swap.py [--swaps 10] [--clients 4]

Real llama-server, HAProxy and supervisord; the model is a tiny one that loads at once, so what is seen is the exchange
itself: a large model adds the time it loads, during which the old engine serves on if there is memory for both.
"""

from __future__ import annotations

import argparse
import statistics
import time

from tests.converge.conftest import new_world
from tests.converge.harness import HUGE_MIB, SMALL_MIB, World, install_real_engine, tiny
from tests.converge.load import Count, load, wait_for_answers
from tests.standins.tiny_model import write_tiny_model

TOKENS = (64,)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--swaps", type=int, default=10, help="of each kind")
    parser.add_argument("--clients", type=int, default=4)
    options = parser.parse_args()
    with new_world(World) as world:
        install_real_engine(world)
        write_tiny_model(world.model)
        world.up()
        print(f"{options.clients} clients, answers of {TOKENS[0]} tokens")
        rest = _at_rest(world, options.clients)
        print(f"{'at rest':>12}: {rest}")
        for name, memory_mib in (("beside", SMALL_MIB), ("stop first", HUGE_MIB)):
            took_s, count = _swaps(world, options.swaps, options.clients, memory_mib)
            ratio = count.longest_s / rest.longest_s
            median_s = statistics.median(took_s)
            print(f"{name:>12}: {count}, {ratio:.1f} x at rest")
            print(f"{'':>12}  a swap takes {median_s:.2f} s, {max(took_s):.2f} s at most")


def _at_rest(world: World, clients: int) -> Count:
    with load(world, clients=clients, tokens=TOKENS) as count:
        wait_for_answers(count, 100 * clients, within_s=120)
    return count


def _swaps(world: World, swaps: int, clients: int, memory_mib: int) -> tuple[list[float], Count]:
    took_s = []
    with load(world, clients=clients, tokens=TOKENS) as count:
        for number in range(swaps):
            world.settings["context"] = (1024, 2048)[number % 2]
            wait_for_answers(count, 4 * clients)
            began = time.monotonic()
            world.converge(tiny(world.replica(), memory_mib))
            took_s.append(time.monotonic() - began)
    return took_s, count


if __name__ == "__main__":
    main()
