"""The Pulumi program: the stack's file, its plan, its components, its outputs."""

from __future__ import annotations

from pathlib import Path

import pulumi
from components import deploy, plan_of, secrets

PROJECT = Path(__file__).resolve().parents[1]

plan = plan_of(pulumi.get_stack(), PROJECT)
for name, value in deploy(plan, secrets(plan.keys(), (*plan.private_keys(), *plan.passwords()))).items():
    pulumi.export(name, value)
