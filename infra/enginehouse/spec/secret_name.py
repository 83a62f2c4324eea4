"""How a stack file names a secret."""

from __future__ import annotations

from dataclasses import dataclass

from enginehouse.spec.fields import SECRET_NAME_PATTERN, key


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretName:
    """A secret by its name."""

    secret: str = key("Name of the secret.", example="tls-key", pattern=SECRET_NAME_PATTERN)
