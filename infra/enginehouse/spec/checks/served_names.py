"""Two deployments serve one name only where a route shares its requests between them."""

from __future__ import annotations

from collections.abc import Iterator

from enginehouse.spec.codes import Code
from enginehouse.spec.model import Spec
from enginehouse.spec.problems import Problem, shown
from enginehouse.spec.source import KeyPath, Source


def check(spec: Spec, _: Source) -> Iterator[Problem]:
    first: dict[str, KeyPath] = {}
    routed = {route.model for route in spec.endpoint.routes}
    for name, deployment in spec.deployments.items():
        served, path = deployment.model.served_name, ("deployments", name, "model", "served_name")
        earlier = first.setdefault(served, path)
        if earlier != path and served not in routed:
            yield Problem(
                path=path,
                code=Code.DUPLICATE_SERVED_NAME,
                summary=f"two deployments serve {shown(served)}",
                hint="give each its own name, or share the requests with a route under endpoint.routes; "
                "for copies use replicas_per_host",
                related=((earlier, "first served here"),),
            )
