"""Reads versions.toml, and compares version numbers that programs print."""

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_name("versions.toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One pinned file of a Python package registry."""

    requirement: str
    sha256: tuple[str, ...]

    @property
    def name(self) -> str:
        """The package's name without its version."""
        return self.requirement.partition("==")[0]

    @property
    def line(self) -> str:
        """As a line of a requirements file in pip's hash-checking mode."""
        return " ".join((self.requirement, *(f"--hash=sha256:{digest}" for digest in self.sha256)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """An official archive and the checksums its publisher gives; both are templates with version and platform."""

    archive: str
    checksums: str
    timeout_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulumi:
    """The Pulumi CLI: the version we build, and the oldest one we use when it is installed already."""

    version: str
    minimum: str
    package: str
    sdk_module: str
    version_variable: str
    go_tags: str
    host_packages: tuple[str, ...]
    release: Release


@dataclass(frozen=True, slots=True, kw_only=True)
class LlamaServer:
    """llama-server: its build number, its sources, and cmake's options."""

    version: str
    source: Package
    cmake: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Haproxy:
    """HAProxy: the oldest version that does, and the wheel that has one."""

    minimum: str
    version: str
    wheel: Package


@dataclass(frozen=True, slots=True, kw_only=True)
class Supervisor:
    """supervisord, which keeps services up where there is no systemd."""

    version: str
    package: Package


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoModel:
    """The wheel that holds the demo weights, and the weights' own checksum."""

    version: str
    wheel: Package
    member: str
    file: str
    file_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    """Everything in versions.toml."""

    pulumi: Pulumi
    llama_server: LlamaServer
    haproxy: Haproxy
    supervisor: Supervisor
    demo_model: DemoModel


@cache
def pinned() -> Versions:
    """The versions this clone installs."""
    return parse(FILE.read_text(encoding="utf-8"))


def parse(text: str) -> Versions:
    """Versions from the text of a versions.toml; a missing or unknown key is an error."""
    data = tomllib.loads(text)
    pulumi, llama, haproxy, supervisor, model = (
        data[key] for key in ("pulumi", "llama_server", "haproxy", "supervisor", "demo_model")
    )
    return Versions(
        pulumi=Pulumi(
            **{
                **pulumi,
                "release": Release(**pulumi["release"]),
                "host_packages": tuple(pulumi["host_packages"]),
            }
        ),
        llama_server=LlamaServer(version=llama["version"], source=_package(llama), cmake=tuple(llama["cmake"])),
        haproxy=Haproxy(minimum=haproxy["minimum"], version=haproxy["version"], wheel=_package(haproxy)),
        supervisor=Supervisor(version=supervisor["version"], package=_package(supervisor)),
        demo_model=DemoModel(
            version=model["version"],
            wheel=_package(model),
            member=model["member"],
            file=model["file"],
            file_sha256=model["file_sha256"],
        ),
    )


def first_version(text: str) -> str:
    """The first thing that looks like a version with at least two numbers, or an empty string."""
    found = re.search(r"\d+(?:\.\d+)+", text)
    return found.group() if found else ""


def at_least(version: str, minimum: str) -> bool:
    """Whether `version` is `minimum` or newer, number by number; an empty version never is."""
    return bool(version) and _numbers(version) >= _numbers(minimum)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _package(data: dict[str, list[str] | str]) -> Package:
    return Package(requirement=str(data["package"]), sha256=tuple(data["sha256"]))
