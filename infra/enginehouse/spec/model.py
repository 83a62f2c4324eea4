"""The stack file as frozen values.

Every key has its description, example and bounds here; the JSON Schema is generated from them. Only keys that
work exist. `key(...)` describes a field; a field without `default` is required.
"""

# ruff: noqa: RUF009 - `key` makes a field

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from enginehouse.planner.parts import Runtime
from enginehouse.spec.container import Container
from enginehouse.spec.endpoint import Endpoint
from enginehouse.spec.fields import (
    IMAGE_PATTERN,
    NAME_PATTERN,
    RANGE_PATTERN,
    SERVED_NAME_PATTERN,
    SHA256_PATTERN,
    SOURCE_PATTERN,
    TEXT_PATTERN,
    key,
)
from enginehouse.spec.gpus import DeploymentGpus
from enginehouse.spec.health import Health
from enginehouse.spec.machines import Machine
from enginehouse.spec.site import Site

_MODEL_EXAMPLE = {
    "source": "upload://../models/SmolLM2-135M-Instruct-Q4_1.gguf",
    "sha256": "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    "served_name": "smollm2-135m",
}
_BINARY_SHA256 = "5d0c1c1a3f0f5b6c7e8d9a0b1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e6f7a8b9c0d"
_BINARY_EXAMPLE = {
    "source": "upload://../engines/llama-b11434-bin-ubuntu-x64.tar.gz",
    "sha256": _BINARY_SHA256,
}
_DEPLOYMENT_EXAMPLE = {"engine": "llama-cpp", "version": "b11434", "runs_on": "laptop", "model": _MODEL_EXAMPLE}
_ENDPOINT_EXAMPLE = {"runs_on": "laptop", "port": 8080, "keys": [{"name": "demo", "secrets": ["key-demo"]}]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """Which weights an engine loads, and the name clients ask for."""

    source: str = key(
        "Where the weights come from: `upload://PATH` (from the machine this command runs on, relative to the folder "
        "of the stack file), `host:///PATH` (already on the machine) or `https://ADDRESS` (downloaded by the machine).",
        example="upload://../models/SmolLM2-135M-Instruct-Q4_1.gguf",
        pattern=SOURCE_PATTERN,
    )
    sha256: str = key(
        "SHA-256 of the file, 64 hex digits. The engine is started only with weights that match.",
        example="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        pattern=SHA256_PATTERN,
    )
    served_name: str = key(
        "The model name in requests and in `/v1/models`.", example="smollm2-135m", pattern=SERVED_NAME_PATTERN
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Binary:
    """Where a machine gets the engine's program from. Nothing of it is run before its SHA-256 was checked."""

    source: str = key(
        "The program itself, or a `.tar.gz` that holds it with its libraries, such as an official release of "
        "llama.cpp: `upload://PATH`, `host:///PATH` or `https://ADDRESS`, as for weights.",
        example="upload://../engines/llama-b11434-bin-ubuntu-x64.tar.gz",
        pattern=SOURCE_PATTERN,
    )
    sha256: str = key("SHA-256 of that file, 64 hex digits.", example=_BINARY_SHA256, pattern=SHA256_PATTERN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """One model on one engine, on the machines of one group."""

    engine: str = key("The inference engine.", example="llama-cpp")
    version: str = key("The engine's version, quoted. For llama-cpp a build tag.", example="b11434")
    binary: Binary | None = key(
        "Where the machine gets the engine's program from. Left out: it is there, on the PATH.",
        example=_BINARY_EXAMPLE,
        default=None,
    )
    runtime: Runtime = key(
        "How the engine runs: `supervisor` starts the engine that is on the machine, `docker` one in a container, "
        "`systemd` that on the machine in a unit of its own, with a user of its own.",
        example="supervisor",
        default=Runtime.SUPERVISOR,
    )
    image: str | None = key(
        "With `docker`: the container image, as `NAME@sha256:DIGEST`. It starts the engine, in the given version.",
        example=f"ghcr.io/ggml-org/llama.cpp@sha256:{'0123456789abcdef' * 4}",
        default=None,
        pattern=IMAGE_PATTERN,
    )
    memory_gib: int | None = key(
        "With `systemd` or `docker`: the most memory the engine may take, in GiB. One that takes more is ended and "
        "started again.",
        example=8,
        default=None,
        minimum=1,
        maximum=16384,
    )
    container: Container | None = key(
        "With `docker`: what its container gets beside the usual. llama-cpp needs nothing of it.",
        example={"shm_gib": 8, "ulimits": {"memlock": "unlimited"}},
        default=None,
    )
    runs_on: str = key("The machine group it runs on.", example="laptop", pattern=NAME_PATTERN)
    model: Model = key("The weights and the name they are served under.", example=_MODEL_EXAMPLE)
    replicas_per_host: int = key("Running copies on each machine.", example=1, default=1, minimum=1, maximum=64)
    replicas: int | None = key(
        "Running copies on all machines of the group together, instead of so many on each: as many everywhere, and "
        "what is left over on the first ones by name. Needs an endpoint with `scope: shared`.",
        example=4,
        default=None,
        minimum=1,
        maximum=1000,
    )
    gpus: DeploymentGpus | None = key(
        "Which GPUs of its machines it computes on, without sharing them. Left out: what the engine finds and takes by "
        "itself; in a container none.",
        example={"count": 1},
        default=None,
    )
    context_tokens: int = key(
        "Tokens one request may use, prompt and answer together.",
        example=2048,
        default=4096,
        minimum=256,
        maximum=16777216,
    )
    slots: int = key(
        "Requests one replica works on at once; more wait in the gateway.",
        example=2,
        default=4,
        minimum=1,
        maximum=4096,
    )
    options: Mapping[str, Any] = key(
        "Flags of the engine itself, without the leading dashes, checked against this version. `true` is a flag "
        "without a value, a list repeats the flag.",
        example={"threads": 2},
        default_factory=dict,
    )
    health: Health = key("Limits for start, drain and hangs.", example={"ready_within_s": 90}, default_factory=Health)
    renamed_from: str | None = key(
        "The deployment's former name: its resources and machine state move to the new name, "
        "and no request fails meanwhile.",
        example="assistant",
        default=None,
        pattern=NAME_PATTERN,
    )
    variants: tuple[Variant, ...] = key(
        "What is different on some of its hosts. Of several that change the same key of a host, the last one counts.",
        example=[{"where": {"host": "gpu-2"}, "set": {"slots": 8}}],
        default=(),
        maxItems=100,
    )


def _again(name: str) -> Any:
    """A key of a deployment once more, as one that a variant may change."""
    metadata = Deployment.__dataclass_fields__[name].metadata
    return key(metadata["description"], example=metadata["example"], default=None, **metadata["bounds"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """The hosts that a variant is for."""

    EXACTLY_ONE: ClassVar[tuple[str, ...]] = ("host", "label")

    host: str | None = key("A host by name, or a range of them.", example="gpu-2", default=None, pattern=RANGE_PATTERN)
    label: Mapping[str, str] | None = key(
        "All hosts that have these labels.", example={"zone": "a"}, default=None, minProperties=1
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What is different there. Each key replaces that of the deployment as a whole."""

    version: str | None = _again("version")
    binary: Binary | None = _again("binary")
    image: str | None = _again("image")
    memory_gib: int | None = _again("memory_gib")
    container: Container | None = _again("container")
    replicas_per_host: int | None = _again("replicas_per_host")
    context_tokens: int | None = _again("context_tokens")
    slots: int | None = _again("slots")
    options: Mapping[str, Any] | None = _again("options")
    health: Health | None = _again("health")


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """Some hosts, and what is different there."""

    where: Where = key("The hosts.", example={"host": "gpu-2"})
    set: Settings = key("What is different.", example={"slots": 8})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """How a change goes through the replicas of a deployment. The first one, the canary, always goes alone."""

    max_unavailable: int = key(
        "How many replicas of a deployment are exchanged at once, after the first one came through; drained ones count "
        "as missing.",
        example=1,
        default=1,
        minimum=1,
        maximum=1000,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """A stack: models on engines on machines, behind one endpoint. Its name is the name of its file."""

    name: str
    enginehouse: int = key("Version of this format.", example=1, minimum=1, maximum=1)
    description: str = key(
        "What the stack is for.", example="SmolLM2 on this machine", default="", pattern=TEXT_PATTERN
    )
    machines: Mapping[str, Machine] = key(
        "Machine groups by name.",
        example={"laptop": {"local": {}}},
        minProperties=1,
        propertyNames={"pattern": NAME_PATTERN},
    )
    deployments: Mapping[str, Deployment] = key(
        "Deployments by name.",
        example={"chat": _DEPLOYMENT_EXAMPLE},
        minProperties=1,
        propertyNames={"pattern": NAME_PATTERN},
    )
    endpoint: Endpoint = key("The public address.", example=_ENDPOINT_EXAMPLE)
    rollout: Rollout = key("How changes go through replicas.", example={"max_unavailable": 1}, default_factory=Rollout)
    site: Site = key(
        "What is special about where the machines are.",
        example={"registries": {"ghcr.io": {"mirror": "registry.corp.example/ghcr"}}},
        default_factory=Site,
    )
