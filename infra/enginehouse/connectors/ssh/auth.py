"""Who we are to a machine: keys of the agent and of files, tried in OpenSSH's order."""

from __future__ import annotations

import base64
import binascii
import contextlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import paramiko
from paramiko.agent import AgentSSH

from enginehouse.connectors.ssh.settings import Hop
from enginehouse.errors import Unreachable

AGENT_S = 10.0
"""An agent may ask a person or a token before it lists or signs."""


@dataclass(slots=True)
class _Keys:
    """What there is to prove who we are, and what there would be."""

    usable: list[tuple[str, paramiko.PKey]] = field(default_factory=list)
    """Each with what it is called in a sentence."""
    unusable: list[str] = field(default_factory=list)
    """Key files that can't be used, and why."""


def authenticate(who: str, transport: paramiko.Transport, hop: Hop) -> None:
    """Log in. Raises `Unreachable` with what was tried."""
    with _agent(hop.agent) as agent:
        keys = _keys(hop, agent)
        tried: list[str] = []
        for name, key in keys.usable:
            tried.append(f"{name} ({key.fingerprint})")
            try:
                missing = transport.auth_publickey(hop.user, key)
            except paramiko.BadAuthenticationType as error:
                raise _refused(who, hop, [], [f"it only takes {', '.join(error.allowed_types)}, no key"]) from None
            except paramiko.AuthenticationException:
                if transport.is_active():
                    continue
                raise _refused(
                    who, hop, tried, ["it hung up after too many keys; name the right one in `key_file`"]
                ) from None
            except (paramiko.SSHException, TimeoutError) as error:
                if not _failed_to_sign(error):
                    raise
                said = f"{name} did not sign; is the agent locked, or was it declined?"
                raise _refused(who, hop, [], [said]) from None
            if missing:
                raise _refused(who, hop, [], [f"it takes the key, but asks for more: {', '.join(missing)}"])
            return
    raise _refused(who, hop, tried, keys.unusable)


def _failed_to_sign(error: Exception) -> bool:
    """Whether it was the agent, whose words paramiko passes on as those of the connection."""
    if isinstance(error, TimeoutError):
        return error.errno is None  # of its socket; those of the connection have the kernel's number
    return "cannot be used for signing" in str(error) or "ssh-agent" in str(error)


def _refused(who: str, hop: Hop, tried: list[str], more: list[str]) -> Unreachable:
    said = (
        [f"it refused {', '.join(tried)}; is the user right, and one of these keys in its authorized_keys?"]
        if tried
        else []
    )
    if not tried and not more:
        said = ["there is no key to show: neither an agent has one, nor is there one of OpenSSH's key files"]
    return Unreachable(f"{who}: sshd of {hop} does not let {hop.user} in; {'; '.join([*said, *more])}")


def _keys(hop: Hop, agent: AgentSSH | None) -> _Keys:
    """Those of the agent first; with `IdentitiesOnly`, only those whose files are named."""
    found = _Keys()
    files = [file for file in hop.identity_files if file.is_file()]
    named = {blob for file in files for blob in _public(file)}
    in_agent = {key.asbytes(): key for key in (agent.get_keys() if agent else ())}
    for blob, key in in_agent.items():
        if blob in named or not hop.identities_only:
            found.usable.append((f"the agent's key {key.comment or key.get_name()}", key))
    for file in files:
        try:
            key = paramiko.PKey.from_path(file)
        except (TypeError, paramiko.PasswordRequiredException):
            if not any(blob in in_agent for blob in _public(file)):
                found.unusable.append(f"{file} has a passphrase; give it to an agent with `ssh-add {file}`")
        except OSError as error:
            found.unusable.append(f"{file} can't be read ({error.strerror})")
        except Exception as error:  # noqa: BLE001 - whatever a library says about a strange file, the file is named
            found.unusable.append(f"{file} is not a key that can be used ({type(error).__name__})")
        else:
            if key.asbytes() not in in_agent:
                found.usable.append((str(file), key))
    return found


def _public(file: Path) -> Iterator[bytes]:
    """The public half beside a key file, if it is there."""
    with contextlib.suppress(OSError, IndexError, binascii.Error):
        yield base64.b64decode(Path(f"{file}.pub").read_text().split()[1])


class _Agent(AgentSSH):  # type: ignore[misc]
    """An agent at any socket: paramiko's own knows only that of the environment."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__()
        self._connect(connection)


@contextlib.contextmanager
def _agent(path: str | None) -> Iterator[AgentSSH | None]:
    """None where no agent answers: OpenSSH does without, too."""
    if path is None:
        yield None
        return
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(AGENT_S)
        try:
            connection.connect(path)
            agent = _Agent(connection)
        except (OSError, paramiko.SSHException):
            agent = None
        yield agent
