"""Where things are on a machine, from its state folder on. The one place that knows the layout."""

from __future__ import annotations

import re
from dataclasses import dataclass

from enginehouse.errors import ConvergeFailed
from enginehouse.planner.parts import Part, Side

SUPERVISOR = "supervisor"
"""The supervisor's own program mark, beside the parts' sides."""
GATEWAY = "gateway"
WATCHDOG = "watchdog"
"""The watchdog's program, and its mark."""
CERTIFICATES = "certificates"
"""The program that renews a gateway's certificate, and its mark."""
CONTAINER, UNIT = "/container", "/unit"
"""End the mark of what runs in a container, or in a unit of its own; its start script has the mark without that."""
SAVED_SERVERS = "run/servers.state"
"""In a gateway's folder."""
NOTICES = "notices"
"""The log of what HAProxy says itself, beside the access log."""
LONGEST_SOCKET_PATH = 107
"""Bytes of a unix socket's path (Linux: `sun_path` holds 108 with the final NUL)."""
_STATE = re.compile(r"/[\w .+=~/-]+")
"""What a state folder may be called: the path stands in configurations of the supervisor and of HAProxy, which have no
way to write some other characters (measured 2026-11, supervisor 4.3.0, HAProxy 2.8.25: `'`, `%`, `$` and `,` fail)."""


def check_state(host: str, state: str) -> None:
    """Raises `ConvergeFailed` if nothing can be kept in a folder of that name."""
    if not _STATE.fullmatch(state) or state.endswith(" "):
        raise ConvergeFailed(
            f"{host}: {state!r} can't be the state folder",
            reasons=(
                "set ENGINEHOUSE_STATE to an absolute path of letters, digits, blanks and the signs . _ - + = ~ /",
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """The folders and files of one part and of what stands around it, as absolute paths."""

    state: str
    stack: str
    host: str
    """Name of the host part."""
    name: str
    """Name of the part itself."""

    @classmethod
    def of(cls, part: Part, state: str) -> Places:
        return cls(state=state, stack=part.stack, host=part.host, name=part.name)

    @property
    def installing(self) -> str:
        """There while packages are being installed, and after that was cut off."""
        return f"{self.state}/host/installing"

    @property
    def docker_before_toolkit(self) -> str:
        """Tells which running dockerd began before NVIDIA's container toolkit came."""
        return f"{self.state}/host/docker-before-toolkit"

    @property
    def stack_folder(self) -> str:
        return f"{self.state}/{self.stack}"

    @property
    def part(self) -> str:
        return f"{self.stack_folder}/{self.name}"

    @property
    def manifest(self) -> str:
        return f"{self.part}/manifest.json"

    @property
    def history(self) -> str:
        """Holds copies of the part's last manifests, each named after its generation."""
        return f"{self.part}/history"

    @property
    def drained(self) -> str:
        """The standing order that a replica gets no requests."""
        return f"{self.part}/drained.json"

    @property
    def watch(self) -> str:
        """What the watchdog is told of a replica."""
        return f"{self.part}/watch"

    @property
    def claims(self) -> str:
        """Ports and GPUs that no other part gets."""
        return f"{self.part}/claims"

    @property
    def hung(self) -> str:
        """There while the watchdog knows that a replica's engine hangs, and until it is known to work again."""
        return f"{self.part}/run/hung"

    @property
    def hangs(self) -> str:
        """How often that was so."""
        return f"{self.part}/run/hangs"

    @property
    def frozen(self) -> str:
        """The standing order that nothing of the stack changes."""
        return f"{self.stack_folder}/frozen.json"

    @property
    def owner(self) -> str:
        """Whose the stack is."""
        return f"{self.stack_folder}/owner.json"

    @property
    def authority(self) -> str:
        """The folder of the stack's own certificate authority; no part is called like it."""
        return f"{self.stack_folder}/own_ca"

    @property
    def engine_keys(self) -> str:
        """On the gateway's machine: the keys that engines on other machines accept; no part is called like it."""
        return f"{self.stack_folder}/engine_keys"

    @property
    def journal(self) -> str:
        return f"{self.stack_folder}/events.jsonl"

    @property
    def tools(self) -> str:
        """Programs whose version was asked once, so that a probe need not ask again."""
        return f"{self.part}/run/tools"

    @property
    def programs(self) -> str:
        return f"{self.stack_folder}/{self.host}/programs"

    @property
    def supervisor_socket(self) -> str:
        return f"{self.stack_folder}/{self.host}/run/supervisor.sock"

    def other(self, name: str) -> Places:
        """The places of another part of the same stack on the same machine."""
        return Places(state=self.state, stack=self.stack, host=self.host, name=name)

    def release(self, release: str) -> str:
        return f"{self.part}/releases/{release}"

    def log(self, program: str) -> str:
        return f"{self.part}/log/{program}.log"

    def program_file(self, program: str) -> str:
        return f"{self.programs}/{program}.conf"

    def inside(self, path: str) -> str:
        """`path` as manifests name it: relative to the stack's folder."""
        return path.removeprefix(self.stack_folder + "/")


def admin_socket(gateway: Places) -> str:
    """HAProxy's runtime socket."""
    return f"{gateway.part}/run/admin.sock"


def saved_servers(gateway: Places) -> str:
    """The servers' states, which HAProxy reads on start and reload."""
    return f"{gateway.part}/{SAVED_SERVERS}"


def metrics_port_file(gateway: Places) -> str:
    """Holds the gateway's loopback port for metrics, so that a replica's probe finds it."""
    return f"{gateway.part}/metrics.port"


def side_program(name: str, side: Side) -> str:
    """Supervisor's name for one side of a replica."""
    return f"{name}-{side}"
