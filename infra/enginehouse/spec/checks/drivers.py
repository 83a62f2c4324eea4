"""Machine groups that get NVIDIA's driver or container toolkit: there is somebody who may install it."""

from __future__ import annotations

from collections.abc import Iterator

from enginehouse.spec.codes import Code
from enginehouse.spec.driver import Driver, Presence
from enginehouse.spec.model import Spec
from enginehouse.spec.problems import Problem, shown
from enginehouse.spec.source import Source


def check(spec: Spec, _: Source) -> Iterator[Problem]:
    for group, machine in spec.machines.items():
        asked = {
            "driver": isinstance(machine.driver, Driver),
            "container_toolkit": machine.container_toolkit is Presence.INSTALL,
        }
        for key in (name for name, wanted in asked.items() if wanted):
            if machine.local is not None:
                yield Problem(
                    path=("machines", group, key),
                    on_key=True,
                    code=Code.BAD_DRIVER,
                    summary="nothing is installed into the system of the machine this command runs on",
                    hint=f"install it by hand and write `{key}: preinstalled`",
                    rests_on=(("machines", group, "local"),),
                )
            elif machine.ssh and machine.ssh.become is None and machine.ssh.user not in (None, "root"):
                yield Problem(
                    path=("machines", group, key),
                    on_key=True,
                    code=Code.BAD_DRIVER,
                    summary=f"only root installs it, and {shown(machine.ssh.user)} logs in",
                    hint="write `become: sudo` beside the user",
                    related=((("machines", group, "ssh", "user"), "who logs in"),),
                    rests_on=(("machines", group, "ssh", "become"),),
                )
