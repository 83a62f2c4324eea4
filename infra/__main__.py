"""The Pulumi program: the stack's file, its plan, its components, its outputs."""

from __future__ import annotations

from pathlib import Path

import pulumi
from components import deploy, secrets, spec_of
from enginehouse.planner.plan import plan

PROJECT = Path(__file__).resolve().parents[1]

the_plan = plan(spec_of(pulumi.get_stack(), PROJECT))
for name, value in deploy(the_plan, secrets(the_plan.secrets())).items():
    pulumi.export(name, value)
