"""Getting in, and what is said when it does not work: one sentence each, with what would be right."""

from __future__ import annotations

import contextlib
import http.server
import itertools
import os
import shutil
import socket
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from enginehouse.connectors.ssh import SshConnector
from enginehouse.connectors.ssh import link as links
from enginehouse.connectors.ssh import sudo as sudo_of_ssh
from enginehouse.connectors.ssh.known_hosts import HostKey
from enginehouse.connectors.ssh.settings import CONFIG_VARIABLE
from enginehouse.errors import ConnectorError, explain
from enginehouse.planner.parts import Become, HostKeys, Ssh
from enginehouse.render.symbols import Secret
from tests.ports import refusing_port
from tests.ssh.server import Client, Server, make_key, sshd

SOON_S = 60.0


def outcome(ssh: Ssh, script: str = "echo in", *, password: Secret | None = None, stdin: Sequence[bytes] = ()) -> str:
    """What a script printed, or all that is told about why it did not run."""
    connector = SshConnector("box", ssh, password)
    try:
        return connector.run(script, stdin=stdin, deadline_s=SOON_S).stdout
    except ConnectorError as error:
        return "\n".join(explain(error))
    finally:
        connector.close()


def key_with(server: Server, client: Client, name: str, options: str) -> str:
    """A further key of the client, that the server admits with these options."""
    path = client.folder / name
    make_key(path)
    server.admit(Path(f"{path}.pub"), options)
    return str(path)


# Host keys


def test_an_unknown_host_key_is_refused_with_the_line_to_add(stranger: Client, server: Server) -> None:
    """Nothing is written, and with that line the machine is known."""
    said = outcome(server.ssh())
    assert f"the host key of 127.0.0.1 port {server.port} is not known (ssh-ed25519 SHA256:" in said
    line = said.rpartition(f"add this line to {stranger.known_hosts}: ")[2]
    assert line == server.known_line
    assert not stranger.known_hosts.exists()
    stranger.known_hosts.write_text(line + "\n")
    assert outcome(server.ssh()) == "in\n"


@pytest.mark.parametrize("before", ["", "other.example ssh-ed25519 AAAA", "other.example ssh-ed25519 AAAA\n"])
def test_a_new_host_key_may_be_accepted_once(stranger: Client, server: Server, before: str) -> None:
    """It is written on a line of its own, also behind a last line without an end, and never twice."""
    stranger.known_hosts.write_text(before)
    for _ in range(2):
        assert outcome(server.ssh(host_keys=HostKeys.ACCEPT_NEW)) == "in\n"
    kept = [before.strip()] if before else []
    assert stranger.known_hosts.read_text().splitlines() == [*kept, server.known_line]


def test_names_are_hidden_where_openssh_would_hide_them(stranger: Client, server: Server) -> None:
    """With HashKnownHosts, and what was hidden is found again: by us, and by OpenSSH."""
    stranger.config.write_text(f"HashKnownHosts yes\n{stranger.config.read_text()}")
    assert outcome(server.ssh(host_keys=HostKeys.ACCEPT_NEW)) == "in\n"
    assert stranger.known_hosts.read_text().startswith("|1|")
    assert outcome(server.ssh()) == "in\n"
    find = ("ssh-keygen", "-F", f"[127.0.0.1]:{server.port}", "-f", str(stranger.known_hosts))
    assert subprocess.run(find, check=False, capture_output=True).returncode == 0


@pytest.mark.parametrize("mode", [HostKeys.VERIFY, HostKeys.ACCEPT_NEW])
def test_a_changed_host_key_is_always_refused(stranger: Client, server: Server, mode: HostKeys) -> None:
    """The line that says otherwise is named, and what to put in its place."""
    make_key(stranger.folder / "other")
    kind, text, _ = (stranger.folder / "other.pub").read_text().split()
    written = f"# comment\n[127.0.0.1]:{server.port} {kind} {text}\n"
    stranger.known_hosts.write_text(written)
    said = outcome(server.ssh(host_keys=mode))
    assert "has changed: now ssh-ed25519 SHA256:" in said
    assert f"{stranger.known_hosts}:2 has ssh-ed25519 SHA256:" in said
    assert said.endswith(server.known_line)
    assert stranger.known_hosts.read_text() == written


