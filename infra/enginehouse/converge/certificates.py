"""The certificate of a stack that is its own authority: made, renewed and judged on the gateway's machine. Pure.

`templates/host/certificates.sh` does it with the machine's openssl, so that no private key ever leaves. Here is what it
is told, and its program under the stack's supervisor, which belongs to the gateway.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from datetime import UTC, datetime

import enginehouse.converge.scripts as scripts
from enginehouse.converge.facts import Facts
from enginehouse.converge.places import CERTIFICATES, Places
from enginehouse.converge.programs import script_program
from enginehouse.converge.steps import Placed, Sh, StartProgram, Step, StopProgram
from enginehouse.planner.parts import GatewayPart
from enginehouse.render.templates import render

FAULT = "certificate_fault"
AUTHORITY = "authority"
ENDS = "certificate_ends"
"""Facts: why the certificate has to be made anew, the authority's certificate in PEM, and when the endpoint's ends."""
_DIGITS = 11
"""Of seconds since 1970, up to the year 5138; what has more was not written by us."""


def is_made(part: GatewayPart) -> bool:
    """Whether the machine makes it; else the gateway is given one, or none."""
    return bool(_names(part))


def probe(part: GatewayPart, places: Places) -> Iterator[str]:
    """Lines of a probe; `places` may hold the script's own variables."""
    if names := _names(part):
        functions = _functions(places, names, quote=False)
        yield f"{functions}\nkey {FAULT}; certificate_fault 2>/dev/null"
        yield f"text_of {AUTHORITY} {places.authority}/ca.pem"
        yield f"key {ENDS}; sed -n '1s/.* //p' {places.part}/tls/server.pem 2>/dev/null"


def fault(part: GatewayPart, facts: Facts) -> str:
    """Why the certificate has to be made anew; empty while it is good, and where somebody else makes it."""
    return facts.texts.get(FAULT, "").strip() if _names(part) else ""


def ends(part: GatewayPart, facts: Facts) -> datetime | None:
    """When the endpoint's certificate ends; None without one."""
    if part.tls and part.tls.ends:
        return datetime.fromisoformat(part.tls.ends)
    seconds = facts.texts.get(ENDS, "").strip()
    return datetime.fromtimestamp(int(seconds), UTC) if seconds.isdecimal() and len(seconds) <= _DIGITS else None


def make(part: GatewayPart, places: Places, facts: Facts) -> Iterator[Step]:
    """What makes the certificate, if it has to be made."""
    if why := fault(part, facts):
        functions = _functions(places, _names(part), quote=True)
        yield Sh(title=f"making the certificate ({why})", script=scripts.change(functions, "make_certificate"))


def keep(part: GatewayPart, places: Places, facts: Facts, wrong: tuple[Placed, ...]) -> Iterator[Step]:
    """What starts the program that renews it, or ends one that is no longer wanted."""
    files = program(part, places)
    runs = runs_on(part, facts)
    if files and (not runs or set(files) & set(wrong)):
        folders = (f"{places.part}/log",)
        yield StartProgram(
            title="starting to renew the certificate", program=CERTIFICATES, file=files[-1], folders=folders
        )
    elif runs and not files:
        yield leave(places)


def differences(part: GatewayPart, facts: Facts) -> dict[str, object]:
    """What is not as it should be, where no input says how it should be."""
    found = {"certificate": fault(part, facts)} if fault(part, facts) else {}
    renewed = not is_made(part) or runs_on(part, facts)
    return {**found, **({} if renewed else {"renewal of the certificate": "does not run"})}


def leave(places: Places) -> StopProgram:
    file = places.program_file(CERTIFICATES)
    return StopProgram(title="stopping to renew the certificate", program=CERTIFICATES, file=file)


def runs_on(part: GatewayPart, facts: Facts) -> bool:
    return facts.running(f"{part.name}/{CERTIFICATES}") is not None


def program(part: GatewayPart, places: Places) -> tuple[Placed, ...]:
    """Its files, the supervisor's program file last; none if the gateway is given its certificate."""
    names = _names(part)
    if not names:
        return ()
    text = render("host/certificates.sh") + render("host/keep_certificates.sh")
    words = (places.state, part.stack, part.name, names)
    return script_program(places, CERTIFICATES, text, words, greeting="renewing the certificate starts")


def _names(part: GatewayPart) -> str:
    """As openssl writes them in a subjectAltName; empty if the gateway is given its certificate."""
    return ",".join(part.tls.names) if part.tls else ""


def _functions(places: Places, names: str, *, quote: bool) -> str:
    """With the variables that they need."""
    folders = {"authority": places.authority, "home": places.part}
    words = [f"{name}={shlex.quote(folder) if quote else folder}" for name, folder in folders.items()]
    return "\n".join((*words, f"stack={places.stack}", f"names={shlex.quote(names)}", render("host/certificates.sh")))
