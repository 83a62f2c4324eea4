"""Makes machines far away: `delay.py SECONDS HOST:PORT...`. Prints the ports of loopback that lead there.

What is sent comes half of SECONDS later on either way, so every round trip takes SECONDS more, that of the connection
itself included. The kernel's own means (netem) is not there in every kernel.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys

READ_BYTES = 64 * 2**10
CHUNKS = 256


async def main(round_trip_s: float, targets: list[str]) -> None:
    servers = []
    for target in targets:
        host, _, port = target.rpartition(":")
        servers.append(await asyncio.start_server(_accept(host, int(port), round_trip_s), "127.0.0.1", 0))
    print(*(server.sockets[0].getsockname()[1] for server in servers), flush=True)
    await asyncio.gather(*(server.serve_forever() for server in servers))


def _accept(host: str, port: int, round_trip_s: float):  # type: ignore[no-untyped-def]
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(round_trip_s)
        there, back = await asyncio.open_connection(host, port)
        await asyncio.gather(_pass(reader, back, round_trip_s / 2), _pass(there, writer, round_trip_s / 2))

    return serve


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay_s: float) -> None:
    """Every chunk leaves `delay_s` after it came, in order, without holding up the next."""
    loop, queue = asyncio.get_running_loop(), asyncio.Queue[tuple[float, bytes]](CHUNKS)

    async def take() -> None:
        chunk = b"-"
        while chunk:
            try:
                chunk = await reader.read(READ_BYTES)
            except ConnectionError:
                chunk = b""
            await queue.put((loop.time() + delay_s, chunk))

    taking = asyncio.create_task(take())
    with contextlib.suppress(ConnectionError):
        while True:
            due, chunk = await queue.get()
            await asyncio.sleep(max(0.0, due - loop.time()))
            if not chunk:
                break
            writer.write(chunk)
            await writer.drain()
    taking.cancel()
    writer.close()


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]), sys.argv[2:]))