def test_a_revoked_host_key_is_refused_although_it_is_known(stranger: Client, server: Server) -> None:
    """Whatever other lines say."""
    stranger.known_hosts.write_text(f"{server.known_line}\n@revoked {server.known_line}\n")
    assert f"is revoked by {stranger.known_hosts}:2" in outcome(server.ssh(host_keys=HostKeys.ACCEPT_NEW))


def test_an_authority_of_host_keys_is_named_as_what_is_not_looked_at(stranger: Client, server: Server) -> None:
    """OpenSSH might let us in; we say why we do not."""
    stranger.known_hosts.write_text(f"@cert-authority * {' '.join(server.host_key)}\n")
    said = outcome(server.ssh())
    assert "is not known" in said
    assert f"(the @cert-authority in {stranger.known_hosts}:1 is not looked at: certificates are not supported)" in said


def test_a_file_of_revoked_keys_is_not_passed_over(stranger: Client, server: Server) -> None:
    """OpenSSH would look into it, and we can't."""
    stranger.known_hosts.write_text(f"{server.known_line}\n")
    stranger.config.write_text(f"RevokedHostKeys {stranger.folder}/revoked\n{stranger.config.read_text()}")
    assert "box: RevokedHostKeys in OpenSSH's configuration of 127.0.0.1 is not supported" in outcome(server.ssh())


def test_a_file_that_cannot_take_a_new_host_key_is_named(stranger: Client, server: Server) -> None:
    """It is not blamed on the machine, and nobody is let in whose key is not written down."""
    stranger.known_hosts.mkdir()
    said = outcome(server.ssh(host_keys=HostKeys.ACCEPT_NEW))
    assert said.endswith(f"and it can't be written to {stranger.known_hosts} (Is a directory)")


def test_a_new_host_key_is_not_accepted_where_there_is_no_file_for_it(stranger: Client, server: Server) -> None:
    """The system's files are not ours to write."""
    system = stranger.folder / "system"
    stranger.config.write_text(f"UserKnownHostsFile none\nGlobalKnownHostsFile {system}\n{stranger.config.read_text()}")
    said = outcome(server.ssh(host_keys=HostKeys.ACCEPT_NEW))
    assert said.endswith("`host_keys: accept-new` needs a UserKnownHostsFile in OpenSSH's configuration")
    assert not system.exists()


def test_the_kind_of_host_key_that_is_known_is_asked_for(stranger: Client, server: Server, place: Path) -> None:
    """A server with several keys is known by any one of them."""
    subprocess.run(("ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", f"{place}/rsa"), check=True)
    with sshd(place / "two-keys", more=[f"HostKey {place}/rsa"]) as two:
        two.admit(Path(f"{stranger.key}.pub"))
        kind, text, *_ = (place / "rsa.pub").read_text().split()
        stranger.known_hosts.write_text(f"[127.0.0.1]:{two.port} {kind} {text}\n")
        assert outcome(two.ssh()) == "in\n"


@pytest.mark.parametrize("form", ["key", "fingerprint", "one of two"])
def test_a_pinned_host_key_is_believed_whatever_the_files_say(stranger: Client, server: Server, form: str) -> None:
    """The files know another key under that name, and are not written either."""
    kind, text = server.host_key
    make_key(stranger.folder / "other")
    other = " ".join((stranger.folder / "other.pub").read_text().split()[:2])
    stranger.known_hosts.write_text(f"[127.0.0.1]:{server.port} {other}\n")
    key = HostKey(type=kind, text=text)
    pinned = {"key": (key.written,), "fingerprint": (key.fingerprint,), "one of two": (other, key.written)}[form]
    assert outcome(server.ssh(host_keys=HostKeys.PINNED, pinned=pinned)) == "in\n"
    assert stranger.known_hosts.read_text() == f"[127.0.0.1]:{server.port} {other}\n"


