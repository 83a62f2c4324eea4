"""Plans as Pulumi resources: one resource for each part, one level of components above them."""

from __future__ import annotations

from components.secrets import secrets
from components.stack import deploy
from components.stack_file import plan_of

__all__ = ["deploy", "plan_of", "secrets"]
