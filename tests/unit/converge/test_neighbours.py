"""Who of several machines gets a file from where: a few at once from each that has it, one from where it comes."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from enginehouse.connectors.fake import FakeConnector
from enginehouse.converge.neighbours import (
    LONGEST_WAIT_S,
    MOST_COPIES,
    MOST_FAILURES,
    MOST_REFUSED,
    Neighbour,
    Neighbours,
    Shelf,
)
from enginehouse.errors import Cancelled, ConvergeFailed, Unreachable

SHA256 = "ab" * 32


def owner(host: str) -> Neighbour:
    return Neighbour(host=host, address="10.9.0.1", path="/f", connector=FakeConnector(host))


class Run:
    """What a machine hears while it waits, in a time that passes by itself."""

    def __init__(self) -> None:
        self.neighbours = Neighbours()
        self.said: list[str] = []
        self.cancelled = threading.Event()
        self.now = 0.0

    def turn(self, host: str, refused: set[str] | None = None):  # type: ignore[no-untyped-def]
        return self.neighbours.turn(
            SHA256, host, refused or set(), tell=self.said.append, check=self.check, now=lambda: self.now
        )

    def check(self) -> None:
        self.now += LONGEST_WAIT_S / 4
        if self.cancelled.is_set():
            raise Cancelled("stopped")


def test_the_least_busy_owner_serves() -> None:
    """By name where they are alike; nobody serves more than its share, and nobody a file that it refused."""
    shelf = Shelf(owners={host: owner(host) for host in ("b", "a")})
    served = []
    while found := shelf.free("x", set()):
        served.append(found.host)
        shelf = shelf.count(found.host, 1)
    assert served == ["a", "b"] * MOST_COPIES
    assert shelf.waits_for("x", set()) == "a, b, which give it to others first"
    assert shelf.count("a", -1).free("x", {"a"}) is None
    assert Shelf().waits_for("x", set()) is None


def test_one_that_is_not_reached_does_not_try_for_long() -> None:
    """It asks a few others, waits for nobody to get the file, and then gets it by itself."""
    owners = {host: owner(host) for host in "abcdef"}
    shelf, refused = Shelf(owners=owners, fetching="g"), set[str]()
    while found := shelf.free("x", refused):
        refused.add(found.host)
    assert len(refused) == MOST_REFUSED
    assert shelf.waits_for("x", refused) is None
    assert Shelf(fetching="g").waits_for("x", {"a"}) is None
    assert Shelf(fetching="g").waits_for("x", set()) == "g, which gets it first"


def test_only_the_first_gets_it_from_where_it_comes() -> None:
    """The next one waits until that one has it, and then copies from it."""
    run = Run()
    with run.turn("a") as way, ThreadPoolExecutor(1) as pool:
        assert way is None

        def second() -> str:
            with run.turn("b") as found:
                assert found is not None
                return found.host

        waiting = pool.submit(second)
        while not run.said:
            assert not waiting.done()
        run.neighbours.add(SHA256, owner("a"))
        assert waiting.result(20) == "a"
    assert set(run.said) == {"waiting for a, which gets it first"}


def test_a_machine_that_is_lost_leaves_it_to_the_next_one() -> None:
    """The one after that still waits for somebody."""
    run = Run()
    with pytest.raises(Unreachable), run.turn("a"):
        raise Unreachable("a is gone")
    with run.turn("b") as way:
        assert way is None
        run.cancelled.set()
        with pytest.raises(Cancelled), run.turn("c"):
            pytest.fail("it has to wait")
    assert run.said == []


def test_after_some_failures_nobody_waits_for_another_one() -> None:
    """What fails on several machines is not the machine."""
    run = Run()
    for host in map(str, range(MOST_FAILURES)):
        with pytest.raises(ConvergeFailed), run.turn(host):
            raise ConvergeFailed("404")
    with run.turn("x") as one, run.turn("y") as other:
        assert (one, other) == (None, None)


def test_a_wait_ends() -> None:
    """For one that trickles, each gets it by itself in the end."""
    run = Run()
    with run.turn("a"), run.turn("b") as way:
        assert way is None
    assert run.said


def test_one_that_gave_nothing_is_asked_by_nobody_any_more() -> None:
    run = Run()
    run.neighbours.add(SHA256, owner("a"))
    run.neighbours.drop(SHA256, "a")
    with run.turn("b") as way:
        assert way is None


def test_a_copy_that_fails_is_no_failure_of_the_origin() -> None:
    """And its place at the owner is free again."""
    run = Run()
    run.neighbours.add(SHA256, owner("a"))
    for _ in range(MOST_COPIES + MOST_FAILURES):
        with pytest.raises(ConvergeFailed), run.turn("b") as way:
            assert way is not None
            raise ConvergeFailed("no")
