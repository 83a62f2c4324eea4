"""llama.cpp's `llama-server`: GGUF models on any CPU or GPU.

Facts about its flags were read in common/arg.cpp and tools/server of build b11434 (read 2026-11) unless said otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from enginehouse.catalog.check import CommonWord, Known, Rules, check
from enginehouse.catalog.flags import Flag, FlagList, Many, flag_list, history, nearest, versions
from enginehouse.engines.base import LISTENS_ON, Args, Engine, OptionProblem

if TYPE_CHECKING:
    from enginehouse.spec.model import Deployment

_NAME = "llama-cpp"

_CONTEXT_PAD = 256
"""Each slot's context is rounded up to a multiple of this many tokens (src/llama-context.cpp)."""

_CACHE_RAM_MIB = 512
"""Memory for prompts that may come again. The engine's own default, 8192, is more than a laptop has to spare."""

_SSE_PING_S = 5
"""An engine stopped while it streams may live on for one such interval (measured 2026-11, b11434: 30.06 s with the
default of 30, 2.07 s with 1)."""

_KV_KIB_PER_TOKEN = 128
"""Key/value cache of one token in f16. Models of 0.6 to 14 billion parameters need 112 to 160 KiB, tiny ones less
(computed from published configurations, 2026-11)."""
_BITS_OF_CACHE_TYPE = MappingProxyType(
    {"f32": 32, "f16": 16, "bf16": 16, "q8_0": 8.5, "q4_0": 4.5, "q4_1": 5, "iq4_nl": 4.5, "q5_0": 5.5, "q5_1": 6}
)
_OVERHEAD_MIB = 128
"""Program and compute buffers: SmolLM2-135M with 98 MB of weights took 182 MB (measured 2026-11, b11434)."""

_VERSION_LINE = re.compile(r"^version: (?:[0-9]+\.[^\n]*\(build )?([0-9]+)[ ,]", re.MULTILINE)

_GATEWAY = "clients reach the engine through the gateway only"
_SOURCE = "the weights come from model.source"
_OFFLINE = "the engine runs offline; only model.source is downloaded"
_ONE_MODEL = "one engine serves one model"
_PRESET = "it picks a model of its own, but the weights come from model.source"
_NO_UI = "the engine's web interface is switched off"
_NO_TOOLS = "tools and agents of the engine run commands on the machine; they stay off"
_EXITS = "the engine would print something and exit"
_LOGS = "Enginehouse keeps the engine's log and shows its last lines when a start fails"
_CHAT_ONLY = "Enginehouse serves chat and text completions, which the engine refuses in this mode"

RULES = Rules(
    common=MappingProxyType(
        {
            "ctx-size": CommonWord(
                path=("context_tokens",), hint="it counts per request, so ctx-size divided by slots"
            ),
            "kv-unified-per-slot": CommonWord(path=("context_tokens",), hint="it counts per request"),
            "parallel": CommonWord(path=("slots",), hint="it is the number of requests at once"),
            "model": CommonWord(path=("model", "source"), hint="host:///PATH names a file on the machine"),
            "alias": CommonWord(path=("model", "served_name"), hint="it is the name clients ask for"),
        }
    ),
    reserved=MappingProxyType(
        {
            "host": "the engine listens where the gateway reaches it, and nowhere else",
            "port": "Enginehouse gives each side of a replica its own port",
            "reuse-port": "Enginehouse gives each side of a replica its own port",
            "api-key": "clients' keys belong in endpoint.keys",
            "api-key-file": "clients' keys belong in endpoint.keys",
            "metrics": "it is always on",
            "slots": 'it is always on; for the number of requests at once use "slots" of the deployment itself',
            "offline": "it is always on",
            **dict.fromkeys(("ssl-key-file", "ssl-cert-file"), "the gateway speaks TLS, see endpoint.tls"),
            **dict.fromkeys(("api-prefix", "path", "cors-origins", "cors-methods"), _GATEWAY),
            **dict.fromkeys(("cors-headers", "cors-credentials"), _GATEWAY),
            **dict.fromkeys(("model-url", "hf-repo", "hf-file", "hf-token", "docker-repo"), _SOURCE),
            **dict.fromkeys(("mmproj-url", "mmproj-auto", "spec-draft-hf"), _OFFLINE),
            **dict.fromkeys(("models-dir", "models-preset", "models-max", "models-autoload"), _ONE_MODEL),
            **dict.fromkeys(("ui", "ui-config", "ui-config-file", "ui-mcp-proxy"), _NO_UI),
            **dict.fromkeys(("tools", "tools-runtime", "agent", "mcp-servers-config", "mcp-servers-json"), _NO_TOOLS),
            **dict.fromkeys(("help", "version", "cache-list", "completion-bash", "list-devices"), _EXITS),
            **dict.fromkeys(("log-file", "log-disable"), _LOGS),
            **dict.fromkeys(("embedding", "rerank"), _CHAT_ONLY),
            **dict.fromkeys(
                (
                    "embd-gemma-default",
                    "fim-qwen-1.5b-default",
                    "fim-qwen-3b-default",
                    "fim-qwen-7b-default",
                    "fim-qwen-7b-spec",
                    "fim-qwen-14b-spec",
                    "fim-qwen-30b-default",
                    "gpt-oss-20b-default",
                    "gpt-oss-120b-default",
                    "vision-gemma-4b-default",
                    "vision-gemma-12b-default",
                ),
                _PRESET,
            ),
        }
    ),
)


