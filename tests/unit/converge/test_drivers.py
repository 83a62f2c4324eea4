"""What is done about NVIDIA's driver and container toolkit: facts in, a sentence or a step out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pytest

from enginehouse.converge import drivers, host, toolkit
from enginehouse.converge.facts import Facts, Process, Tool
from enginehouse.converge.manifest import Change, Manifest
from enginehouse.converge.probe import probe, questions
from enginehouse.converge.wire import DRIFT
from enginehouse.errors import ConvergeFailed
from enginehouse.planner.hardware import Driver, Gpus, Modules, PackageSource, Toolkit
from enginehouse.planner.parts import Connection, ConnectionKind, Ssh
from tests.simulated.plans import PLANS

SSH = Connection(kind=ConnectionKind.SSH, ssh=Ssh(address="10.1.0.11", user="root"))
WANTED = Driver(branch="580", modules=Modules.AUTO, source=PackageSource())
PART = replace(PLANS[1024].hosts[0], tools={}, connection=SSH, driver=WANTED)
DEBIAN = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\n'
UBUNTU = 'PRETTY_NAME="Ubuntu 24.04.3 LTS"\nID=ubuntu\nVERSION_ID="24.04"\n'
L40S, V100, B200 = "0x26b9", "0x1db6", "0x2901"
ROOT = {"user": "root", "apt": "yes", "os": "Debian GNU/Linux 12 (bookworm)"}


def module(version: str) -> str:
    return f"NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  {version}  Release Build  (builder@host)\n"


def packages(version: str, *, state: str = "hi", kernel: str = "nvidia-kernel-open-dkms") -> str:
    names = ("libcuda1", "nvidia-driver-cuda", kernel)
    return "".join(f"{state} \t{version}-1\t{name}\n" for name in names)


def device(number: str = L40S, driver: str = "") -> str:
    return f"0000:41:00.0 0x10de {number} {driver}\n"


def facts(**texts: str) -> Facts:
    there = {"os_release": DEBIAN, "kernel": "6.1.0-40-amd64 x86_64", "pci": device(), "nvidia_packages": "", **ROOT}
    return Facts(state="/s", machine="m", memory_mib=1024, texts={**there, **texts})


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A machine, what the stack file says if not `WANTED`, and what comes of both."""

    texts: Mapping[str, str] = field(default_factory=dict)
    wanted: Driver = WANTED
    step: str = ""
    commands: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()


