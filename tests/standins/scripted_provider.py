"""`pulumi-resource-enginehouse` on a scripted converge: the product's server and resources, and no machine.

scripted_provider.py FOLDER ENGINE_ADDRESS
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

from enginehouse import converge
from enginehouse.connectors import Connectors
from enginehouse.provider.resources import FORGET, Resources
from enginehouse.provider.server import EngineLog, serve
from enginehouse.provider.status import listener
from tests.standins.converge_script import ScriptedConverge


def main() -> None:
    folder, address = sys.argv[-2:]
    cancelled, listen = threading.Event(), listener(EngineLog(address))
    context = converge.Context(
        run=converge.Run(id="run-1", who="test@here", door="pulumi"),
        connectors=Connectors(),
        listen=listen(""),
        uploads_from=Path(folder),
        cancelled=cancelled,
    )
    forgets = os.environ.get(FORGET, "").split(",")
    script = ScriptedConverge(Path(folder))
    serve(lambda: Resources(context, script, listen, forgets=forgets), cancelled.set, lambda: None)


if __name__ == "__main__":
    main()
