"""The weights part: one verified model file, or one engine's program, on one machine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

import enginehouse.converge.scripts as scripts
from enginehouse.converge.facts import Facts
from enginehouse.converge.places import Places
from enginehouse.converge.steps import Effect, Fetch, Sh, Step, Steps, Upload, WriteManifest
from enginehouse.converge.wire import DRIFT
from enginehouse.planner.parts import WeightsPart
from enginehouse.render.symbols import Secret, fill

FETCH_S = 24 * 3600.0
"""A download that stalls is ended by curl after a minute; this only bounds one that trickles."""
UNPACK_S = 1800.0
"""With the installation of a library that the machine lacks."""
_UNPACKED = "unpacked"
CHECK_S = 3600.0
"""Reading 100 GB from a slow disk."""


def steps(part: WeightsPart, facts: Facts, secrets: Mapping[str, Secret]) -> Steps:
    """What brings the file. A file whose stat is as it was when it was verified is not read again."""
    verified = is_verified(part.sha256, facts, "stat")
    unpack = tuple(_unpack(part, facts, verified))
    are = "is" if part.program else "are"
    if verified and not unpack and facts.manifest and facts.manifest.records(part) and not facts.moves:
        since = "it was" if part.program else "they were"
        return Steps(reason=f"the {part.what} {are} there and unchanged since {since} verified")
    stage = (*(() if verified else (_bring(part, facts),)), *unpack)
    activate = (*_forget_former(part, facts), WriteManifest(title=f"recording the {part.what}"))
    if not stage:
        return Steps(activate=activate, effect=Effect.RECORD, reason=f"the {part.what} {are} there and verified")
    reason = f"the {part.what} {are} brought and verified beside what is there; nothing that runs is touched"
    return Steps(stage=stage, activate=activate, effect=Effect.FETCH, reason=reason)


def is_verified(sha256: str, facts: Facts, stat_key: str) -> bool:
    """Whether the file looks exactly as it did when its SHA-256 was checked."""
    stat = facts.texts.get(stat_key, "").strip()
    return bool(stat) and facts.texts.get("verified", "").strip() == f"{sha256} {stat}"


def record_of(sha256: str, path: str) -> str:
    """Where it is recorded that `path` (with symbols) was verified; the file itself may belong to somebody else."""
    place = hashlib.sha256(path.encode()).hexdigest()[:12]
    return f"@{{state}}/weights/{sha256[:16]}/{place}.verified"


def program_folder(sha256: str) -> str:
    """Where the executable of a program's file is, with symbols: unpacked beside the file, known by its content."""
    return f"@{{state}}/weights/{sha256[:16]}/{_UNPACKED}"


def neighbourly(part: WeightsPart) -> str | None:
    """The address where others of the stack reach the part's machine; None if it is not said that they do."""
    return part.connection.ssh.private_address if part.connection.ssh else None


def differences(part: WeightsPart, facts: Facts) -> dict[str, object]:
    """Inputs that differ on the machine."""
    if is_verified(part.sha256, facts, "stat"):
        altered = part.program and not _is_unpacked(facts)
        return {DRIFT: {"program": "altered or missing where it was unpacked"}} if altered else {}
    there = bool(facts.texts.get("stat", "").strip())
    what = "program" if part.program else "weights"
    return {DRIFT: {what: "altered on the machine" if there else "missing on the machine"}}


def stays(part: WeightsPart, facts: Facts) -> tuple[str, ...]:
    """What a destroy leaves, as sentences."""
    path = fill(part.path, {"state": facts.state}, {})
    what, them = (f"the {part.what} stays", "it") if part.program else ("the weights stay", "them")
    return (f"{what} in {path}: other stacks may use {them}, and the next `up` need not bring {them} again",)


def _is_unpacked(facts: Facts) -> bool:
    """Whether everything looks as it did when it was unpacked from the verified file."""
    tree = facts.texts.get("unpacked", "").strip()
    return bool(tree) and tree == facts.texts.get("unpacked_verified", "").strip()


def _unpack(part: WeightsPart, facts: Facts, verified: bool) -> Iterator[Step]:
    """After the file was verified, and again whenever it is brought anew or what was unpacked is not as it was."""
    if part.program is None or (verified and _is_unpacked(facts)):
        return
    symbols = {"state": facts.state}
    script = scripts.unpack(
        file=fill(part.path, symbols, {}),
        sha256=part.sha256,
        folder=fill(program_folder(part.sha256), symbols, {}),
        program=part.program,
        mark=Places.of(part, facts.state).installing if part.connection.ssh else "",
    )
    yield Sh(title=f"unpacking {part.program}", script=script, deadline_s=UNPACK_S)


def _forget_former(part: WeightsPart, facts: Facts) -> tuple[Step, ...]:
    """The weights are known by content; of a former name only the record goes."""
    if not facts.moves or not part.renamed_from:
        return ()
    folder = Places.of(part, facts.state).other(part.renamed_from).part
    return (Sh(title=f"removing the folder of {part.renamed_from}", script=scripts.remove(folder)),)


def _bring(part: WeightsPart, facts: Facts) -> Step:
    symbols = {"state": facts.state}
    file, record = fill(part.path, symbols, {}), fill(record_of(part.sha256, part.path), symbols, {})
    origin = _origin(part, facts, file, record)
    address = neighbourly(part)
    if address is None or part.source.startswith("host://"):
        return origin
    return Fetch(title=part.what, origin=origin, sha256=part.sha256, target=file, record=record, address=address)


def _origin(part: WeightsPart, facts: Facts, file: str, record: str) -> Step:
    """From where it comes."""
    scheme, _, location = part.source.partition("://")
    if scheme == "upload":
        return Upload(
            title=part.what,
            source=location,
            sha256=part.sha256,
            target=file,
            record=record,
            free_mib=facts.disk_mib or 0,
        )
    if scheme == "host":
        script = scripts.weights(file=file, sha256=part.sha256, record=record, commands=("check_in_place",))
        return Sh(title=f"verifying the {part.what} in place", script=script, deadline_s=CHECK_S)
    script = scripts.download(file=file, sha256=part.sha256, record=record, url=part.source)
    return Sh(title=part.what, script=script, deadline_s=FETCH_S)
