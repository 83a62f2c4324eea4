"""Each name that clients may ask for leads to deployments that serve it."""

from __future__ import annotations

from collections.abc import Iterator

from enginehouse.spec.codes import Code
from enginehouse.spec.endpoint import Route
from enginehouse.spec.model import Spec
from enginehouse.spec.problems import Problem, shown
from enginehouse.spec.source import KeyPath, Source


def check(spec: Spec, _: Source) -> Iterator[Problem]:
    for index, route in enumerate(spec.endpoint.routes):
        yield from _leads_somewhere(spec, route, ("endpoint", "routes", index))
    yield from _names_are_told_apart(spec)


def _leads_somewhere(spec: Spec, route: Route, path: KeyPath) -> Iterator[Problem]:
    serving = {name for name, deployment in spec.deployments.items() if deployment.model.served_name == route.model}
    served = tuple(("deployments", name, "model", "served_name") for name in spec.deployments)
    if not serving:
        names = sorted({deployment.model.served_name for deployment in spec.deployments.values()})
        yield Problem(
            path=(*path, "model"),
            code=Code.BAD_ROUTE,
            summary=f"no deployment serves {shown(route.model)}",
            hint=f"served names are {', '.join(names)}; another name for one of them belongs in `aliases`",
            rests_on=served,
        )
        return
    for name in route.to:
        if name not in serving:
            yield Problem(
                path=(*path, "to", name),
                on_key=True,
                code=Code.BAD_ROUTE,
                summary=f"{shown(route.model)} can't lead to {shown(name)}, which {_what_it_is(spec, name)}",
                hint=f"deployments that serve it: {', '.join(sorted(serving))}",
                rests_on=served,
            )
    if route.to and not any(route.to.values()):
        yield Problem(
            path=(*path, "to"),
            code=Code.BAD_ROUTE,
            summary=f"all shares of {shown(route.model)} are 0",
            hint="give one deployment at least 1",
        )


def _what_it_is(spec: Spec, name: str) -> str:
    deployment = spec.deployments.get(name)
    return f"serves {shown(deployment.model.served_name)}" if deployment else "is no deployment"


def _names_are_told_apart(spec: Spec) -> Iterator[Problem]:
    first: dict[str, KeyPath] = {}
    for path, name in _names(spec):
        earlier = first.setdefault(name, path)
        if earlier != path:
            yield Problem(
                path=path,
                code=Code.DUPLICATE_ROUTE,
                summary=f"{shown(name)} has a route already",
                hint="a request names one model, so each name stands once; several deployments share one in `to`",
                related=((earlier, "the other one"),),
            )


def _names(spec: Spec) -> Iterator[tuple[KeyPath, str]]:
    """What clients may ask for: each route's model and aliases, after the served names that have a route of their own.

    That two deployments serve one name without a route is another check's to say.
    """
    routed = {route.model for route in spec.endpoint.routes}
    served = {deployment.model.served_name: name for name, deployment in spec.deployments.items()}
    for model, name in served.items():
        if model not in routed:
            yield ("deployments", name, "model", "served_name"), model
    for index, route in enumerate(spec.endpoint.routes):
        yield ("endpoint", "routes", index, "model"), route.model
        for number, alias in enumerate(route.aliases):
            yield ("endpoint", "routes", index, "aliases", number), alias
