"""A client on a machine: asks its endpoint now and then until stdin ends, and prints the answers that are none."""

from __future__ import annotations

import http.client
import json
import sys
import threading

PAUSE_S = 0.1
"""Between two requests: an engine is idle most of the time, and stops when it is told to."""


def main(port: int) -> None:
    key = sys.stdin.readline().strip()
    over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
    print("begun", flush=True)
    while not over.wait(PAUSE_S):
        status, said = ask(port, key)
        if status != 200:
            print(status, said, flush=True)


def ask(port: int, key: str) -> tuple[int, str]:
    body = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}]}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
        connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        response = connection.getresponse()
        return response.status, response.read().decode().strip()
    except (OSError, http.client.HTTPException) as error:
        return 0, repr(error)
    finally:
        connection.close()


main(int(sys.argv[1]))
