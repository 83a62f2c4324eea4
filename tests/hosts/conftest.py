"""One lab for the session; who needs a machine that nobody has touched starts one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from enginehouse.connectors.ssh.settings import CONFIG_VARIABLE
from tests.hosts.lab import Lab
from tests.hosts.lab import lab as new_lab


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    with new_lab() as made, pytest.MonkeyPatch.context() as patch:
        patch.setenv(CONFIG_VARIABLE, str(made.client.config))
        yield made
