"""Clients in a closed loop, half of them streaming, until SIGINT; then one line that says how they were served.

load.py URL MODEL CLIENTS, with the key in the environment variable KEY.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import urllib.error
import urllib.request


class Load:
    """Counts answers, failures and the longest wait."""

    def __init__(self, url: str, model: str) -> None:
        self._url = url
        self._model = model
        self._lock = threading.Lock()
        self.ended = threading.Event()
        self.answered = self.failed = 0
        self.longest_s = 0.0

    def client(self, stream: bool) -> None:
        while not self.ended.is_set():
            began = time.monotonic()
            whole = self._ask(stream)
            with self._lock:
                self.answered += whole
                self.failed += not whole
                self.longest_s = max(self.longest_s, time.monotonic() - began)

    def _ask(self, stream: bool) -> bool:
        message = {"role": "user", "content": "Name a harbour."}
        body = {"model": self._model, "messages": [message], "max_tokens": 12, "stream": stream}
        headers = {"Authorization": f"Bearer {os.environ['KEY']}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self._url}/v1/chat/completions", json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                text = answer.read()
        except (OSError, urllib.error.URLError):
            return False
        return text.endswith(b"data: [DONE]\n\n") if stream else b'"content"' in text


def main() -> None:
    url, model, clients = sys.argv[1:]
    load = Load(url, model)
    signal.signal(signal.SIGINT, lambda *_: load.ended.set())
    threads = [threading.Thread(target=load.client, args=(number % 2 == 0,)) for number in range(int(clients))]
    for thread in threads:
        thread.start()
    load.ended.wait()
    for thread in threads:
        thread.join()
    print(f"{load.answered} requests answered, {load.failed} failed, longest wait {load.longest_s:.1f} s")


if __name__ == "__main__":
    main()
