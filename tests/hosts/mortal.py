"""Runs over SSH that may be killed (`tests/faults/mortal.py`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.faults.mortal import run_id, serve
from tests.hosts.faulty import FaultyHostWorld, be_impatient
from tests.hosts.lab import Lab, Machine
from tests.ssh.server import Client


def there(order: dict[str, Any]) -> FaultyHostWorld:
    """On the machine that the order names; the client's configuration is in the environment."""
    machine = order["machine"]
    lab = Lab(number=machine["lab"], folder=Path(machine["folder"]), client=Client(folder=Path(machine["client"])))
    return FaultyHostWorld(
        folder=Path(order["folder"]),
        port=order["port"],
        tools=Path(order["folder"], "bin"),
        settings=order["settings"],
        memory_mib=order["memory_mib"],
        bare=Machine(lab=lab, name=machine["name"], address=machine["address"]),
        login=order["login"],
        run_id=run_id(),
    )


if __name__ == "__main__":
    be_impatient(setattr)
    serve(there)
