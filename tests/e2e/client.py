"""A plain HTTP client for the endpoint: what a user's program does, nothing more."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

ANSWER_S = 240.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    text: str

    def json(self) -> Any:
        return json.loads(self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """One caller; each request has a connection of its own, as `curl` has."""

    url: str
    key: str | None = None

    def ask(self, method: str, path: str, body: object = None) -> Answer:
        place = urlsplit(self.url)
        connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=ANSWER_S)
        headers = {"Content-Type": "application/json"}
        if self.key is not None:
            headers["Authorization"] = f"Bearer {self.key}"
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            text = response.read().decode()
            return Answer(status=response.status, headers={k.lower(): v for k, v in response.getheaders()}, text=text)
        finally:
            connection.close()

    def chat(self, model: str, text: str, **more: object) -> Answer:
        body = {"model": model, "messages": [{"role": "user", "content": text}], "max_tokens": 16, **more}
        return self.ask("POST", "/v1/chat/completions", body)
