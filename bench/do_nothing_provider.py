"""`pulumi-resource-enginehouse` that does nothing: the product's server and resources, and no machine behind them.

do_nothing_provider.py ENGINE_ADDRESS
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enginehouse.provider.__main__ import skip_sdk

if TYPE_CHECKING:
    from enginehouse.provider.resources import Resources
    from enginehouse.provider.server import EngineLog


def main() -> None:
    """As the real one boots, late imports included."""
    skip_sdk()
    from enginehouse.provider.server import EngineLog, serve

    cancelled, log = threading.Event(), EngineLog(sys.argv[-1])
    serve(lambda: resources(cancelled, log), cancelled.set, lambda: None)


def resources(cancelled: threading.Event, log: EngineLog) -> Resources:
    """Resources whose converge answers from what it was asked."""
    from enginehouse.connectors import Connectors
    from enginehouse.converge import Context, Foresight, Observed, Run, as_inputs
    from enginehouse.converge.steps import Effect
    from enginehouse.planner.parts import EndpointPart, Part
    from enginehouse.provider.resources import Resources
    from enginehouse.provider.status import listener

    class Nothing:
        def converge(self, part: Part, context: Context, **known: Any) -> dict[str, Any]:
            more = {"url": part.url, "models": list(part.names)} if isinstance(part, EndpointPart) else {}
            return {"generation": 1, "machine_id": "m-1", **more}

        def observe(self, part: Part, context: Context, **known: Any) -> Observed:
            return Observed(inputs=as_inputs(part), outputs=self.converge(part, context), reasons=())

        def foresee(self, part: Part, context: Context, **known: Any) -> Foresight:
            return Foresight(effect=Effect.NOTHING, reason="there is no machine", stands=True)

        def destroy(self, part: Part, context: Context, **known: Any) -> tuple[str, ...]:
            return ()

    listen = listener(log)
    run = Run(id="run-1", who="nobody", door="pulumi")
    context = Context(run=run, connectors=Connectors(), listen=listen(""), uploads_from=Path(), cancelled=cancelled)
    return Resources(context, Nothing(), listen)


if __name__ == "__main__":
    main()
