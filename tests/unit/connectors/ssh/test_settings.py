"""What `ssh -G` prints, read."""

from __future__ import annotations

from pathlib import Path

import pytest

from enginehouse.connectors.ssh.settings import Hop, parse
from enginehouse.errors import Unreachable

HOME = Path("/home/ada")
PRINTED = """\
host gpu
user ops
hostname GPU-1.example
port 2222
identitiesonly no
hashknownhosts yes
identityfile ~/.ssh/id_rsa
identityfile /keys/%r@%h
globalknownhostsfile /etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2
userknownhostsfile ~/.ssh/known_hosts %d/more
proxyjump ops@bastion:22
"""
"""OpenSSH 9.2, with the lines that are not read left out."""


def hop(*changes: tuple[str, str], **environment: str) -> Hop:
    text = PRINTED
    for old, new in changes:
        text = text.replace(old, new)
    return parse(text, environment=environment, home=HOME)


def test_everything_that_counts_is_read() -> None:
    """Home folder and tokens are filled in; the person's files of known hosts come first."""
    assert hop(SSH_AUTH_SOCK="/run/agent") == Hop(
        hostname="GPU-1.example",
        port=2222,
        user="ops",
        identity_files=(HOME / ".ssh/id_rsa", Path("/keys/ops@GPU-1.example")),
        identities_only=False,
        agent="/run/agent",
        known_hosts=(
            HOME / ".ssh/known_hosts",
            HOME / "more",
            Path("/etc/ssh/ssh_known_hosts"),
            Path("/etc/ssh/ssh_known_hosts2"),
        ),
        new_hosts=HOME / ".ssh/known_hosts",
        key_name="[gpu-1.example]:2222",
        hash_names=True,
        jump="ops@bastion:22",
    )


def test_the_usual_port_is_no_part_of_the_key_s_name() -> None:
    """And an alias for it stands as it is."""
    assert hop(("port 2222", "port 22")).key_name == "gpu-1.example"
    assert hop(("host gpu", "host gpu\nhostkeyalias rack")).key_name == "rack"


def test_the_agent_is_the_one_that_is_configured() -> None:
    """None, one at a path, one that a variable names, or that of the environment."""
    lines = {"none": None, "~/agent": "/home/ada/agent", "$MINE": "/run/mine", "SSH_AUTH_SOCK": "/run/agent"}
    found = {
        line: hop(("host gpu", f"host gpu\nidentityagent {line}"), SSH_AUTH_SOCK="/run/agent", MINE="/run/mine").agent
        for line in lines
    }
    assert found == lines
    assert hop().agent is None


def test_a_new_key_is_never_written_to_a_file_of_the_system() -> None:
    """With no file of the person's own there is none for it."""
    found = hop(("userknownhostsfile ~/.ssh/known_hosts %d/more", "userknownhostsfile none"))
    assert (found.known_hosts[0], found.new_hosts) == (Path("/etc/ssh/ssh_known_hosts"), None)


def test_a_file_of_revoked_keys_is_seen() -> None:
    assert hop(("host gpu", "host gpu\nrevokedhostkeys /etc/ssh/revoked")).revoked == "/etc/ssh/revoked"
    assert hop(("host gpu", "host gpu\nrevokedhostkeys none")).revoked is None


def test_what_is_none_is_not_there() -> None:
    """OpenSSH prints it both ways."""
    assert hop(("proxyjump ops@bastion:22", "proxyjump none\nproxycommand none")).jump is None


def test_a_proxy_command_is_filled_in_as_openssh_does() -> None:
    """Signs of a shell stay: the command is the person's own."""
    lines = r"""proxycommand nc -x "a b" %h %p | tee '%r' %n %k %% %d"""
    command = hop(("proxyjump ops@bastion:22", lines)).proxy_command
    assert command == """nc -x "a b" GPU-1.example 2222 | tee 'ops' gpu gpu % /home/ada"""
    assert hop(("proxyjump ops@bastion:22", "proxycommand none")).proxy_command is None


@pytest.mark.parametrize("name", ["$(id)", "a b", "-oX=y", "a;b", "`id`", "a&b", "'", "\\", "a\tb"])
def test_a_name_that_a_shell_would_read_is_refused(name: str) -> None:
    """Names come from the stack file, maybe from a list of machines that is made elsewhere."""
    for line in ("user ops", "hostname GPU-1.example"):
        odd = (line, f"{line.partition(' ')[0]} {name}"), ("proxyjump ops@bastion:22", "proxycommand nc %h %p %r")
        with pytest.raises(Unreachable, match="can't be a word of OpenSSH's ProxyCommand"):
            hop(*odd)