def _args(deployment: Deployment, weights_path: str) -> Args:
    """What Enginehouse sets, then the options, sorted by name so that their order in the file means nothing.

    An option that sets a default of ours takes its place. Options must have passed the check.
    """
    return {**_defaults(deployment, weights_path), **_chosen(deployment)}


def _env(_: Deployment) -> Mapping[str, str]:
    """A folder without configuration: the engine would read ~/.config/llama.cpp/config.ini.

    An `api-key` there locks the gateway out (measured 2026-11, b11434). /etc/llama.cpp/config.ini is read all the same.
    """
    return {"XDG_CONFIG_HOME": "@{release}"}


def _memory_mib(deployment: Deployment, weights_bytes: int) -> int:
    """MiB that one more replica takes: weights, key/value cache of all slots, program. An estimate, on the high side.

    It only decides whether two releases may stand side by side while one replaces the other, so it errs towards "no":
    the cache is guessed from models of usual size, and the weights count in full although two releases that map the
    same file share its pages. The prompt cache (`cache-ram`) does not count; a new release starts with an empty one.
    """
    tokens = _padded(deployment.context_tokens) * deployment.slots
    options = _chosen(deployment)
    bits = sum(_BITS_OF_CACHE_TYPE[str(options.get(flag, "f16"))] for flag in ("cache-type-k", "cache-type-v"))
    cache_mib = tokens * _KV_KIB_PER_TOKEN * bits / 32 / 1024
    return round(weights_bytes / 2**20 + cache_mib) + _OVERHEAD_MIB


def _installed_version(output: str) -> str | None:
    """Reads both forms of the line: `version: 6500 (abc)`, and the later `version: 0.5.0 (build 11434, commit abc)`."""
    found = _VERSION_LINE.search(output)
    return f"b{found[1]}" if found else None


def _check_options(deployment: Deployment, *, given: frozenset[str]) -> Iterable[OptionProblem]:
    """Against this version's flags, or those of the nearest version with a list; the texts then say which."""
    known = Known(version=deployment.version, flags=_flags(deployment), history=history(_NAME), rules=RULES)
    return check(deployment.options, known, given=given)


def _defaults(deployment: Deployment, weights_path: str) -> dict[str, str | bool | tuple[str, ...]]:
    return {
        "model": weights_path,
        "alias": deployment.model.served_name,
        "host": LISTENS_ON,
        "port": "@{port}",
        "ctx-size": str(_padded(deployment.context_tokens) * deployment.slots),
        "parallel": str(deployment.slots),
        **({"gpu-layers": "all"} if deployment.gpus else {}),  # all of the model, or a start that fails
        "fit": "off",  # else the engine silently serves a smaller context when memory is short
        "cache-ram": str(_CACHE_RAM_MIB),
        "sse-ping-interval": str(_SSE_PING_S),
        "metrics": True,
        "slots": True,
        "offline": True,
        "no-ui": True,
        "cors-origins": "localhost",  # the default lets every web page read answers, with credentials
        "no-cors-credentials": True,
    }


def _chosen(deployment: Deployment) -> dict[str, str | bool | tuple[str, ...]]:
    """The options as arguments, by the flags' long names, sorted."""
    flags = _flags(deployment)
    found = {written: flag for written in deployment.options if (flag := flags.find(written))}
    return {
        flag.on_command_line(written): _words(flag, deployment.options[written])
        for written, flag in sorted(found.items(), key=lambda item: item[1].name)
    }


def _flags(deployment: Deployment) -> FlagList:
    return flag_list(_NAME, nearest(_NAME, deployment.version))


def _words(flag: Flag, value: Any) -> str | bool | tuple[str, ...]:
    if value is True:
        return True
    if not isinstance(value, list | tuple):
        return str(value)
    words = tuple(str(item) for item in value)
    return ",".join(words) if flag.many is Many.COMMA else words


def _padded(tokens: int) -> int:
    return -(-tokens // _CONTEXT_PAD) * _CONTEXT_PAD


ENGINE = Engine(
    name=_NAME,
    title="llama.cpp",
    program="llama-server",
    version_pattern=r"b[0-9]+",
    version_hint='a build tag such as "b11434"',
    versions=versions(_NAME),
    version_args=("--version",),
    installed_version=_installed_version,
    args=_args,
    env=_env,
    memory_mib=_memory_mib,
    check_options=_check_options,
    image="ghcr.io/ggml-org/llama.cpp:server-{version}",
    gpu_image="ghcr.io/ggml-org/llama.cpp:server-cuda-{version}",
    weights_suffixes=(".gguf",),
    health_path="/health",
    metrics_path="/metrics",
    key_file_flag="api-key-file",
    progress_metric="llamacpp:n_decode_total",
)
