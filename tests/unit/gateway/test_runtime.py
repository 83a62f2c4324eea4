"""What is said on HAProxy's runtime socket, and what its answers mean."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any, cast

import pytest

from enginehouse.connectors.base import Connector
from enginehouse.errors import DeadlineExceeded, Unreachable
from enginehouse.gateway import Refused, RuntimeSocket, ServerState

STAT = "# pxname,svname,qcur,scur,weight,status,lastchg,check_status,\nbe_chat,a,0,3,1,UP,1,L7OK,\n\n"


class Conversation:
    """A connector whose socket answers with the given pieces; an exception among them is raised."""

    def __init__(self, *pieces: bytes | Exception) -> None:
        self.pieces: Iterator[bytes | Exception] = iter(pieces)
        self.said = b""
        self.dialled: list[tuple[str, float]] = []

    def dial(self, address: str, *, deadline_s: float) -> socket.socket:
        self.dialled.append((address, deadline_s))
        return cast(socket.socket, self)

    def __enter__(self) -> Conversation:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def sendall(self, data: bytes) -> None:
        self.said += data

    def recv(self, _: int) -> bytes:
        piece = next(self.pieces, b"")
        if isinstance(piece, Exception):
            raise piece
        return piece


def runtime(conversation: Conversation, **settings: Any) -> RuntimeSocket:
    return RuntimeSocket(cast(Connector, conversation), "/run/admin.sock", **settings)


@pytest.mark.parametrize("state", [ServerState.DRAIN, ServerState.MAINT])
def test_a_state_is_set_with_one_command_and_an_empty_line_means_done(state: ServerState) -> None:
    conversation = Conversation(b"\n")
    runtime(conversation, deadline_s=2).set_state("be_chat", "chat-laptop-0-a", state)
    assert conversation.said == f"set server be_chat/chat-laptop-0-a state {state.value}\n".encode()
    assert conversation.dialled == [("unix:/run/admin.sock", 2)]


def test_ready_undoes_whatever_a_pause_did() -> None:
    paused, ready = Conversation(), Conversation()
    runtime(paused).pause("be_chat", "a")
    runtime(ready).set_state("be_chat", "a", ServerState.READY)
    assert paused.said.decode().splitlines() == ["set server be_chat/a weight 0%", "disable health be_chat/a"]
    assert ready.said.decode().splitlines() == [
        "set server be_chat/a state ready",
        "set server be_chat/a weight 100%",
        "enable health be_chat/a",
    ]


def test_any_other_answer_is_a_refusal_that_repeats_it() -> None:
    with pytest.raises(Refused) as caught:
        runtime(Conversation(b"No such ", b"server.\n\n")).set_state("be_chat", "a", ServerState.READY)
    assert (caught.value.command, caught.value.answer) == ("set server be_chat/a state ready", "No such server.")


@pytest.mark.parametrize("name", ["", "a b", "a;shutdown sessions", "a\nshow info", "a/b", "ä"])
def test_a_name_that_would_be_another_command_is_never_sent(name: str) -> None:
    conversation = Conversation()
    for backend, server in ((name, "a"), ("be", name)):
        with pytest.raises(ValueError, match="not a HAProxy name"):
            runtime(conversation).set_state(backend, server, ServerState.READY)
    assert (conversation.said, conversation.dialled) == (b"", [])


def test_sessions_are_those_of_one_server() -> None:
    assert runtime(Conversation(STAT.encode())).sessions("be_chat", "a") == 3
    with pytest.raises(Refused, match="no server be_chat/b"):
        runtime(Conversation(STAT.encode())).sessions("be_chat", "b")


def test_an_answer_in_many_pieces_is_one_text() -> None:
    text = "1\n# be_id be_name srv_id\n" + "4 be_chat 1\n" * 1000
    data = text.encode()
    pieces = [data[start : start + 7] for start in range(0, len(data), 7)]
    assert runtime(Conversation(*pieces)).dump_state() == text


def test_the_worker_is_known_by_its_process_id() -> None:
    assert runtime(Conversation(b"Name: HAProxy\nPid: 4711\nUptime: 0d\n\n")).worker() == 4711
    with pytest.raises(Refused, match="show info"):
        runtime(Conversation(b"Permission denied\n")).worker()


def test_silence_and_a_broken_connection_are_told_apart() -> None:
    with pytest.raises(DeadlineExceeded):
        runtime(Conversation(TimeoutError())).dump_state()
    with pytest.raises(Unreachable):
        runtime(Conversation(b"half", ConnectionResetError())).dump_state()
