"""The environment a script gets on this machine: small, the same for every caller, and free of the caller's secrets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

PASSED_NAMES = frozenset(
    {
        "HOME", "USER", "LOGNAME", "LANG", "TMPDIR",
        "SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE", "CURL_HOME", "CURL_SSL_BACKEND", "REQUESTS_CA_BUNDLE",
        "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy",
    }
)  # fmt: skip
PASSED_PREFIXES = ("XDG_", "ENGINEHOUSE_")
SECRET_PREFIX = "ENGINEHOUSE_SECRET_"
"""Where a caller may keep the values of a stack's secrets; they reach a machine on stdin only."""

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Added behind the caller's PATH, which often lacks the `sbin` folders for a user who is not root."""


def script_environment(caller: Mapping[str, str]) -> dict[str, str]:
    """Choose from the caller's environment what a script may see, and set locale and PATH.

    Programs that Enginehouse installed for itself come first on PATH.
    """
    passed = {name: value for name, value in caller.items() if _may_pass(name)}
    path = ":".join(filter(None, (str(cache_folder(caller) / "bin"), caller.get("PATH"), SYSTEM_PATH)))
    return {**passed, "LC_ALL": "C", "PATH": path}


def variable(name: str) -> str:
    """The environment variable that may hold the secret."""
    return SECRET_PREFIX + name.upper().replace("-", "_")


def how_to_give(stack: str, name: str) -> str:
    """The two ways to give a secret its value, in words."""
    return f"set {variable(name)}, or run `pulumi config set --stack {stack} --secret {name}`"


def cache_folder(caller: Mapping[str, str]) -> Path:
    """Where downloads and builds are kept: ${ENGINEHOUSE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/enginehouse}."""
    if cache := caller.get("ENGINEHOUSE_CACHE"):
        return Path(cache)
    return Path(caller.get("XDG_CACHE_HOME") or Path(caller.get("HOME") or Path.home()) / ".cache") / "enginehouse"


def _may_pass(name: str) -> bool:
    return name in PASSED_NAMES or (name.startswith(PASSED_PREFIXES) and not name.startswith(SECRET_PREFIX))
