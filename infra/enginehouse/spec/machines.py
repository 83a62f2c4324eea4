"""The machines of a stack file as frozen values, and how they are reached."""

# ruff: noqa: RUF009 - `key` makes a field

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from enginehouse.planner.parts import Become, HostKeys
from enginehouse.spec.driver import Driver, Preinstalled, Presence
from enginehouse.spec.fields import (
    ADDRESS_PATTERN,
    HOST_PATTERN,
    JUMP_PATTERN,
    KEY_FILE_PATTERN,
    NAME_PATTERN,
    PATH_PATTERN,
    RANGE_PATTERN,
    USER_PATTERN,
    key,
)
from enginehouse.spec.gpus import Gpus
from enginehouse.spec.secret_name import SecretName


@dataclass(frozen=True, slots=True, kw_only=True)
class Local:
    """The machine this command runs on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SshHost:
    """One machine. Its name is its identity; another address is only another way to it."""

    address: str | None = key(
        "Where sshd listens; the machine's name if left out. An alias of OpenSSH's configuration will do.",
        example="10.1.0.11",
        default=None,
        pattern=ADDRESS_PATTERN,
    )
    port: int | None = key(
        "The port of sshd; what OpenSSH's configuration says if left out.",
        example=2222,
        default=None,
        minimum=1,
        maximum=65535,
    )
    host_key: str | tuple[str, ...] | None = key(
        "With `host_keys: pinned`: its host key as in `/etc/ssh/ssh_host_ed25519_key.pub`, or the fingerprint of it; "
        "several while it is exchanged.",
        example="ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMqXgRLKG73K+sIxs5oj3E2nhu/4FHxOcrmAd4Wv7ki7",
        default=None,
        minItems=1,
        maxItems=8,
    )
    private_address: str | None = key(
        "The IP address where engines of this machine listen for a gateway on another one; left out, that is `address` "
        "if it is an IP address, and no public one. Machines that have one also [copy weights](#weights) from each "
        "other.",
        example="10.9.0.11",
        default=None,
        pattern=ADDRESS_PATTERN,
    )
    labels: Mapping[str, str] = key(
        "Words of yours by which `variants` choose hosts.",
        example={"zone": "a"},
        default_factory=dict,
        propertyNames={"pattern": NAME_PATTERN},
    )

    @property
    def host_keys(self) -> tuple[str, ...]:
        """Those of the file, as they stand there."""
        return (self.host_key,) if isinstance(self.host_key, str) else self.host_key or ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sudo:
    """sudo that asks for a password."""

    password: SecretName = key("The password of the user who logs in.", example={"secret": "ops-sudo"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Becoming:
    """How to get the rights of root, with what that needs."""

    sudo: Sudo = key("Through sudo.", example={"password": {"secret": "ops-sudo"}})


@dataclass(frozen=True, slots=True, kw_only=True)
class Ssh:
    """Machines reached over SSH. What is left out is taken from OpenSSH's own configuration (`~/.ssh/config`)."""

    hosts: Mapping[str, SshHost] | tuple[str, ...] | str | None = key(
        "The machines by name, `{}` if its name is also its address; or only their names: a list, or one text such as "
        "`shop-[001:300].example`.",
        example={"gpu-1": {"address": "10.1.0.11"}},
        default=None,
        minProperties=1,
        propertyNames={"pattern": HOST_PATTERN},
        minItems=1,
        items={"pattern": RANGE_PATTERN},
        pattern=RANGE_PATTERN,
    )
    hosts_file: str | None = key(
        "The file that has them instead, relative to the folder of the stack file: YAML if it ends in `.yaml`, with "
        "what `hosts` would hold, else a host a line.",
        example="shops.txt",
        default=None,
        pattern=PATH_PATTERN,
    )
    user: str | None = key("Who logs in.", example="ops", default=None, pattern=USER_PATTERN)
    key_file: str | None = key(
        "The private key to show, and no other; it stays where you type. Left out: the agent's keys, then OpenSSH's "
        "usual files.",
        example="~/.ssh/ops_ed25519",
        default=None,
        pattern=KEY_FILE_PATTERN,
    )
    jump: str | None = key(
        "Jump hosts on the way, like OpenSSH's ProxyJump.", example="ops@bastion", default=None, pattern=JUMP_PATTERN
    )
    become: Become | Becoming | None = key(
        "`sudo`: everything is done as root, through sudo without a password; a mapping gives sudo one. Left out: as "
        "the user who logs in.",
        example="sudo",
        default=None,
    )
    host_keys: HostKeys = key(
        "`verify`: only machines whose host key is in known_hosts. `accept-new`: the first key of a machine is "
        "believed and written down; a changed one never is. `pinned`: only the `host_key` that each host has in this "
        "file, and known_hosts is not asked.",
        example="verify",
        default=HostKeys.VERIFY,
    )

    @property
    def sudo_password(self) -> str | None:
        """The name of the secret."""
        return self.become.sudo.password.secret if isinstance(self.become, Becoming) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A group of machines of one kind."""

    EXACTLY_ONE: ClassVar[tuple[str, ...]] = ("local", "ssh")
    """The kinds: exactly one of these keys is given."""

    local: Local | None = key(
        "The machine this command runs on. Has no settings: write `local: {}`.", example={}, default=None
    )
    ssh: Ssh | None = key(
        "Machines reached over SSH.", example={"hosts": {"gpu-1": {"address": "10.1.0.11"}}}, default=None
    )
    gpus: Gpus | None = key(
        "The GPUs of each machine. Looked at before anything is changed: other GPUs, fewer, more, or none are an error "
        "that says what is there instead. One that breaks later is a difference, and stops nothing.",
        example={"model": "l40s", "count": 2},
        default=None,
    )
    driver: Preinstalled | Driver | None = key(
        "NVIDIA's driver. `preinstalled`, or left out: whichever is there. A mapping has it installed, on Debian and "
        "Ubuntu, and the container toolkit with it where engines in containers have GPUs.",
        example={"branch": "580"},
        default=None,
    )
    container_toolkit: Presence | None = key(
        "NVIDIA's container toolkit, where engines in containers have GPUs: `install`, or `preinstalled`. Left out: "
        "installed if the driver is.",
        example="install",
        default=None,
    )
