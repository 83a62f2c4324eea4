"""A stack on a machine of the lab whose engine is the stand-in, in a container of the machine's own Docker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

from enginehouse.converge.places import CONTAINER
from tests.hosts.faulty import FaultyHostWorld
from tests.hosts.lab import Machine
from tests.standins.registry import Registry

DISK_MIB = 512
START = f"""
truncate -s {DISK_MIB}M /docker.img
mkfs.ext4 -q -F /docker.img
mkdir -p /var/lib/docker
echo /docker.img /var/lib/docker ext4 loop 0 0 >>/etc/fstab
systemctl daemon-reload
systemctl start var-lib-docker.mount
mkdir -p /etc/docker
cat >/etc/docker/daemon.json
systemctl enable -q --now docker.socket docker
"""
"""On a disk of its own, which can be full while ours is not."""
PACK = """
python=$(readlink -f /usr/bin/python3)
version=${python##*/}
tar -C / -ch --exclude=__pycache__ --exclude=test --exclude='config-*' \
    $(ldd "$python" | grep -o '/[^ ]*' | cut -c 2-) "${python#/}" "usr/lib/$version" opt/standin.py
"""
"""All that the stand-in needs, as a layer of an image."""


def start_docker(machine: Machine, registry: Registry) -> None:
    """It trusts the registry without TLS."""
    settings = {"insecure-registries": [registry.address], "iptables": False, "bridge": "none"}
    machine.run(START, stdin=json.dumps(settings).encode())


@dataclass(kw_only=True)
class ContainedWorld(FaultyHostWorld):
    """What happens to its engines is told in their logs: they can write nowhere."""

    registry: Registry = field(default_factory=Registry)
    layer: bytes = b""
    told: list[str] = field(default_factory=list)

    def pack(self) -> None:
        """What its images are made of."""
        words = ("exec", self.bare.name, "sh", "-eu", "-c", PACK)
        self.layer = self.bare.lab.docker(*words).stdout
        assert self.layer
        self.edit_release()

    def edit_release(self) -> None:
        """Another image."""
        self.edits += 1
        python = self.bare.run("readlink -f /usr/bin/python3").strip()
        config = {
            "Entrypoint": [python, "-S", "-E", "/opt/standin.py"],
            "Env": ["STANDIN_JOURNAL=/dev/stdout"],
            "Labels": {"edit": str(self.edits)},
        }
        image = self.registry.add_layer("llama.cpp", self.layer, config)
        self.settings["container"] = {"runtime": "docker", "image": image}

    def engines(self) -> list[str]:
        """One for each container: the start scripts beside them have marks, too."""
        marks = {mark for mark in self.processes().values() if mark.endswith(CONTAINER)}
        return sorted(mark.removesuffix(CONTAINER) for mark in marks)

    def pull(self) -> None:
        super().pull()
        known = set(self.told)
        new = (line for line in self._journals() if line not in known)
        self.told += sorted(new, key=lambda line: float(json.loads(line)["t"]))
        self.journal_file.write_text("".join(f"{line}\n" for line in self.told))

    def _journals(self) -> Iterator[str]:
        yield from self.journal_file.read_text().splitlines()
        for log in self.place("chat-box-0", "log").glob("*.log*"):
            yield from (line for line in log.read_text(errors="replace").splitlines() if line.startswith('{"t":'))
