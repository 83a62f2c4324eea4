"""Every code a stack file's diagnostic can carry, apart from those about an engine's own options.

Codes are public: scripts and editors match on them. `docs/stack-format.md` explains each one.
"""

from __future__ import annotations

from enum import StrEnum


class Code(StrEnum):
    """What is wrong, as a stable word."""

    # The file
    NO_SUCH_STACK = "no-such-stack"
    NOT_A_STACK = "not-a-stack"
    UNREADABLE_FILE = "unreadable-file"
    FILE_TOO_LARGE = "file-too-large"
    NOT_UTF8 = "not-utf8"
    CONTROL_CHARACTER = "control-character"
    EMPTY_FILE = "empty-file"
    # YAML
    YAML_SYNTAX = "yaml-syntax"
    YAML_TAB = "yaml-tab"
    YAML_TAG = "yaml-tag"
    SEVERAL_DOCUMENTS = "several-documents"
    UNKNOWN_ALIAS = "unknown-alias"
    RECURSIVE_ALIAS = "recursive-alias"
    BAD_MERGE = "bad-merge"
    DUPLICATE_ANCHOR = "duplicate-anchor"
    DUPLICATE_KEY = "duplicate-key"
    KEY_NOT_TEXT = "key-not-text"
    TEXT_TOO_LONG = "text-too-long"
    TOO_DEEP = "too-deep"
    TOO_MANY_NODES = "too-many-nodes"
    # Shape
    UNKNOWN_KEY = "unknown-key"
    MISSING_KEY = "missing-key"
    WRONG_TYPE = "wrong-type"
    NEEDS_QUOTES = "needs-quotes"
    NEEDS_NO_QUOTES = "needs-no-quotes"
    UNKNOWN_VALUE = "unknown-value"
    OUT_OF_RANGE = "out-of-range"
    MALFORMED_VALUE = "malformed-value"
    MALFORMED_NAME = "malformed-name"
    TOO_FEW = "too-few"
    TOO_MANY = "too-many"
    EXACTLY_ONE = "exactly-one"
    TOO_MANY_PROBLEMS = "too-many-problems"
    # Meaning
    UNKNOWN_ENGINE = "unknown-engine"
    MALFORMED_VERSION = "malformed-version"
    UNLISTED_VERSION = "unlisted-version"
    CONTEXT_TOO_LARGE = "context-too-large"
    UNKNOWN_MACHINES = "unknown-machines"
    UNUSED_MACHINES = "unused-machines"
    SAME_MACHINE_TWICE = "same-machine-twice"
    DUPLICATE_HOST = "duplicate-host"
    SEVERAL_HOSTS = "several-hosts"
    OTHER_MACHINE = "other-machine"
    TOO_MANY_REPLICAS = "too-many-replicas"
    NAMES_TOO_LONG = "names-too-long"
    NAMES_CLASH = "names-clash"
    BAD_RENAME = "bad-rename"
    DUPLICATE_SERVED_NAME = "duplicate-served-name"
    DUPLICATE_ROUTE = "duplicate-route"
    BAD_ROUTE = "bad-route"
    BAD_SOURCE = "bad-source"
    WRONG_FILE_TYPE = "wrong-file-type"
    SPLIT_WEIGHTS = "split-weights"
    PLACEHOLDER_SHA256 = "placeholder-sha256"
    TWO_HASHES = "two-hashes"
    DUPLICATE_CLIENT = "duplicate-client"
    SHARED_SECRET = "shared-secret"
    SECRET_IN_FILE = "secret-in-file"
    BAD_HOSTNAME = "bad-hostname"
    TLS_NEEDED = "tls-needed"
    # The lock file
    LOCK_WITHOUT_STACK = "lock-without-stack"
    PORT_TWICE = "port-twice"
    PORT_OF_ENDPOINT = "port-of-endpoint"
