"""A machine as a component: what of ours it stands on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi
from components.parts import Host
from enginehouse.planner.codec import to_plain
from enginehouse.planner.needs import Needs
from enginehouse.planner.parts import HostPart


class Machine(pulumi.ComponentResource):
    """One machine. `host` is what every other part on it depends on, and `stands_on` what it is told.

    `secrets` are those of the whole stack; of them it takes what sudo is given there.
    """

    def __init__(self, part: HostPart, needs: Needs, secrets: Mapping[str, pulumi.Output[str]]) -> None:
        super().__init__("enginehouse:index:Machine", part.name)
        password = part.connection.sudo_password
        self.passwords = {password: secrets[password]} if password else {}
        opened = {"secrets": self.passwords} if password else {}
        self.host = Host(part, pulumi.ResourceOptions(parent=self), needs=to_plain(needs), **opened)
        self.stands_on: dict[str, pulumi.Input[Any]] = {**self.host.stands_on, **opened}
        self.register_outputs({})
