"""Variants: each host has the settings of the last variant that names it, and of the deployment for the rest."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from enginehouse.planner.plan import plan
from enginehouse.spec import load_text
from enginehouse.spec.hosts import hosts_of
from enginehouse.spec.lock import NOTHING_LOCKED
from enginehouse.spec.model import Deployment, Settings, Spec
from enginehouse.spec.schema import keys_of, schema_of
from enginehouse.spec.variants import on_host
from tests.unit.spec.stacks import STACK

HOSTS = "{a1: {labels: {zone: north, size: large}}, a2: {labels: {zone: north}}, a3: {}}"
WHERES = {
    "{host: a1}": {"a1"},
    '{host: "a[2:9]"}': {"a2", "a3"},
    "{label: {zone: north}}": {"a1", "a2"},
    "{label: {zone: north, size: large}}": {"a1"},
}
"""What chooses which hosts."""
SETS = {"slots": st.integers(1, 64), "context_tokens": st.integers(256, 4096), "replicas_per_host": st.integers(1, 3)}


def spec(*variants: str) -> Spec:
    listed = "".join(f"\n      - {variant}" for variant in variants)
    text = (
        STACK.replace("{local: {}}", f"{{ssh: {{hosts: {HOSTS}}}}}")
        .replace("  runs_on: box\n  port", "  runs_on: box\n  scope: each_host\n  port")
        .replace(
            "      served_name: tiny\n",
            f"      served_name: tiny\n    variants:{listed}\n" if variants else "      served_name: tiny\n",
        )
    )
    loaded = load_text(text, name="demo", display="demo.yaml")
    assert loaded.spec is not None and loaded.ok, loaded.diagnostics
    return loaded.spec


def here(made: Spec) -> dict[str, Deployment]:
    return {host.name: on_host(made, host).deployments["chat"] for host in hosts_of(made, "box")}


CHANGES = st.dictionaries(st.sampled_from(sorted(SETS)), st.integers(0, 2), min_size=1).flatmap(
    lambda keys: st.fixed_dictionaries({key: SETS[key] for key in keys})
)


@given(st.lists(st.tuples(st.sampled_from(sorted(WHERES)), CHANGES), min_size=1, max_size=4))
def test_the_last_variant_of_a_host_counts_key_by_key(variants: list[tuple[str, dict[str, int]]]) -> None:
    """Whatever chooses it, and whatever the others change."""
    written = [
        f"{{where: {where}, set: {{{', '.join(f'{k}: {v}' for k, v in change.items())}}}}}"
        for where, change in variants
    ]
    plain = spec().deployments["chat"]
    for name, deployment in here(spec(*written)).items():
        wanted = {key: getattr(plain, key) for key in SETS}
        for where, change in variants:
            wanted |= change if name in WHERES[where] else {}
        assert {key: getattr(deployment, key) for key in SETS} == wanted


def test_a_key_replaces_that_of_the_deployment_as_a_whole() -> None:
    """As in a merge of YAML: options that are not repeated are gone."""
    made = here(spec("{where: {host: a1}, set: {options: {threads: 2}, health: {drain_s: 5}}}"))
    assert (made["a1"].options, made["a1"].health.drain_s, made["a1"].health.ready_within_s) == ({"threads": 2}, 5, 120)
    assert (made["a2"].options, made["a2"].health.drain_s) == ({}, 60)


def test_a_variant_changes_only_the_parts_of_its_hosts() -> None:
    """Replicas, ports and files of the others are the same."""
    plans = [plan(spec(*v), NOTHING_LOCKED) for v in ((), ("{where: {host: a2}, set: {replicas_per_host: 2}}",))]
    parts = [{part.name: part for part in made.parts()} for made in plans]
    changed = {name for name in parts[0].keys() | parts[1].keys() if parts[0].get(name) != parts[1].get(name)}
    assert changed == {"chat-a2-1", "gateway-a2", "endpoint-a2"}


def test_a_setting_is_the_same_key_as_the_deployments() -> None:
    """In the schema, so that a wrong value is told in the same words."""
    schema = schema_of(Spec)["$defs"]
    for field in keys_of(Settings):
        own, again = (schema[cls]["properties"][field.name] for cls in ("Deployment", "Settings"))
        assert {**own, "default": None} == {**again, "default": None}
