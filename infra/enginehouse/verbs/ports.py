"""Whether a stack's endpoints can listen where they want to."""

from __future__ import annotations

import errno
import os
import socket

from enginehouse.converge import Context, observe
from enginehouse.converge.look import look
from enginehouse.errors import EnginehouseError
from enginehouse.planner.parts import ConnectionKind, GatewayPart
from enginehouse.report.doctor import Finding, Health


def endpoint_port(gateway: GatewayPart, context: Context) -> Finding:
    """The endpoint's port: free, in use by this very stack, or in use by something else."""
    problem = _problem(gateway) if gateway.connection.kind is ConnectionKind.LOCAL else _problem_there(gateway, context)
    if problem and _serves(gateway, context):
        return _finding(gateway, Health.OK, "in use by this stack")
    return _finding(gateway, Health.WRONG if problem else Health.OK, problem or "free")


def _finding(gateway: GatewayPart, health: Health, version: str) -> Finding:
    port = gateway.port
    there = "" if gateway.connection.kind is ConnectionKind.LOCAL else f" on {gateway.host}"
    return Finding(
        name=f"port {port}",
        health=health,
        version=version,
        where=f"{gateway.address}{there}, {gateway.stack}",
        needed="free, or in use by this stack",
        remedy=f"`ss -ltnp 'sport = :{port}'` names the program that listens; stop it, or change `endpoint.port`",
    )


def _problem(gateway: GatewayPart) -> str | None:
    """Why nobody new can listen there. SO_REUSEADDR passes over connections that have ended, as HAProxy does."""
    family = socket.AF_INET6 if ":" in gateway.address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((gateway.address, gateway.port))
        except OSError as error:
            return "in use" if error.errno == errno.EADDRINUSE else os.strerror(error.errno or 0)
    return None


def _problem_there(gateway: GatewayPart, context: Context) -> str | None:
    """The same for another machine, by what listens there."""
    try:
        listener = look(gateway, context.connectors.connect(gateway)).listeners.get(gateway.port)
    except EnginehouseError as error:
        return f"not known: {error}"
    return f"in use by {listener}" if listener else None


def _serves(gateway: GatewayPart, context: Context) -> bool:
    try:
        observed = observe(gateway, context)
    except EnginehouseError:
        return False
    return observed is not None and not observed.reasons
