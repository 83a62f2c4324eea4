"""How a key of the format is described: what it is for, what it may hold, and an example."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, field
from types import MappingProxyType
from typing import Any

NAME_PATTERN = r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?"
"""Names become resource names, folder names and HAProxy identifiers: DNS labels, 40 characters at most."""
HOST_PATTERN = r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?"
"""A host may be called like its address in DNS. Capitals stay out, since two such names would be one machine."""
RANGE_PATTERN = r"([a-z0-9.-]|\[[0-9]{1,4}:[0-9]{1,4}\]){1,255}"
"""Hosts by name: one, or many where numbers count up."""
MOST_HOSTS = 1000
"""In one stack. More are several stacks: the Pulumi engine has one state file for a stack."""
PATH_PATTERN = r"[^\u0000-\u001f\u007f]+"
SERVED_NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,95}"
SHA256_PATTERN = r"[0-9a-f]{64}"
SOURCE_PATTERN = r"(upload|host|https)://[^\u0000-\u0020\u007f]([^\u0000-\u001f\u007f]*[^\u0000-\u0020\u007f])?"
DEVICES_PATTERN = r"[0-9]{1,2}(-[0-9]{1,2})?"
IMAGE_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,511}"
REGISTRY_PATTERN = r"[a-z0-9]([a-z0-9.-]{0,252}[a-z0-9])?(:[0-9]{1,5})?"
MIRROR_PATTERN = rf"{REGISTRY_PATTERN}(/[a-z0-9]+([._-]+[a-z0-9]+)*)*"
LOGIN_PATTERN = r"[!-9;-~]{1,255}"
"""HTTP's basic authentication ends a user's name at the first colon (RFC 7617, 2)."""
BRANCH_PATTERN = r"[1-9][0-9]{2}"
URL_PATTERN = r"https?://[A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]{1,5})?(/[A-Za-z0-9._~+-]+)*"
"""Goes into a line of apt's sources, so it has no blanks and no signs that mean something there or to a shell."""
FINGERPRINT_PATTERN = r"[0-9A-F]{40}"
TEXT_PATTERN = r"[^\u0000-\u0009\u000b-\u001f\u007f-\u009f]*"
ADDRESS_PATTERN = r"[A-Za-z0-9_:]([A-Za-z0-9._:%-]{0,253}[A-Za-z0-9_])?"
USER_PATTERN = r"[A-Za-z0-9_][A-Za-z0-9._@\\-]{0,63}"
JUMP_PATTERN = r"[A-Za-z0-9_\[][A-Za-z0-9._:%@,\[\]\\-]{0,1023}"
KEY_FILE_PATTERN = r"(~/|/)[^\u0000-\u001f\u007f]+"
SECRET_NAME_PATTERN = r"[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?"
"""Secret names become parts of environment variables and Pulumi configuration keys."""

PATTERNS: Mapping[str, str] = MappingProxyType(
    {
        NAME_PATTERN: "lower-case letters, digits and hyphens, at most 40, with a letter or digit at both ends",
        HOST_PATTERN: "lower-case letters, digits, hyphens and dots, at most 63, with a letter or digit at both ends",
        RANGE_PATTERN: "a name or an address in lower case, with ranges such as [001:300]",
        PATH_PATTERN: "a path",
        SERVED_NAME_PATTERN: "letters, digits and the signs . _ : / -, at most 96, with a letter or digit at the start",
        SHA256_PATTERN: "64 hex digits in lower case",
        SOURCE_PATTERN: "upload://PATH, host:///PATH or https://ADDRESS",
        ADDRESS_PATTERN: "a host name, an alias of OpenSSH's configuration or an IP address, without user and port",
        USER_PATTERN: "letters, digits and the signs . _ @ \\ -, at most 64",
        JUMP_PATTERN: "USER@HOST:PORT, several with commas between them",
        KEY_FILE_PATTERN: "~/PATH or /PATH",
        IMAGE_PATTERN: "NAME@sha256:DIGEST",
        REGISTRY_PATTERN: "HOST or HOST:PORT, in lower case",
        MIRROR_PATTERN: "HOST/PATH, in lower case and without https://",
        LOGIN_PATTERN: "printable ASCII characters without blanks and colons, at most 255",
        DEVICES_PATTERN: "a number or a range of them, such as 0-3, quoted",
        BRANCH_PATTERN: "three digits, quoted",
        URL_PATTERN: "http://HOST/PATH or https://HOST/PATH, without a slash at the end",
        FINGERPRINT_PATTERN: "40 hex digits in upper case, without blanks",
        TEXT_PATTERN: "letters and line ends, no control characters",
        SECRET_NAME_PATTERN: "lower-case letters, digits and hyphens, at most 64, with a letter or digit at both ends",
    }
)
"""What each pattern allows, in words."""


def key(
    description: str, *, example: object, default: Any = MISSING, default_factory: Any = MISSING, **bounds: object
) -> Any:
    """A field of the format. `bounds` are JSON Schema keywords (`minimum`, `maximum`, `pattern`, `minItems`, ...)."""
    metadata = {"description": description, "example": example, "bounds": bounds}
    if default_factory is not MISSING:
        return field(default_factory=default_factory, metadata=metadata)
    if default is not MISSING:
        return field(default=default, metadata=metadata)
    return field(metadata=metadata)
