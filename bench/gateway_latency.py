"""What the gateway adds to a request: the same completions sent directly and through it, one after the other, in turns.

    PYTHONPATH=infra:. python bench/gateway_latency.py [--requests 2000] [--bytes 2000]

The engine is a stand-in that answers at once, in a process of its own, so the numbers are those of the gateway and of
connections; a real engine needs a thousand times as long. Taking turns keeps a busy machine from favouring one side.
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.gateway.harness import KEYS, RunningGateway, ports, wait_until
from tests.gateway.parts import gateway_part
from tests.ports import free_port
from tests.standins import upstream
from tests.tools_available import find_tool

TARGET_MS = 1.0
"""What the gateway may add at the median."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=2000, help="requests on each way")
    parser.add_argument("--bytes", type=int, default=2000, help="length of the prompt")
    options = parser.parse_args()
    haproxy = find_tool("haproxy")
    if haproxy is None:
        sys.exit("haproxy is missing")
    direct, through = _measure(haproxy, options.requests, options.bytes)
    _report(haproxy, direct, through)


def _measure(haproxy: str, requests: int, length: int) -> tuple[list[float], list[float]]:
    engine_port = free_port()
    body = json.dumps({"messages": [{"role": "user", "content": "y" * length}], "model": "org/chat:1"}).encode()
    engine = subprocess.Popen([sys.executable, upstream.__file__, str(engine_port)])
    try:
        with tempfile.TemporaryDirectory(prefix="eh-gw-") as folder:
            part = gateway_part(("chat", "code"), ports=ports(engine_port))
            with RunningGateway(haproxy, Path(folder), part) as gateway:
                gateway.make_ready("chat-laptop-0-a")
                wait_until(lambda: gateway.runtime.servers()[0].check == "L7OK", "the engine is healthy")
                return _in_turns(engine_port, part.port, body, requests)
    finally:
        engine.terminate()
        engine.wait()


def _in_turns(direct_port: int, gateway_port: int, body: bytes, requests: int) -> tuple[list[float], list[float]]:
    ways = [(http.client.HTTPConnection("127.0.0.1", port), list[float]()) for port in (direct_port, gateway_port)]
    for _ in range(requests):
        for connection, times in ways:
            times.append(_one(connection, body))
    return ways[0][1], ways[1][1]


def _one(connection: http.client.HTTPConnection, body: bytes) -> float:
    """Milliseconds of one request on an open connection, as clients keep it."""
    headers = {"Authorization": f"Bearer {KEYS['key-demo']}", "Content-Type": "application/json"}
    began = time.perf_counter()
    connection.request("POST", "/v1/chat/completions", body, headers)
    answer = connection.getresponse()
    answer.read()
    taken = 1000 * (time.perf_counter() - began)
    if answer.status != http.client.OK:
        sys.exit(f"a request was answered with {answer.status}")
    return taken


def _report(haproxy: str, direct: list[float], through: list[float]) -> None:
    version = subprocess.run([haproxy, "-v"], capture_output=True, text=True, check=True).stdout.split()[2]
    print(f"HAProxy {version}, {len(direct)} requests each way, ms")
    for name, point in (("median", 50), ("p99", 99)):
        one, two = (statistics.quantiles(times, n=100)[point - 1] for times in (direct, through))
        print(f"{name:>8}: direct {one:6.3f}  through {two:6.3f}  added {two - one:6.3f}  ratio {two / one:5.2f}")
    added = statistics.median(through) - statistics.median(direct)
    print(f"target: below {TARGET_MS:g} ms added at the median: {'met' if added < TARGET_MS else 'missed'}")


if __name__ == "__main__":
    main()