def test_a_host_key_that_is_not_the_pinned_one_is_refused_with_the_line_to_write(
    client: Client, server: Server
) -> None:
    """Although known_hosts has it. With that line it is believed."""
    make_key(client.folder / "pinned")
    other = " ".join((client.folder / "pinned.pub").read_text().split()[:2])
    said = outcome(server.ssh(host_keys=HostKeys.PINNED, pinned=(other,)))
    assert (
        f"the host key of 127.0.0.1 port {server.port} is not the one that the stack file has: it is ssh-ed25519"
        in said
    )
    assert said.endswith(f"write for this host: `host_key: {' '.join(server.host_key)}`")
    assert "is not the one" in outcome(server.ssh(host_keys=HostKeys.PINNED))


def test_the_kind_of_host_key_that_is_pinned_is_asked_for(stranger: Client, server: Server, place: Path) -> None:
    """A server with several keys is known by any one of them."""
    subprocess.run(("ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", f"{place}/pinned-rsa"), check=True)
    with sshd(place / "two-pinned", more=[f"HostKey {place}/pinned-rsa"]) as two:
        two.admit(Path(f"{stranger.key}.pub"))
        pinned = " ".join((place / "pinned-rsa.pub").read_text().split()[:2])
        assert outcome(two.ssh(host_keys=HostKeys.PINNED, pinned=(pinned,))) == "in\n"


def test_a_jump_host_is_looked_up_where_keys_are_known(stranger: Client, server: Server, place: Path) -> None:
    """The pinned key is that of the stack's machine alone."""
    with sshd(place / "bastion-of-pinned") as bastion:
        bastion.admit(Path(f"{stranger.key}.pub"))
        jump = f"{server.ssh().user}@127.0.0.1:{bastion.port}"
        ssh = server.ssh(jump=jump, host_keys=HostKeys.PINNED, pinned=(" ".join(server.host_key),))
        assert "box: jump host 127.0.0.1: the host key of" in outcome(ssh)
        stranger.known_hosts.write_text(bastion.known_line + "\n")
        assert outcome(ssh) == "in\n"


# Keys of people


def test_a_key_that_is_not_admitted_is_named(client: Client, server: Server) -> None:
    """With its fingerprint, and without anything of the key itself."""
    make_key(client.folder / "wrong")
    said = outcome(server.ssh(key_file=str(client.folder / "wrong")))
    assert f"does not let {server.ssh().user} in; it refused {client.folder}/wrong (SHA256:" in said
    assert "is the user right" in said
    assert "PRIVATE KEY" not in said


def test_a_user_that_does_not_exist_is_named(client: Client, server: Server) -> None:
    """sshd does not say which of user and key is wrong, so both are."""
    assert "does not let nobody-here in; it refused" in outcome(server.ssh(user="nobody-here"))


def test_a_key_file_that_is_missing_is_named(client: Client, server: Server) -> None:
    """Before anything is dialled."""
    assert outcome(server.ssh(key_file="~/no/such/key")) == (
        f"box: there is no key file {Path.home()}/no/such/key on this machine"
    )


