"""HAProxy's statistics as values."""

from __future__ import annotations

from typing import Any

import pytest

from enginehouse.gateway import BackendRow, ServerRow, parse_backends, parse_stats

CSV = """\
# pxname,svname,qcur,qmax,scur,smax,weight,status,lastchg,check_status,new_in_some_version,
api,FRONTEND,,,3,5,,OPEN,,,,
be_chat,chat-laptop-0-a,0,0,2,4,10,UP,71,L7OK,,
be_chat,chat-laptop-0-b,0,0,0,0,1,MAINT,90,,,
be_chat,chat-laptop-1-a,0,0,1,4,1,DRAIN 1/2,5,* L7STS,,
be_chat,BACKEND,6,9,9,20,2,UP,90,,,
clients,BACKEND,0,0,0,0,0,UP,90,,,
successor,successor,0,0,1,1,1,no check,90,,,

"""


def _row(server: str, **values: Any) -> ServerRow:
    return ServerRow(backend="be_chat", server=server, queued=0, **values)


def test_servers_are_read_by_the_names_of_the_columns() -> None:
    assert parse_stats(CSV) == (
        _row("chat-laptop-0-a", status="UP", sessions=2, check="L7OK", since_s=71, weight=10),
        _row("chat-laptop-0-b", status="MAINT", sessions=0, check="", since_s=90),
        _row("chat-laptop-1-a", status="DRAIN", sessions=1, check="L7STS", since_s=5),
    )


def test_backends_tell_how_many_requests_wait() -> None:
    assert parse_backends(CSV) == (
        BackendRow(backend="be_chat", sessions=9, queued=6),
        BackendRow(backend="clients", sessions=0, queued=0),
    )


@pytest.mark.parametrize(
    ("status", "usable"),
    [
        ("UP", True),
        ("UP 1/2", True),
        ("no check", False),
        ("DOWN", False),
        ("DOWN 1/2", False),
        ("MAINT", False),
        ("DRAIN", False),
    ],
)
def test_only_a_server_that_takes_requests_is_usable(status: str, usable: bool) -> None:
    (row,) = parse_stats(f"# pxname,svname,qcur,scur,weight,status,lastchg,check_status,\nbe,a,0,0,1,{status},1,,\n")
    assert row.is_usable() is usable


def test_no_text_is_no_servers() -> None:
    assert (parse_stats(""), parse_backends("")) == ((), ())
