"""What of NVIDIA's software a stack has installed on a machine."""

from __future__ import annotations

from enginehouse.planner.hardware import Driver, PackageSource, Toolkit
from enginehouse.spec.driver import Driver as WrittenDriver
from enginehouse.spec.driver import Presence
from enginehouse.spec.machines import Machine
from enginehouse.spec.packages import PackageSource as WrittenSource
from enginehouse.spec.site import Site


def driver_of(machine: Machine, site: Site) -> Driver | None:
    """None: it has to be there, if anything needs it."""
    written = machine.driver
    if not isinstance(written, WrittenDriver):
        return None
    return Driver(branch=written.branch, modules=written.modules, source=_source(site.packages.nvidia_driver))


def toolkit_of(machine: Machine, site: Site) -> Toolkit | None:
    """Asked for by its own key, or along with the driver; None: it has to be there, if anything needs it."""
    brought = isinstance(machine.driver, WrittenDriver)
    presence = machine.container_toolkit or (Presence.INSTALL if brought else Presence.PREINSTALLED)
    return Toolkit(source=_source(site.packages.nvidia_container_toolkit)) if presence is Presence.INSTALL else None


def _source(written: WrittenSource | None) -> PackageSource:
    if written is None:
        return PackageSource()
    return PackageSource(mirror=written.mirror, key=written.key, fingerprint=written.fingerprint)