SIGNED = "EB693B3035CD5710E231E123A4B469963BF863CC"
CUDA = "https://developer.download.nvidia.com/compute/cuda/repos"
OURS = {"nvidia_module": module("580.82.07"), "nvidia_packages": packages("580.82.07")}
CASES = {
    "a bare machine": Case(
        step="installing NVIDIA's driver 580 with the open modules",
        commands=(
            f"repository enginehouse-nvidia-driver {CUDA}/debian12/x86_64 {CUDA}/debian12/x86_64/3bf863cc.pub "
            f"{SIGNED} {CUDA}/debian12/x86_64",
            "install_driver 580 nvidia-driver-cuda nvidia-kernel-open-dkms",
        ),
    ),
    "Ubuntu": Case(
        texts={"os_release": UBUNTU},
        step="installing NVIDIA's driver 580 with the open modules",
        commands=("install_driver 580 nvidia-open", f"{CUDA}/ubuntu2404/x86_64/3bf863cc.pub {SIGNED}"),
    ),
    "Debian 13, whose key is another one": Case(
        texts={"os_release": DEBIAN.replace("12", "13")},
        step="installing NVIDIA's driver 580 with the open modules",
        commands=("/debian13/x86_64/8793F200.pub 02182E60104FCDC26EAE1B8597A5D4CB8793F200",),
    ),
    "a mirror that signs anew": Case(
        wanted=replace(
            WANTED, source=PackageSource(mirror="http://m.example/c", key="http://m.example/k", fingerprint="A" * 40)
        ),
        step="installing NVIDIA's driver 580 with the open modules",
        commands=(f"http://m.example/c/debian12/x86_64 http://m.example/k {'A' * 40}",),
    ),
    "a GPU older than Turing": Case(
        texts={"pci": device() + device(V100)},
        step="installing NVIDIA's driver 580 with the proprietary modules",
        commands=("install_driver 580 nvidia-driver-cuda nvidia-kernel-dkms",),
    ),
    "a GPU older than Turing and a branch that has left it behind": Case(
        texts={"pci": device(V100)},
        wanted=replace(WANTED, branch="590", modules=Modules.OPEN),
        refusals=(
            "a GPU here is older than Turing, and 580 is the last branch that drives it",
            "a GPU here is older than Turing, which the open modules do not drive; take `modules: auto`",
        ),
    ),
    "a GPU that has only open modules": Case(
        texts={"pci": device(B200)},
        wanted=replace(WANTED, modules=Modules.PROPRIETARY),
        refusals=("a GPU here is of Blackwell or newer, which only the open modules drive; take `modules: auto`",),
    ),
    "no GPU at all": Case(
        texts={"pci": "0000:00:02.0 0x1234 0x1111 bochs\n"},
        refusals=("the machine has no NVIDIA GPU on its PCI bus, so no driver is installed",),
    ),
    "another system, and Secure Boot": Case(
        texts={
            "os_release": 'PRETTY_NAME="Fedora Linux 43"\nID=fedora\nVERSION_ID=43\n',
            "secure_boot": "   6   0   0   0   1\n",
        },
        refusals=(
            "driver: Enginehouse installs it on Debian 11 to 13 and Ubuntu 20.04 to 24.04, x86_64; this is Fedora "
            "Linux 43 x86_64; install it by hand and write `preinstalled`",
            "Secure Boot is on, and the kernel would refuse modules that are built here: make the key that they are "
            "signed with, unless it is there, and enrol it (`sudo mkdir -p /var/lib/dkms`, `sudo openssl req -new "
            "-x509 -nodes -days 36500 -subj '/CN=DKMS module signing key' -newkey rsa:2048 -keyout "
            "/var/lib/dkms/mok.key -outform DER -out /var/lib/dkms/mok.pub` and `sudo mokutil --import "
            "/var/lib/dkms/mok.pub` there, then a reboot at its console), or switch Secure Boot off in the firmware, "
            "or install signed modules of the distribution and write `driver: preinstalled`",
        ),
    ),
    "ARM": Case(
        texts={"kernel": "6.1.0-40-arm64 aarch64"},
        refusals=(
            "driver: Enginehouse installs it on Debian 11 to 13 and Ubuntu 20.04 to 24.04, x86_64; this is Debian "
            "GNU/Linux 12 (bookworm) aarch64; install it by hand and write `preinstalled`",
        ),
    ),
    "not root": Case(
        texts={"user": "ops"}, refusals=("`become: sudo` in the stack file would let Enginehouse install them",)
    ),
    "Secure Boot on Ubuntu, whose key is elsewhere": Case(
        texts={"os_release": UBUNTU, "secure_boot": "   6   0   0   0   1\n"},
        refusals=(
            "Secure Boot is on, and the kernel would refuse modules that are built here: make the key that they are "
            "signed with, unless it is there, and enrol it (`sudo update-secureboot-policy --new-key` and `sudo "
            "mokutil --import /var/lib/shim-signed/mok/MOK.der` there, then a reboot at its console), or switch "
            "Secure Boot off in the firmware, or install signed modules of the distribution and write `driver: "
            "preinstalled`",
        ),
    ),
    "Secure Boot with the key enrolled": Case(
        texts={"secure_boot": "   6   0   0   0   1\n", "enrolled": "yes\n"},
        step="installing NVIDIA's driver 580 with the open modules",
    ),
    "Secure Boot switched off": Case(
        texts={"secure_boot": "   6   0   0   0   0\n"}, step="installing NVIDIA's driver 580 with the open modules"
    ),
    "cut off while it unpacked": Case(
        texts={"nvidia_packages": packages("580.82.07", state="iU")},
        step="installing NVIDIA's driver 580 with the open modules",
    ),
    "one of the packages only": Case(
        texts={"nvidia_packages": "hi \t580.82.07-1\tlibcuda1\n"},
        step="installing NVIDIA's driver 580 with the open modules",
    ),
    "all as it shall be": Case(texts=OURS),
    "beside a tool that has a version of its own": Case(
        texts={**OURS, "nvidia_packages": packages("580.82.07") + "ii \t590.1.2-1\tnvidia-settings\n"}
    ),
    "the branch from a file of NVIDIA's, not from packages": Case(texts={"nvidia_module": module("580.82.07")}),
    "an upgrade may move it": Case(
        texts={**OURS, "nvidia_packages": packages("580.82.07", state="ii")},
        step="holding the packages of NVIDIA's driver 580.82.07",
        commands=("hold_driver 580.82.07",),
    ),
    "installed and not loaded": Case(
        texts={"nvidia_packages": packages("580.82.07")},
        step="loading NVIDIA's driver 580.82.07",
        commands=("load_driver 580.82.07",),
    ),
    "nouveau has the GPU": Case(
        texts={"nvidia_packages": packages("580.82.07"), "pci": device(driver="nouveau")},
        refusals=(
            "NVIDIA's driver 580.82.07 is installed, and the kernel's own driver nouveau still has the GPU: reboot the "
            "machine (`sudo systemctl reboot` there) and run this again: it goes on from there",
        ),
    ),
    "nouveau has the GPU and nothing is installed": Case(
        texts={"pci": device(driver="nouveau")}, step="installing NVIDIA's driver 580 with the open modules"
    ),
    "libraries exchanged under the module": Case(
        texts={**OURS, "nvidia_packages": packages("580.95.05")},
        refusals=(
            "NVIDIA's driver 580.95.05 is installed, and the kernel still has 580.82.07: reboot the machine (`sudo "
            "systemctl reboot` there) and run this again: it goes on from there",
        ),
    ),
    "exchanged, and the old branch is still loaded": Case(
        texts={"nvidia_module": module("570.133.20"), "nvidia_packages": packages("580.82.07")},
        refusals=(
            "NVIDIA's driver 580.82.07 is installed, and the kernel still has 570.133.20: reboot the machine (`sudo "
            "systemctl reboot` there) and run this again: it goes on from there",
        ),
    ),
    "an older branch": Case(
        texts={"nvidia_module": module("570.133.20"), "nvidia_packages": packages("570.133.20")},
        step="exchanging NVIDIA's driver 570.133.20 for 580 with the open modules",
        commands=("unhold_driver libcuda1 nvidia-driver-cuda nvidia-kernel-open-dkms\n",),
    ),
    "an older branch with proprietary modules, which stay that": Case(
        texts={
            "nvidia_module": module("535.216.03"),
            "nvidia_packages": packages("535.216.03", state="ii", kernel="nvidia-kernel-dkms"),
        },
        step="exchanging NVIDIA's driver 535.216.03 for 580 with the proprietary modules",
        commands=("install_driver 580 nvidia-driver-cuda nvidia-kernel-dkms\n",),
    ),
    "cut off while it exchanged those": Case(
        texts={"nvidia_packages": packages("580.82.07", state="iU", kernel="nvidia-kernel-dkms")},
        step="installing NVIDIA's driver 580 with the proprietary modules",
    ),
    "proprietary modules whose configuration alone is left": Case(
        texts={"nvidia_packages": packages("535.216.03", state="rc", kernel="nvidia-kernel-dkms")},
        step="installing NVIDIA's driver 580 with the open modules",
    ),
    "proprietary modules of the branch, which are not loaded": Case(
        texts={"nvidia_packages": packages("580.82.07", kernel="nvidia-kernel-dkms")},
        step="loading NVIDIA's driver 580.82.07",
    ),
    "an older branch with proprietary modules and a GPU that has only open ones": Case(
        texts={
            "nvidia_module": module("570.133.20"),
            "nvidia_packages": packages("570.133.20", kernel="nvidia-kernel-dkms"),
            "pci": device() + device(B200),
        },
        step="exchanging NVIDIA's driver 570.133.20 for 580 with the open modules",
    ),
    "an older branch that somebody computes with": Case(
        texts={
            "nvidia_module": module("570.133.20"),
            "nvidia_packages": packages("570.133.20"),
            "nvidia_users": "python3 (process 412)\nXorg (process 99)\n",
        },
        refusals=(
            "programs use the GPUs, which another driver would take from them: python3 (process 412), Xorg (process "
            "99); stop them",
        ),
    ),
    "an older branch that is no package": Case(
        texts={"nvidia_module": module("570.133.20")},
        refusals=(
            "NVIDIA's driver 570.133.20 is there, not branch 580, and it did not come from a package; `sudo "
            "nvidia-uninstall` there takes it away",
        ),
    ),
    "a newer branch": Case(
        texts={"nvidia_module": module("590.44.01"), "nvidia_packages": packages("590.44.01")},
        refusals=(
            "NVIDIA's driver 590.44.01 is there, which is newer than branch 580: nothing is downgraded; write "
            '`branch: "590"`, or take it away by hand',
        ),
    ),
    "a newer branch that is not loaded": Case(
        texts={"nvidia_packages": packages("590.44.01")},
        refusals=(
            "NVIDIA's driver 590.44.01 is there, which is newer than branch 580: nothing is downgraded; write "
            '`branch: "590"`, or take it away by hand',
        ),
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_driver_on_every_kind_of_machine(case: Case) -> None:
    """The step by its title and what its script says, or the sentences; neither only if all is right."""
    found = drivers.verdict(replace(PART, driver=case.wanted), facts(**case.texts))
    assert (found.step.title if found.step else "", found.refusals) == (case.step, case.refusals)
    assert bool(found.wanting) == bool(case.step or case.refusals)
    for command in case.commands:
        assert found.step and command in found.step.script.rpartition("begin_nvidia /s/host/installing\n")[2]


def test_a_stack_that_asks_for_no_driver_has_nothing_to_say_about_it() -> None:
    """Whatever is there; and its probe asks for nothing."""
    plain = replace(PART, driver=None)
    assert drivers.verdict(plain, facts(nvidia_module=module("470.0"))) == drivers.Verdict()
    assert "nvidia" not in probe(questions(plain))
    assert "nvidia_driver 580" in probe(questions(PART))


def test_what_was_brought_and_is_lost_is_drift_and_stops_nothing_else() -> None:
    """A kernel that came without the module; the twin asks for a branch that this machine did not have before."""
    broken = facts(nvidia_packages=packages("580.82.07"), pci=device(driver="nouveau"), socket="")
    change = Change(run="r", who="a@b", door="test", at="2026-12-01T00:00:00+00:00", what="new")
    known = replace(
        broken,
        manifest=Manifest(part=PART, generation=1, machine="m", change=change),
        processes=(Process(pid=1, parent=0, age_s=1, program="box/supervisor", release=""),),
    )
    assert not host.steps(PART, known, {}).prepare
    drift = host.differences(PART, known)[DRIFT]
    assert isinstance(drift, dict)
    assert drift["driver"] == "580.82.07 is installed, and the kernel's own driver nouveau still has the GPU"
    with pytest.raises(ConvergeFailed):
        host.steps(replace(PART, driver=replace(WANTED, branch="570")), known, {})


def test_before_the_driver_is_there_gpus_are_counted_on_the_bus() -> None:
    """Two are declared, and one device is no two of them. With a driver its own answer counts."""
    declared = replace(PART, gpus=Gpus(model="l40s", count=2))
    with pytest.raises(ConvergeFailed) as failure:
        host.steps(declared, facts(), {})
    assert failure.value.reasons == (
        "gpus: 1 NVIDIA devices on the PCI bus; needed: 2 x l40s; put right the machine, or `gpus` in the stack file",
    )
    (step,) = host.steps(declared, facts(pci=device() + device()), {}).prepare
    assert step.title == "installing NVIDIA's driver 580 with the open modules"


CONTAINED = replace(
    PART, driver=None, toolkit=Toolkit(source=PackageSource()), tools={"docker": "20.10", "nvidia-ctk": "1.12"}
)
DOCKER, CTK = (Tool(name=name, path=f"/usr/bin/{name}", stat="", version="99.0") for name in CONTAINED.tools)


def with_tools(*tools: Tool, **texts: str) -> Facts:
    return replace(facts(**texts), tools={tool.name: tool for tool in tools})


def test_a_destroy_names_what_stays_of_them() -> None:
    """And nothing of either where the stack file asked for neither."""
    lock, driver, toolkit_ = host.stays(replace(PART, toolkit=CONTAINED.toolkit), facts())
    assert driver == (
        "NVIDIA's driver stays, and its packages held (`apt-mark showhold`); so do, where they were made for it, "
        "/etc/apt/preferences.d/enginehouse-nvidia-driver, which keeps apt to branch 580, "
        "/etc/apt/sources.list.d/enginehouse-nvidia-driver.list and /etc/apt/keyrings/enginehouse-nvidia-driver.asc"
    )
    assert toolkit_.endswith(
        "/etc/apt/sources.list.d/enginehouse-nvidia-container-toolkit.list and "
        "/etc/apt/keyrings/enginehouse-nvidia-container-toolkit.asc"
    )
    assert host.stays(replace(PART, driver=None), facts()) == (lock,)


def test_the_toolkit_comes_with_a_restart_of_docker_where_that_ends_nothing() -> None:
    found = toolkit.verdict(CONTAINED, with_tools(DOCKER, docker_running=""))
    assert found.step
    assert found.step.title == "installing NVIDIA's container toolkit and restarting Docker"
    assert found.step.script.splitlines()[-5:] == [
        "repository enginehouse-nvidia-container-toolkit https://nvidia.github.io/libnvidia-container/stable/deb/amd64 "
        "https://nvidia.github.io/libnvidia-container/gpgkey C95B321B61E88C1809C4F759DDCAE044F796ECB0 "
        "https://nvidia.github.io/libnvidia-container/stable/deb/",
        "note_docker /s/host/docker-before-toolkit",
        "install_toolkit 1.12",
        "restart_docker /s/host/docker-before-toolkit unix:///var/run/docker.sock",
        "end_nvidia",
    ]


def test_docker_and_the_toolkit_come_together_where_neither_is() -> None:
    """The distribution's packages first. Without being asked for, the toolkit is named as missing, as ever."""
    steps = host.steps(CONTAINED, with_tools(), {}).prepare
    assert [step.title for step in steps] == [
        "installing docker.io from the distribution's packages",
        "installing NVIDIA's container toolkit and restarting Docker",
    ]
    with pytest.raises(ConvergeFailed) as failure:
        host.steps(replace(CONTAINED, toolkit=None), with_tools(DOCKER), {})
    assert failure.value.reasons[0].endswith(
        "get it from NVIDIA's package nvidia-container-toolkit, which `container_toolkit: install` brings over SSH"
    )


@pytest.mark.parametrize("tools", [(DOCKER,), (DOCKER, CTK)])
def test_containers_that_a_restart_would_end_are_named(tools: tuple[Tool, ...]) -> None:
    """Also where the toolkit is there already, and only the restart is left to be done."""
    found = toolkit.verdict(CONTAINED, with_tools(*tools, docker_running="a\nb\n", docker_began_without="yes\n"))
    (reason,) = found.refusals
    assert found.step is None
    assert "which would end a, b; `docker stop a b` before and `docker start a b` afterwards" in reason


def test_containers_of_stacks_end_with_their_supervisors() -> None:
    """One that is stopped alone is started again at once. Docker would not keep them, so that is not offered."""
    (reason,) = toolkit.verdict(CONTAINED, with_tools(DOCKER, docker_running="enginehouse-box-chat-1-a\n")).refusals
    assert reason.endswith(
        "would end enginehouse-box-chat-1-a; those of stacks would be started again: `cd /etc/systemd/system && "
        "systemctl stop enginehouse-*.service` there before, and `cd /etc/systemd/system && systemctl start "
        "enginehouse-*.service` afterwards"
    )
    both = with_tools(DOCKER, docker_running="a\nenginehouse-box-chat-1-a\n")
    (reason,) = toolkit.verdict(CONTAINED, both).refusals
    assert "`docker stop a` before and `docker start a` afterwards, or" in reason
    assert "; those of stacks would be started again: " in reason


@pytest.mark.parametrize("tools", [(DOCKER,), (DOCKER, CTK)])
def test_a_docker_that_does_not_tell_what_runs_is_not_restarted(tools: tuple[Tool, ...]) -> None:
    """Nothing is installed either: only a Docker that has begun anew gives GPUs to containers."""
    silent = with_tools(*tools, docker_running="", docker_silent="yes\n", docker_began_without="yes\n")
    found = toolkit.verdict(CONTAINED, silent)
    (reason,) = found.refusals
    assert found.step is None
    assert "does not tell which containers that would end; `systemctl status docker`" in reason


def test_a_toolkit_that_docker_knows_is_left_alone() -> None:
    """Whatever runs; one that Docker does not know of yet takes the restart that is left."""
    assert toolkit.verdict(CONTAINED, with_tools(DOCKER, CTK, docker_running="a\n")) == drivers.Verdict()
    found = toolkit.verdict(CONTAINED, with_tools(DOCKER, CTK, docker_running="", docker_began_without="yes\n"))
    assert found.step and found.step.title == "restarting Docker, for the container toolkit"
