"""A machine as a component: what of ours it stands on."""

from __future__ import annotations

import pulumi
from components.parts import Host
from enginehouse.planner.codec import to_plain
from enginehouse.planner.needs import Needs
from enginehouse.planner.parts import HostPart


class Machine(pulumi.ComponentResource):
    """One machine. `host` is what every other part on it depends on."""

    def __init__(self, part: HostPart, needs: Needs) -> None:
        super().__init__("enginehouse:index:Machine", part.name)
        self.host = Host(part, pulumi.ResourceOptions(parent=self), needs=to_plain(needs))
        self.register_outputs({})