def test_a_key_with_a_passphrase_needs_an_agent(
    client: Client, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without one it is said how to use it; with one it works. No passphrase is ever asked for."""
    locked = client.folder / "locked"
    make_key(locked, "-N", "a passphrase")
    server.admit(Path(f"{locked}.pub"))
    assert f"{locked} has a passphrase; give it to an agent with `ssh-add {locked}`" in outcome(
        server.ssh(key_file=str(locked))
    )
    with agent(client.folder) as socket_path:
        give(socket_path, locked, "a passphrase")
        config = client.folder / "with-agent"
        config.write_text(f"IdentityAgent {socket_path}\n{client.config.read_text()}")
        monkeypatch.setenv(CONFIG_VARIABLE, str(config))
        assert outcome(server.ssh(key_file=str(locked))) == "in\n"


def test_an_agent_that_does_not_sign_is_named(client: Client, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here nobody confirms the use of its key; sshd has nothing to do with it."""
    monkeypatch.setenv("SSH_ASKPASS", "false")
    with agent(client.folder) as socket_path:
        give(socket_path, client.key, "", "-c")
        config = client.folder / "with-agent-that-asks"
        config.write_text(f"IdentityAgent {socket_path}\n{client.config.read_text()}")
        monkeypatch.setenv(CONFIG_VARIABLE, str(config))
        assert "the agent's key id_ed25519 did not sign; is the agent locked" in outcome(server.ssh())


def test_too_many_keys_are_told_apart_from_wrong_ones(client: Client, place: Path) -> None:
    """sshd hangs up; the way out is `key_file`."""
    with sshd(place / "strict", more=["MaxAuthTries 1"]) as strict:
        client.known_hosts.write_text(f"{client.known_hosts.read_text()}{strict.known_line}\n")
        assert "does not let" in outcome(strict.ssh())


# The way there


def test_a_port_where_nobody_listens_is_named(client: Client) -> None:
    with refusing_port() as port:
        assert outcome(Ssh(address="127.0.0.1", port=port)) == (
            f"box: 127.0.0.1 port {port} refuses connections; does sshd run there, on port {port}?"
        )


def test_a_name_that_nobody_has_is_named(client: Client) -> None:
    assert "box: there is no machine called nowhere.invalid" in outcome(Ssh(address="nowhere.invalid"))


def test_silence_has_an_end(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who accepts and says nothing is not waited for longer than a login may take."""
    monkeypatch.setattr(links, "CONNECT_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert outcome(Ssh(address="127.0.0.1", port=port)) == (
            f"box: 127.0.0.1 port {port} does not answer within 0.5 s"
        )


def test_who_does_not_speak_ssh_is_told_from_a_machine_that_is_down(client: Client, server: Server) -> None:
    """Another service on that port."""
    with web_server() as port:
        assert f"box: 127.0.0.1 port {port} does not speak SSH with us" in outcome(Ssh(address="127.0.0.1", port=port))


def test_openssh_s_configuration_says_the_rest(client: Client, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """An alias with port, user and a jump host of its own, all from the person's file."""
    config = client.folder / "with-jump"
    user = server.ssh().user
    config.write_text(
        f"Host gpu\n  HostName 127.0.0.1\n  Port {server.port}\n  User {user}\n  ProxyJump bastion\n"
        f"Host bastion\n  HostName 127.0.0.1\n  Port {server.port}\n  User {user}\n{client.config.read_text()}"
    )
    monkeypatch.setenv(CONFIG_VARIABLE, str(config))
    assert outcome(Ssh(address="gpu"), "set -- $SSH_CONNECTION; echo $4") == f"{server.port}\n"


def by_command(client: Client, monkeypatch: pytest.MonkeyPatch, command: str, *more: str) -> None:
    """Machines are reached by that command, which writes down its group in the folder's `group`."""
    config = client.folder / "by-command"
    script = client.folder / "proxy"
    script.write_text(f"#!/bin/sh\necho $$ >>{client.folder}/group\n{command}\n")
    script.chmod(0o755)
    (client.folder / "group").write_text("")
    lines = "\n".join(("Host 127.0.0.1", f"  ProxyCommand {script} %h %p %r", *more, client.config.read_text()))
    config.write_text(lines)
    monkeypatch.setenv(CONFIG_VARIABLE, str(config))


def leaves_nothing(client: Client) -> bool:
    """Whether nothing of the command runs any more, nor of what it started."""
    groups = {int(line) for line in (client.folder / "group").read_text().split()}
    return not any(_group_of(int(path.name)) in groups for path in Path("/proc").glob("[0-9]*"))


def _group_of(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None


def until(true: Callable[[], bool]) -> bool:
    """Whether that becomes so."""
    by = time.monotonic() + SOON_S
    while not true() and time.monotonic() < by:
        time.sleep(0.05)
    return true()


def test_a_proxy_command_leads_to_the_machine(client: Client, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scripts, their stdin, and large answers go through it; it ends with the connection, with what it started."""
    by_command(client, monkeypatch, 'socat - "TCP4:$1:$2"; sleep 1000')
    connector = SshConnector("box", server.ssh())
    try:
        said = connector.run("cat; head -c 3000000 /dev/zero | wc -c", stdin=[b"in\n"], deadline_s=SOON_S).stdout
        assert said == "in\n3000000\n"
        assert not leaves_nothing(client), "twin: it is there while it is needed"
    finally:
        connector.close()
    assert until(lambda: leaves_nothing(client))


def test_many_scripts_share_one_proxy_command(client: Client, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    by_command(client, monkeypatch, 'exec socat - "TCP4:$1:$2"')
    connector = SshConnector("box", server.ssh())
    try:
        assert connector.run("echo in", deadline_s=SOON_S).stdout == "in\n"
        with ThreadPoolExecutor(4) as pool:
            said = list(pool.map(lambda n: connector.run(f"echo {n}", deadline_s=SOON_S).stdout, range(8)))
    finally:
        connector.close()
    assert said == [f"{number}\n" for number in range(8)]
    assert len((client.folder / "group").read_text().split()) == 1


def test_a_jump_host_may_be_reached_by_a_command(
    client: Client, server: Server, monkeypatch: pytest.MonkeyPatch, place: Path
) -> None:
    """The machine behind it is reached through the jump host, and the command is for that alone."""
    with sshd(place / "proxied") as bastion:
        bastion.admit(Path(f"{client.key}.pub"))
        known = client.known_hosts.read_text()
        client.known_hosts.write_text(f"{known}{bastion.known_line}\n")
        by_command(client, monkeypatch, 'exec socat - "TCP4:$1:$2"')
        assert outcome(server.ssh(jump=f"{server.ssh().user}@127.0.0.1:{bastion.port}")) == "in\n"
        assert len((client.folder / "group").read_text().split()) == 1
        client.known_hosts.write_text(known)


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("echo first >&2; echo no way to $1 >&2; exit 3", "ended with exit code 3: no way to 127.0.0.1"),
        ("exit 0", "ended with exit code 0"),
        ("kill -KILL $$", "ended by signal 9"),
        ("exec nonsense-7f3a", "ended with exit code 127: "),
        ("sleep 1000 <&- >&- & echo gone >&2; exit 1", "ended with exit code 1: gone"),
    ],
)
def test_a_proxy_command_that_fails_is_told_in_its_words(
    client: Client, server: Server, monkeypatch: pytest.MonkeyPatch, command: str, told: str
) -> None:
    """How it ended, and the last thing it said; what it started ends, too."""
    by_command(client, monkeypatch, command)
    said = outcome(server.ssh())
    assert said.startswith(f"box: the ProxyCommand for 127.0.0.1 port {server.port} {told}"), said
    assert until(lambda: leaves_nothing(client))


def test_a_proxy_command_that_is_silent_is_not_waited_for(
    client: Client, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does it outlive that, although it does not listen to a request to end."""
    by_command(client, monkeypatch, "trap '' TERM; sleep 1000; sleep 1000")
    monkeypatch.setattr(links, "CONNECT_S", 2)
    assert outcome(server.ssh()) == f"box: 127.0.0.1 port {server.port} does not answer within 2 s"
    assert until(lambda: leaves_nothing(client))


def test_a_machine_behind_a_proxy_command_is_no_less_checked(
    stranger: Client, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its host key, under its own name."""
    by_command(stranger, monkeypatch, 'exec socat - "TCP4:$1:$2"')
    assert "box: the host key of" in outcome(server.ssh())
    assert until(lambda: leaves_nothing(stranger))


def test_a_proxy_command_that_hands_over_a_socket_is_refused(
    client: Client, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_command(client, monkeypatch, "exit 0", "  ProxyUseFdpass yes")
    assert outcome(server.ssh()) == "box: ProxyUseFdpass in OpenSSH's configuration of 127.0.0.1 is not supported"


def test_a_jump_host_is_never_believed_new(stranger: Client, server: Server, place: Path) -> None:
    """Also not with `accept-new`: that is about the machine of the stack."""
    with sshd(place / "bastion") as bastion:
        bastion.admit(Path(f"{stranger.key}.pub"))
        ssh = server.ssh(jump=f"{server.ssh().user}@127.0.0.1:{bastion.port}", host_keys=HostKeys.ACCEPT_NEW)
        assert "box: jump host 127.0.0.1: the host key of" in outcome(ssh)
        stranger.known_hosts.write_text(bastion.known_line + "\n")
        assert outcome(ssh) == "in\n"
    assert stranger.known_hosts.read_text().splitlines() == [bastion.known_line, server.known_line]


def test_a_broken_configuration_is_told_in_openssh_s_words(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = client.folder / "broken"
    broken.write_text("Port many\n")
    monkeypatch.setenv(CONFIG_VARIABLE, str(broken))
    assert "box: OpenSSH's configuration can't be used: " in outcome(Ssh(address="gpu"))


# The shell


@pytest.mark.parametrize("prints", ["echo welcome", "printf 'no line end'", "echo to stderr >&2"])
def test_a_profile_that_prints_is_not_taken_for_an_answer(client: Client, server: Server, prints: str) -> None:
    """What a login shell says before our script is dropped."""
    key = key_with(server, client, f"prints-{len(prints)}", f'command="{prints}; eval \\"$SSH_ORIGINAL_COMMAND\\""')
    assert outcome(server.ssh(key_file=key)) == "in\n"


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("echo only this is allowed", 'it said "only this is allowed" and ended (code 0)'),
        ("echo This account is currently not available. >&2; exit 1", 'it said "This account is currently not'),
        ("exit 3", "it said nothing and ended (code 3)"),
    ],
)
def test_a_login_that_runs_no_commands_is_one_sentence(client: Client, server: Server, command: str, told: str) -> None:
    """A forced command, a locked account, a shell that just ends."""
    key = key_with(server, client, f"forced-{len(command)}", f'command="{command}"')
    said = outcome(server.ssh(key_file=key))
    assert f"box: no shell started: {told}" in said
    assert said.endswith("needs a login shell that runs commands, and a key without `command=`")
    assert "\n" not in said


@pytest.mark.parametrize("shell", ["dash", "bash", "zsh", "fish", "ksh", "csh", "tcsh"])
def test_the_login_shell_may_be_any(client: Client, server: Server, shell: str) -> None:
    """Those that are installed here."""
    program = shutil.which(shell)
    if program is None:
        return
    key = key_with(server, client, f"shell-{shell}", f'command="{program} -c \\"$SSH_ORIGINAL_COMMAND\\""')
    assert outcome(server.ssh(key_file=key)) == "in\n"


# sudo


@pytest.fixture(scope="module")
def sudo(place: Path) -> Iterator[Path]:
    """A folder that comes first on the machine's PATH, for a `sudo` of the test's own."""
    folder = place / "sudo-bin"
    folder.mkdir()
    return folder


def test_everything_is_done_through_sudo(client: Client, place: Path, sudo: Path) -> None:
    """Scripts, and the way to unix sockets; the environment is what sudo leaves of it."""
    write_program(sudo / "sudo", 'echo called >>"${0%/*}/calls"; [ "$1" = -n ] && shift; exec env -u MINE "$@"')
    path = f"PATH={sudo}:{os.environ['PATH']}"
    with sshd(place / "sudo-sshd", environment=[path, "MINE=1"]) as server:
        server.admit(Path(f"{client.key}.pub"))
        client.known_hosts.write_text(f"{client.known_hosts.read_text()}{server.known_line}\n")
        assert outcome(server.ssh(), 'echo "${MINE-gone}"') == "1\n"
        assert outcome(server.ssh(become=Become.SUDO), 'echo "${MINE-gone}"') == "gone\n"
        assert (sudo / "calls").read_text() == "called\n"
        write_program(sudo / "sudo", "echo 'sudo: a password is required' >&2; exit 1")
        said = outcome(server.ssh(become=Become.SUDO))
        assert said.startswith('box: no shell started: it said "sudo: a password is required" and ended (code 1)')
        assert "NOPASSWD" in said


PASSWORD = Secret("c0ffee 'of $(the) \"house\\ ")
ASKING = """\
[ "$1 $2" = "-S -p" ] || exit 9
echo "We trust you have received the usual lecture." >&2
printf %s "$3" >&2
IFS= read -r password
if [ "$password" != "$(cat "${0%/*}/password")" ]; then
    printf 'Sorry, try again.\\n%s' "$3" >&2
    cat >"${0%/*}/tries"
    echo end >>"${0%/*}/tries"
    exit 1
fi
shift 3
exec "$@"
"""


@pytest.fixture
def asking(client: Client, place: Path, sudo: Path) -> Iterator[Ssh]:
    """A machine whose sudo asks for a password, and writes down what follows a wrong one.

    It stands in for the real one, which asks nobody who is root; tests/hosts has that. It does not prove that the real
    one reads no more than a line, and asks by the words it is given.
    """
    write_program(sudo / "sudo", ASKING)
    (sudo / "password").write_text(PASSWORD.reveal())
    (sudo / "tries").unlink(missing_ok=True)
    numbers = itertools.count()
    folder = next(path for n in numbers if not (path := place / f"asking-{n}").exists())
    with sshd(folder, environment=[f"PATH={sudo}:{os.environ['PATH']}"]) as server:
        server.admit(Path(f"{client.key}.pub"))
        client.known_hosts.write_text(f"{client.known_hosts.read_text()}{server.known_line}\n")
        yield server.ssh(become=Become.SUDO, sudo_password="ops-sudo")


def test_sudo_is_given_its_password_and_the_script_its_own_stdin(asking: Ssh) -> None:
    """Not a byte of one gets into the other."""
    assert outcome(asking, "cat", password=PASSWORD, stdin=[b"first\n", b"second"]) == "first\nsecond"


def test_sudo_that_asks_for_nothing_gets_no_password(asking: Ssh, sudo: Path) -> None:
    """It was told not to ask, or remembers: the password is not sent, and so is no part of the script's stdin."""
    write_program(sudo / "sudo", 'shift 3; exec "$@"')
    assert outcome(asking, "cat", password=PASSWORD, stdin=[b"first"]) == "first"


def test_a_wrong_password_is_one_sentence_and_one_try(asking: Ssh, sudo: Path) -> None:
    """Nothing of the script is taken for a second try."""
    said = outcome(asking, "echo script", password=Secret("c0ffee-wrong"))
    assert said.startswith("box: sudo does not take the password that the secret 'ops-sudo' has; `become: sudo` needs")
    assert "c0ffee" not in said
    assert read_until_end(sudo / "tries") == "end\n"


def test_a_wrong_password_is_not_sent_again(asking: Ssh, sudo: Path) -> None:
    """A machine has many parts, whose scripts come at once: a try for each would lock the user out."""
    write_program(sudo / "sudo", f'echo started >>"${{0%/*}}/starts"; {ASKING}')
    connector = SshConnector("box", asking, Secret("c0ffee-wrong"))
    with contextlib.closing(connector), ThreadPoolExecutor(5) as pool:
        each = [pool.submit(connector.run, "true", deadline_s=SOON_S) for _ in range(5)]
        said = {str(one.exception(SOON_S)).partition(";")[0] for one in each}
    assert said == {"box: sudo does not take the password that the secret 'ops-sudo' has"}
    assert (sudo / "starts").read_text() == "started\n"


@pytest.mark.parametrize("wrong", ["", "\n", "two\nlines"])
def test_what_can_be_no_password_is_refused_before_it_is_sent(asking: Ssh, sudo: Path, wrong: str) -> None:
    """A second line would be read as the script."""
    write_program(sudo / "sudo", 'printf %s "$3" >&2; cd "${0%/*}"; cat >tries; echo end >>tries')
    assert "is no password: it is empty or has several lines" in outcome(asking, password=Secret(wrong))
    assert read_until_end(sudo / "tries") == "end\n"


def test_who_may_not_use_sudo_is_told_in_its_words(asking: Ssh, sudo: Path) -> None:
    """Its last line, and not the lecture."""
    write_program(sudo / "sudo", f'{ASKING.rpartition("shift")[0]}echo "you are not in the sudoers file" >&2; exit 1')
    said = outcome(asking, password=PASSWORD)
    assert f'box: sudo did not let {asking.user} in: it said "you are not in the sudoers file"' in said


def test_sudo_that_asks_for_something_else_is_not_waited_for(
    asking: Ssh, sudo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as a code of the day. It gets no password."""
    monkeypatch.setattr(sudo_of_ssh, "LET_IN_S", 5.0)
    write_program(sudo / "sudo", 'printf "Verification code: " >&2; cd "${0%/*}"; cat >tries; echo end >>tries')
    said = outcome(asking, password=PASSWORD)
    assert 'sudo asks for something else than a password: it said "Verification code:"' in said
    assert read_until_end(sudo / "tries") == "end\n"


def test_no_key_and_no_script_is_in_an_error_or_a_log(client: Client, server: Server) -> None:
    """What is sent is seen by nobody but the machine."""
    outcome(server.ssh(), "echo c0ffee-secret")
    assert "c0ffee" not in server.log


@contextlib.contextmanager
def agent(folder: Path) -> Iterator[Path]:
    """A running ssh-agent's socket."""
    path = folder / "agent"
    with subprocess.Popen(("ssh-agent", "-D", "-a", str(path)), stdout=subprocess.DEVNULL) as process:
        try:
            until = time.monotonic() + SOON_S
            while not path.exists():
                assert time.monotonic() < until
                time.sleep(0.01)
            yield path
        finally:
            process.terminate()


def give(socket_path: Path, key: Path, passphrase: str, *options: str) -> None:
    """Add a key to an agent, as a person would type it."""
    write_program(key.parent / "askpass", f"echo '{passphrase}'")
    more = {"SSH_AUTH_SOCK": str(socket_path), "SSH_ASKPASS": f"{key.parent}/askpass", "SSH_ASKPASS_REQUIRE": "force"}
    subprocess.run(
        ("ssh-add", "-q", *options, str(key)), env={**os.environ, **more}, stdin=subprocess.DEVNULL, check=True
    )


@contextlib.contextmanager
def web_server() -> Iterator[int]:
    """The port of somebody who speaks HTTP."""
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def read_until_end(path: Path) -> str:
    """What is in a file, once its last line is there."""
    until = time.monotonic() + SOON_S
    while not path.exists() or not path.read_text().endswith("end\n"):
        assert time.monotonic() < until
        time.sleep(0.01)
    return path.read_text()


def write_program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
