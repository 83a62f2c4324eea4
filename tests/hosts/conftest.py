"""One lab for the session, and one machine in it, which is bare until the first test has brought something there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from enginehouse.connectors.ssh.settings import CONFIG_VARIABLE
from tests.hosts.lab import Lab, Machine
from tests.hosts.lab import lab as new_lab


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    with new_lab() as made, pytest.MonkeyPatch.context() as patch:
        patch.setenv(CONFIG_VARIABLE, str(made.client.config))
        yield made


@pytest.fixture(scope="session")
def shared_machine(lab: Lab) -> Iterator[Machine]:
    """`test_packages` needs it bare, and is the first in order; others take it as they find it, without a stack."""
    with lab.machine("box", 1) as machine:
        yield machine
