"""A simulated machine: files, processes, ports and a clock, reached by converge's own scripts and protocols.

Nothing of converge is replaced: a script is run command by command (`shell`), an address is dialled (`lines`). After
each effect `watch` sees the machine, and `interrupt` may do to it whatever happens to machines.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

from tests.simulated.clock import Clock
from tests.simulated.files import Files
from tests.simulated.haproxy import HAProxy, Server
from tests.simulated.lines import Answer
from tests.simulated.processes import Engine, Mood, Process, Program, Stranger, flag, words_of
from tests.simulated.supervisor import Supervisor

STATE = "/s"
VERSIONS = {
    "haproxy": "HAProxy version 2.8.25 2026/10/01\n",
    "supervisord": "4.3.0\n",
    "curl": "curl 7.88.1\n",
    "flock": "flock from util-linux 2.38.1\n",
    "llama-server": "version: 11434 (x)\n",
}
PLENTY_MIB = 100_000


class Watch:
    """Is told of everything that a rule may be about; this one allows everything."""

    def effect(self, what: str) -> None:
        """Something has changed on the machine."""

    def stops(self, process: Process) -> None:
        """The supervisor was told to stop it."""

    def gives_traffic(self, server: Server, engine: Process | None) -> None:
        """HAProxy was told that the server is ready."""

    def sends(self, server: Server, engine: Process | None) -> None:
        """A request goes there."""


class Machine:
    """`moods` says how engines do, by their context size; `holder` is whoever has the lease."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.clock.beat, self.clock.passed = self._beat, self._passed
        self.files = Files()
        self.memory_mib = PLENTY_MIB
        self.versions = dict(VERSIONS)
        self.moods: dict[str, Mood] = {}
        self.watch = Watch()
        self.interrupt: Callable[[str], None] = lambda what: None
        self.processes: dict[int, Process] = {}
        self.holder: object | None = None
        self._pids = itertools.count(1000)

    def next_pid(self) -> int:
        return next(self._pids)

    def effect(self, what: str) -> None:
        self.watch.effect(what)
        self.interrupt(what)

    def stops(self, program: str) -> None:
        for process in self._of(program):
            self.watch.stops(process)

    def gives_traffic(self, server: Server) -> None:
        self.watch.gives_traffic(server, self.listener(server.port))

    def sends(self, server: Server, engine: Process | None) -> None:
        self.watch.sends(server, engine)

    def dial(self, address: str) -> Answer | None:
        """Who answers there; None if nobody does."""
        return next((answer for p in self.processes.values() if (answer := p.dial(address))), None)

    def listener(self, port: int) -> Process | None:
        return next((p for p in self.processes.values() if port in p.ports()), None)

    def engines(self) -> Iterator[Engine]:
        return (p for p in self.processes.values() if isinstance(p, Engine))

    def supervisor(self) -> Supervisor | None:
        return next((p for p in self.processes.values() if isinstance(p, Supervisor)), None)

    def haproxy(self) -> HAProxy | None:
        return next((p for p in self.processes.values() if isinstance(p, HAProxy)), None)

    def start_supervisor(self, folder: str, mark: str) -> bool:
        made = Supervisor(
            self.next_pid(), 1, "supervisord", self.clock.seconds, mark, state=STATE, machine=self, folder=folder
        )
        self.processes[made.pid] = made
        if made.begin():
            return True
        del self.processes[made.pid]
        return False

    def spawn(self, program: Program, parent: int, *, again: bool) -> Process | None:
        """Run a program's start script; None if it ends at once. `again`: nobody of ours asked for it now."""
        words = words_of(self.files.read(program.script) or "")
        if not words or not self.files.has_folder(program.folder):
            return None
        made = self._process(program, parent, words)
        if not self.files.full:
            self.files.append(program.log, f"enginehouse: {program.mark} starts, process {made.pid if made else 0}\n")
        if isinstance(made, Engine):
            made.again = again
        if made:
            self.processes[made.pid] = made
        return made

    def end(self, pid: int, how: str) -> None:
        """A process ends; its children go on without it, its supervisor hears of it."""
        gone = self.processes.pop(pid, None)
        if gone is None:
            return
        for child in self.processes.values():
            if child.parent == pid:
                child.parent = 1
        if isinstance(parent := self.processes.get(gone.parent), Supervisor):
            parent.ended(pid, how)

    def signal(self, pid: int, signal: str) -> None:
        if isinstance(process := self.processes.get(pid), HAProxy) and signal == "USR2":
            process.reload()
            self.effect("HAProxy reads its configuration")

    def terminate(self, pids: list[int]) -> None:
        """SIGTERM to all of them and to those whom a supervisor among them looks after."""
        gone = {*pids, *(p.pid for p in self.processes.values() if p.parent in pids)}
        sockets = [p.socket for p in self.processes.values() if p.pid in pids and isinstance(p, Supervisor)]
        self.processes = {pid: process for pid, process in self.processes.items() if pid not in gone}
        self.files.sockets -= set(sockets)

    def kill(self, process: Process | None) -> None:
        """kill -9."""
        if process:
            self.end(process.pid, "terminated by SIGKILL")

    def reboot(self) -> None:
        """Everything ends; nothing of ours starts by itself."""
        self.processes = {pid: p for pid, p in self.processes.items() if isinstance(p, Stranger)}
        self.files.sockets.clear()
        self.holder = None

    def _of(self, program: str) -> list[Process]:
        return [p for p in self.processes.values() if p.mark.partition("/")[2].replace("/", "-") == program]

    def _process(self, program: Program, parent: int, words: list[str]) -> Process | None:
        name = words[0].rpartition("/")[2]
        bare = Process(self.next_pid(), parent, name, self.clock.seconds, program.mark, program.release, STATE)
        common = (bare.pid, parent, name, bare.started, bare.mark, bare.release, STATE)
        if name == "haproxy":
            haproxy = HAProxy(*common, machine=self, config_file=flag(words, "-f"))
            return haproxy if haproxy.begin() else None
        if name != "llama-server":
            return bare
        mood = self.moods.get(flag(words, "--ctx-size"), Mood.WELL)
        port, weights = int(flag(words, "--port")), flag(words, "--model")
        if mood is Mood.ENDS or self.listener(port) or weights not in self.files.files:
            return None
        return Engine(*common, machine=self, port=port, model=flag(words, "--alias"), mood=mood)

    def _passed(self) -> None:
        for process in list(self.processes.values()):
            if isinstance(process, Supervisor):
                process.passed()

    def _beat(self) -> None:
        for process in list(self.processes.values()):
            if isinstance(process, Supervisor):
                process.beat()
            elif isinstance(process, HAProxy):
                process.check()
