"""The key of engines on other machines than their gateway: where it is, who has it, and what brings it there. Pure.

It is made on the gateway's machine and kept there, so neither a plan nor a state knows it. A replica's run takes it
from there to the replica's machine; looks compare digests. `templates/host/engine_keys.sh` does what is done on the
gateway's machine, and docs/design/0012-one-gateway-for-several-machines.md says why.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import enginehouse.converge.scripts as scripts
from enginehouse.converge.facts import Facts, Stored
from enginehouse.converge.manifest import Manifest
from enginehouse.converge.places import Places
from enginehouse.converge.programs import PRIVATE
from enginehouse.converge.steps import HandOver, Sh, Staged, Steps
from enginehouse.engines import engines
from enginehouse.errors import ConvergeFailed
from enginehouse.planner.parts import GatewayPart, ReplicaPart, Side
from enginehouse.render.templates import render

MAP = "engines.map"
"""In a gateway's release: what HAProxy sends."""
LATER = (
    "runs on as it is: the gateway has to send a key before an engine may ask for one, and its turn is after this; the "
    "next `pulumi up` restarts the engine"
)
_FILE = "engine.keys"
"""In a release of a replica: what its engine accepts."""


def asks(part: ReplicaPart) -> bool:
    """Whether its engine asks for a key."""
    flag = engines()[part.engine].key_file_flag
    return flag is not None and flag in part.args


def sends(part: GatewayPart) -> bool:
    """Whether it sends a key to some of its engines."""
    return any(backend.sends_key for backend in part.backends)


def file(places: Places, release: str, side: Side) -> str:
    """Where the keys of that release are; one whose engine asks for none has no such file."""
    return f"{places.release(f'{release}-{side}')}/{_FILE}"


def probe(places: Places) -> Iterator[str]:
    """Lines of a probe of the gateway's machine; `places` are the gateway's, with the script's own variables."""
    yield render("host/engine_keys.sh")
    yield f"engine_keys {places.engine_keys} {places.part}"


def wanted(part: ReplicaPart, facts: Facts, path: str, inside: str) -> Staged | None:
    """The file at `path`, which manifests call `inside`; None if the engine asks for no key.

    While the gateway's machine can't be asked, the one that was recorded is the right one.
    """
    if not asks(part):
        return None
    recorded = facts.manifest.files.get(inside, "") if facts.manifest else ""
    return Staged(path=path, sha256=facts.engine_keys or (recorded if facts.away else ""), mode=PRIVATE)


def is_there(keys: Staged | None, facts: Facts) -> bool:
    """Whether that file is on the machine; yes if none is wanted."""
    return keys is None or facts.files.get(keys.path) == Stored(sha256=keys.sha256, mode=keys.mode)


def first(gateway: Places, *, host: str | None) -> Steps:
    """What makes the key on the gateway's machine; `host` names it if that is not the part's own."""
    words = shlex.join((gateway.engine_keys, gateway.part))
    folder = f"mkdir -p {shlex.quote(gateway.stack_folder)}"
    script = scripts.change(render("host/engine_keys.sh"), folder, f"make_engine_keys {words}")
    made = Sh(title="making the key of the stack's engines", host=host, script=script)
    return Steps(prepare=(made,), reason="the stack's engines have no key yet")


def hand_over(gateway: Places, keys: Staged, host: str | None) -> HandOver:
    return HandOver(title="handing over the engine's key", keeper=host, source=gateway.engine_keys, file=keys)


def send(gateway: Places, folder: str) -> Sh:
    """What gives the key to HAProxy, in the release `folder`."""
    words = shlex.join((gateway.engine_keys, folder))
    script = scripts.change(render("host/engine_keys.sh"), f"send_engine_key {words}")
    return Sh(title="giving HAProxy the key of the engines", script=script)


def is_sent(part: ReplicaPart, facts: Facts) -> bool:
    """Whether the gateway sends a key to this replica's engine, or there is none yet. A backend that it does not know
    under this name gets what the others get."""
    gateway = facts.others.get(part.gateway.part)
    if gateway is None or not isinstance(gateway.part, GatewayPart):
        return True
    backend = next((found for found in gateway.part.backends if found.name == part.gateway.backend), None)
    return bool(backend.sends_key) if backend else sends(gateway.part)


def check_sent(part: GatewayPart, facts: Facts) -> None:
    """Raises `ConvergeFailed` if this gateway would not send the key that engines ask for, as one from before would."""
    silent = {server.replica for backend in part.backends if not backend.sends_key for server in backend.servers}
    asking = sorted(name for name, manifest in facts.others.items() if name in silent and _asks(manifest))
    if asking:
        raise ConvergeFailed(
            f"{part.name}: the engines of {', '.join(asking)} ask for a key, and this configuration sends none",
            reasons=("it is one from before engines on other machines asked for a key; take them back first",),
        )


def difference(part: ReplicaPart | GatewayPart, facts: Facts) -> str:
    """What is wrong with a key, in words; empty if nothing is."""
    if isinstance(part, GatewayPart):
        serves = facts.manifest.release if facts.manifest else ""
        return "HAProxy does not have it as it is" if sends(part) and serves not in facts.engine_maps else ""
    if facts.manifest is None or facts.manifest.side is None or not asks(part) or facts.away:
        return ""
    places = Places.of(part, facts.state)
    path = file(places, facts.manifest.release, facts.manifest.side)
    keys = wanted(part, facts, path, places.inside(path))
    return "" if is_there(keys, facts) else "the engine does not have it as the gateway's machine does"


def _asks(manifest: Manifest) -> bool:
    return isinstance(manifest.part, ReplicaPart) and asks(manifest.part)
