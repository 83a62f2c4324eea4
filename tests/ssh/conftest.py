"""One sshd for the session; who needs another one starts it."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from enginehouse.connectors.ssh import SshConnector
from enginehouse.connectors.ssh.settings import CONFIG_VARIABLE
from tests.ssh.server import Client, Server, sshd


@pytest.fixture(scope="session")
def place() -> Iterator[Path]:
    """A folder with a short name: sockets lie in it."""
    with tempfile.TemporaryDirectory(prefix="eh-", dir="/tmp") as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def server(place: Path) -> Iterator[Server]:
    with sshd(place / "sshd") as running:
        yield running


@pytest.fixture(scope="session")
def known(place: Path, server: Server) -> Client:
    """A client that knows the server and is let in."""
    client = Client.make(place / "client")
    server.admit(Path(f"{client.key}.pub"))
    client.known_hosts.write_text(server.known_line + "\n")
    return client


@pytest.fixture
def client(known: Client, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setenv(CONFIG_VARIABLE, str(known.config))
    return known


@pytest.fixture
def stranger(place: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Client:
    """A client that is let in by the server and does not know it."""
    numbers = itertools.count()
    client = Client.make(next(path for n in numbers if not (path := place / f"stranger-{n}").exists()))
    server.admit(Path(f"{client.key}.pub"))
    monkeypatch.setenv(CONFIG_VARIABLE, str(client.config))
    return client


@pytest.fixture
def connector(client: Client, server: Server) -> Iterator[SshConnector]:
    """Connected already: the deadlines of tests are about scripts."""
    connector = SshConnector("box", server.ssh())
    connector.run("true", deadline_s=60)
    yield connector
    connector.close()


@pytest.fixture
def open_another(client: Client, server: Server) -> Iterator[Callable[[], SshConnector]]:
    made: list[SshConnector] = []

    def another() -> SshConnector:
        made.append(SshConnector("box", server.ssh()))
        return made[-1]

    yield another
    for connector in made:
        connector.close()
