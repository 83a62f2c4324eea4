"""What every connector promises. A connector's tests subclass this and give fixtures `connector` and `open_another`.

Scripts run for real. It opens loopback and unix sockets, unlike other unit tests: dialling them is what it is about.
"""

from __future__ import annotations

import hashlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from enginehouse.connectors.base import Connector
from enginehouse.connectors.output import KEPT_BYTES
from enginehouse.errors import Cancelled, CommandFailed, DeadlineExceeded, Unreachable
from tests.ports import refusing_port

SOON_S = 60.0
"""Deadline of what takes milliseconds; only a broken connector ever waits for it."""

MIB = 2**20


class ConnectorConformance:
    """The promises of `connectors.base`, one test each."""

    # run: the script

    def test_a_script_gives_its_code_and_both_streams(self, connector: Connector) -> None:
        """A non-zero code is a result, not an error."""
        result = connector.run("echo out; echo err >&2; exit 7", deadline_s=SOON_S)
        assert (result.returncode, result.stdout, result.stderr) == (7, "out\n", "err\n")

    @pytest.mark.parametrize("script", ["", "\n", "# nothing", "#!/bin/sh\n: # with a comment at its end"])
    def test_a_script_may_do_nothing(self, connector: Connector, script: str) -> None:
        """No text is too empty to be a script."""
        assert connector.run(script, deadline_s=SOON_S).returncode == 0

    def test_a_script_is_read_whole_before_it_runs(self, connector: Connector) -> None:
        """`exit` in the middle, functions, here-documents and traps work as in a script file."""
        script = "trap 'echo bye' EXIT\nf() { cat <<END\nin $1\nEND\n}\nf here\nset -e\nfalse\necho never\n"
        result = connector.run(script, deadline_s=SOON_S)
        assert (result.returncode, result.stdout) == (1, "in here\nbye\n")

    def test_a_syntax_error_runs_nothing(self, connector: Connector) -> None:
        """A script that does not parse ends with a non-zero code before its first command."""
        result = connector.run("echo first\nif true; then", deadline_s=SOON_S)
        assert result.stdout == ""
        assert result.returncode != 0

    def test_a_script_of_a_megabyte_runs(self, connector: Connector) -> None:
        """No limit on arguments applies to a script."""
        result = connector.run(f"# {'x' * MIB}\necho done", deadline_s=SOON_S)
        assert result.stdout == "done\n"

    def test_no_script_text_is_in_the_process_list(self, connector: Connector) -> None:
        """Neither the shell nor a child shows a word of the script while it runs."""
        result = connector.run("cat /proc/[0-9]*/cmdline # c0ffee-secret", deadline_s=SOON_S)
        assert "iflag=fullblock" in result.stdout, "the list does show the command that reads the script"
        assert "c0ffee" not in result.stdout

    def test_umask_and_locale_do_not_depend_on_the_caller(self, connector: Connector) -> None:
        """What a script makes has the modes it asks for, and programs speak English."""
        result = connector.run('umask; echo "$LC_ALL"', deadline_s=SOON_S)
        assert result.stdout.splitlines() == ["0022", "C"]

    # run: stdin

    @pytest.mark.parametrize("data", [b"", b"\0", b"exit 1\n", b"\xff\xfe\0\r\n", bytes(range(256)) * 300])
    def test_stdin_is_exactly_the_given_bytes(self, connector: Connector, data: bytes) -> None:
        """Whatever the script's length, its first reader gets the first byte after it, and the last reads the end."""
        for script in ("sha256sum", "# a longer one\nsha256sum"):
            result = connector.run(script, stdin=[data[:1], b"", data[1:]], deadline_s=SOON_S)
            assert result.stdout.split()[0] == hashlib.sha256(data).hexdigest()

    def test_stdin_is_shared_by_the_commands_of_a_script(self, connector: Connector) -> None:
        """The shell reads nothing ahead of its commands."""
        result = connector.run(
            "read -r one; dd bs=4 count=1 iflag=fullblock status=none; echo; cat",
            stdin=[b"first\nsecothird"],
            deadline_s=SOON_S,
        )
        assert result.stdout == "seco\nthird"

    def test_a_hundred_megabytes_go_in_and_are_not_kept(self, connector: Connector) -> None:
        """Chunks are taken one at a time."""
        alive: list[int] = []

        class Chunk(bytes):
            def __del__(self) -> None:
                alive.pop()

        def chunks() -> Iterator[bytes]:
            for number in range(100):
                alive.append(number)
                assert len(alive) <= 3
                yield Chunk(MIB)

        result = connector.run("wc -c", stdin=chunks(), deadline_s=60)
        assert int(result.stdout) == 100 * MIB

    def test_a_script_that_does_not_read_slows_its_feeder(self, connector: Connector) -> None:
        """No more is taken from `stdin` than the way to the machine holds."""
        taken = 0

        def chunks() -> Iterator[bytes]:
            nonlocal taken
            for _ in range(100):
                taken += 1
                yield bytes(MIB)

        connector.run("sleep 0.3", stdin=chunks(), deadline_s=SOON_S)
        assert taken <= 8

    def test_a_script_may_end_before_its_stdin(self, connector: Connector) -> None:
        """Input that nobody wants is not an error."""
        result = connector.run("head -c 3; exit 5", stdin=(b"abcd" * MIB for _ in range(20)), deadline_s=SOON_S)
        assert (result.returncode, result.stdout) == (5, "abc")

    def test_an_error_of_stdin_ends_the_script(self, connector: Connector, tmp_path: Path) -> None:
        """What can't be sent whole must not be taken for whole."""

        def chunks() -> Iterator[bytes]:
            yield b"half"
            raise OSError("the file went away")

        with pytest.raises(OSError, match="the file went away"):
            connector.run(f"cat && touch {tmp_path}/whole", stdin=chunks(), deadline_s=SOON_S)
        assert not (tmp_path / "whole").exists()

    # run: output

    def test_all_streams_move_at_once(self, connector: Connector) -> None:
        """Much on every stream is no dead-lock."""
        script = "head -c 3000000 /dev/zero >&2 & head -c 3000000 /dev/zero; wc -c; wait"
        result = connector.run(script, stdin=(bytes(MIB) for _ in range(5)), deadline_s=SOON_S)
        assert len(result.stderr) == 3_000_000
        assert result.stdout.strip("\0") == f"{5 * MIB}\n"

    def test_of_endless_output_the_end_is_kept(self, connector: Connector) -> None:
        """The rest is dropped, and a first line says how much that was."""
        result = connector.run("head -c 20000000 /dev/zero; echo; echo end", deadline_s=SOON_S)
        note, rest = result.stdout.split("\n", 1)
        assert note == f"[the first {20_000_005 - KEPT_BYTES} bytes are left out]"
        assert rest.endswith("\0\nend\n")
        assert len(rest) == KEPT_BYTES

    def test_output_that_is_no_text_is_decoded_with_replacement(self, connector: Connector) -> None:
        """NUL stays, what is not UTF-8 is replaced."""
        result = connector.run(r"printf 'a\000b\377c'; printf '\303' >&2", deadline_s=SOON_S)
        assert (result.stdout, result.stderr) == ("a\0b\ufffdc", "\ufffd")

    def test_lines_are_handed_on_as_they_come(self, connector: Connector, tmp_path: Path) -> None:
        """The script goes on only after its first line was heard here."""
        heard: list[str] = []

        def hear(line: str) -> None:
            heard.append(line)
            (tmp_path / "heard").touch()

        script = f"echo one; until [ -e {tmp_path}/heard ]; do sleep 0.01; done; printf 'two\\n\\nlast'; echo no >&2"
        result = connector.run(script, deadline_s=SOON_S, on_line=hear)
        assert heard == ["one", "two", "", "last"]
        assert result.stdout == "one\ntwo\n\nlast"

    def test_a_line_without_end_comes_in_pieces(self, connector: Connector) -> None:
        """Waiting for its newline would take all memory."""
        heard: list[str] = []
        connector.run("head -c 10000000 /dev/zero", deadline_s=SOON_S, on_line=heard.append)
        assert len(heard) > 10
        assert sum(map(len, heard)) == 10_000_000

    def test_an_error_of_the_listener_ends_the_script(self, connector: Connector, tmp_path: Path) -> None:
        """That is how a listener cancels."""

        def hear(line: str) -> None:
            raise Cancelled("enough")

        with pytest.raises(Cancelled, match="enough"):
            connector.run(f"echo $$; sleep 0.2; sleep 60; touch {tmp_path}/done", deadline_s=SOON_S, on_line=hear)
        assert not (tmp_path / "done").exists()

    def test_a_daemon_does_not_hold_its_script(self, connector: Connector) -> None:
        """A script has ended when its shell has, even if something it started still holds its streams."""
        result = connector.run("setsid sleep 1000 & echo $!", deadline_s=SOON_S)
        connector.run(f"kill {result.stdout}", deadline_s=SOON_S).check("end the daemon")

    # run: its end

    @pytest.mark.parametrize("ignore", ["", "trap '' TERM; "], ids=["polite", "deaf"])
    def test_a_deadline_ends_grandchildren_too(
        self, connector: Connector, open_another: Callable[[], Connector], ignore: str
    ) -> None:
        """Nothing of the script is left, not even what ignores SIGTERM, and the last lines are told."""
        script = f"{ignore}sh -c 'sleep 1000 & echo $!; wait'; echo never"
        heard: list[str] = []
        for deadline_s in growing():
            with pytest.raises(DeadlineExceeded, match=f"took longer than {deadline_s:g} s") as caught:
                connector.run(script, deadline_s=deadline_s, on_line=heard.append)
            if heard:
                break
        assert caught.value.tail == tuple(heard)
        assert_ends(open_another(), heard[0])

    def test_closing_ends_what_runs(self, connector: Connector, open_another: Callable[[], Connector]) -> None:
        """A call in another thread is cancelled with everything it started, and so is every later call."""
        heard: list[str] = []
        started = threading.Event()

        def hear(line: str) -> None:
            heard.append(line)
            started.set()

        with ThreadPoolExecutor() as pool:
            running = pool.submit(connector.run, "sleep 1000 & echo $!; wait", deadline_s=SOON_S, on_line=hear)
            assert started.wait(SOON_S)
            connector.close()
            with pytest.raises(Cancelled):
                running.result(SOON_S)
        assert_ends(open_another(), heard[0])
        with pytest.raises(Cancelled):
            connector.run("true", deadline_s=SOON_S)
        connector.close()

    def test_scripts_run_side_by_side(self, connector: Connector) -> None:
        """Each of many threads gets its own answer."""
        with ThreadPoolExecutor(16) as pool:
            results = list(
                pool.map(lambda n: connector.run(f"cat; echo {n}", stdin=[b"%d " % n], deadline_s=SOON_S), range(64))
            )
        assert [result.stdout for result in results] == [f"{n} {n}\n" for n in range(64)]

    # dial

    def test_a_tcp_address_is_dialled(self, connector: Connector) -> None:
        """The socket speaks to who listens there and has the deadline as its timeout."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            with connector.dial(f"tcp:127.0.0.1:{port}", deadline_s=SOON_S) as ours:
                assert_connected(server, ours)

    def test_a_unix_address_is_dialled(self, connector: Connector, tmp_path: Path) -> None:
        """Paths may hold colons."""
        path = f"{tmp_path}/a:b.sock"
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path)
            server.listen()
            with connector.dial(f"unix:{path}", deadline_s=SOON_S) as ours:
                assert_connected(server, ours)

    def test_an_address_where_nothing_listens_is_unreachable(self, connector: Connector, tmp_path: Path) -> None:
        """Refused, missing and impossible addresses are one error, which names the address."""
        with refusing_port() as port:
            for address in (f"tcp:127.0.0.1:{port}", f"unix:{tmp_path}/none.sock", f"unix:{tmp_path}/{'x' * 200}"):
                with pytest.raises(Unreachable, match="nothing answers at") as caught:
                    connector.dial(address, deadline_s=SOON_S)
                assert address in str(caught.value)

    # hold

    def test_a_held_script_lives_until_it_is_released(self, connector: Connector, tmp_path: Path) -> None:
        """It is told by a line on its stdin, and its end is waited for."""
        held = connector.hold(
            f"echo ready; read -r line && cat >{tmp_path}/rest && touch {tmp_path}/told", deadline_s=SOON_S
        )
        assert held.first_line == "ready"
        assert held.alive()
        held.release()
        assert not held.alive()
        assert (tmp_path / "told").exists()
        assert (tmp_path / "rest").read_bytes() == b""
        held.release()

    def test_a_held_script_may_print_much(self, connector: Connector, tmp_path: Path) -> None:
        """What it says after its first line never blocks it."""
        held = connector.hold(
            f"echo ready; head -c 5000000 /dev/zero; touch {tmp_path}/through; read -r line", deadline_s=SOON_S
        )
        eventually((tmp_path / "through").exists)
        held.release()

    def test_a_script_that_can_not_be_held_says_why(self, connector: Connector) -> None:
        """One that ends before its first line is a failed command with its code and its last words."""
        with pytest.raises(CommandFailed, match="ended at once: exit code 3") as caught:
            connector.hold("echo no room >&2; exit 3", deadline_s=SOON_S)
        assert caught.value.tail == ("no room",)

    def test_a_held_script_must_speak_in_time(
        self, connector: Connector, open_another: Callable[[], Connector], tmp_path: Path
    ) -> None:
        """One that prints nothing is ended at the deadline."""
        pid = tmp_path / "pid"
        for deadline_s in growing():
            with pytest.raises(DeadlineExceeded):
                connector.hold(f"echo $$ >{pid}; sleep 1000", deadline_s=deadline_s)
            if pid.exists() and pid.read_text():
                break
        assert_ends(open_another(), pid.read_text())

    def test_closing_releases_held_scripts(self, connector: Connector, tmp_path: Path) -> None:
        """They end in good order, as if their holder had let go."""
        held = connector.hold(f"echo ready; read -r line && touch {tmp_path}/told", deadline_s=SOON_S)
        connector.close()
        assert not held.alive()
        assert (tmp_path / "told").exists()


def growing() -> Iterator[float]:
    """Deadlines, until one is long enough for a script to get as far as it shall: the first one, unless all is busy."""
    yield from (0.5, 5.0, SOON_S)


def eventually(holds: Callable[[], bool]) -> None:
    """Wait until `holds` is true, at most `SOON_S`."""
    until = time.monotonic() + SOON_S
    while not holds():
        assert time.monotonic() < until, "it never came true"
        time.sleep(0.01)


def assert_ends(connector: Connector, pid: str) -> None:
    """The process is gone, or a zombie that its new parent has not looked at yet."""
    script = f"cut -d ' ' -f 3 /proc/{pid.strip()}/stat 2>/dev/null || echo gone"
    eventually(lambda: connector.run(script, deadline_s=SOON_S).stdout.strip() in {"gone", "Z", "X", ""})


def assert_connected(server: socket.socket, ours: socket.socket) -> None:
    theirs, _ = server.accept()
    with theirs:
        theirs.sendall(b"hello")
        assert (ours.gettimeout(), ours.recv(5)) == (SOON_S, b"hello")
