"""A process of its own that takes a lease, for tests that kill it.

    holder.py STATE_FOLDER RUN_ID [SCRIPT]

Prints `holding`, runs SCRIPT under the lease if there is one, waits for its stdin to end, and gives the lease back.
"""

from __future__ import annotations

import sys

from enginehouse.connectors.local import LocalConnector
from enginehouse.converge.lease import Leases, mutating
from enginehouse.converge.run import Run, SystemClock


def main(state_folder: str, run_id: str, script: str = "") -> None:
    connector = LocalConnector("laptop")
    run = Run(id=run_id, who="eve@desk", door="pulumi")
    with Leases(SystemClock()).hold(connector, state_folder, run, print):
        print("holding", flush=True)
        if script:
            connector.run(mutating(script, state_folder=state_folder, run=run), deadline_s=300)
        sys.stdin.read()


main(*sys.argv[1:])
