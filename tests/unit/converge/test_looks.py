"""Looks at one machine that are asked for at the same time: one script, and to each its own answers."""

from __future__ import annotations

import threading
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor

import pytest

from enginehouse.connectors.base import Result
from enginehouse.connectors.fake import Call, FakeConnector
from enginehouse.converge import looks
from enginehouse.converge.looks import Look, Looks
from enginehouse.converge.probe import Questions, answers, probe, questions
from enginehouse.errors import Cancelled, CommandFailed, ConnectorError, DeadlineExceeded, Unreachable
from enginehouse.inventory.answers import BadProbe
from tests.simulated import looks as simulated
from tests.simulated.world import World

COMMON = "text_of common /c"
NAMES = ("a", "b", "c")


class Machine:
    """Answers each question of a script with `said` and its key, whatever else the script holds."""

    def __init__(self) -> None:
        self.connector = FakeConnector("box")
        self.connector.on("facts() {", self.answer)
        self.said = "first"

    def answer(self, call: Call) -> str:
        lines = call.script.partition("facts() {\n")[2].partition("\n}\n")[0].splitlines()
        pairs = (self._fact(line.split()) for line in lines)
        text = "".join(f"\0{key}\t{value}" for key, value in pairs)
        return f"facts\t{b64encode(text.encode()).decode()}\n"

    def scripts(self) -> int:
        return len(self.connector.calls)

    def _fact(self, words: list[str]) -> tuple[str, str]:
        return ("", words[1]) if words[0] == "answer" else (words[min(1, len(words) - 1)], self.said)


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def at_once() -> Looks:
    """Looks that wait for nobody."""
    return Looks(gather_s=0)


def of(name: str) -> Questions:
    return Questions(lines=(COMMON, f"text_of own.{name} /{name}"))


def ask(at_once: Looks, machine: Machine, *names: str) -> list[Look]:
    return [at_once.ask(machine.connector, of(name), f"looking at {name}") for name in names]


def own(look: Look) -> set[str]:
    return {key for key in look.answers() if key.startswith("own.")}


def test_who_waits_goes_together_and_each_has_its_own_answers(machine: Machine, at_once: Looks) -> None:
    """One script, in which what they have in common is asked once."""
    waiting = ask(at_once, machine, *NAMES)
    assert [own(look) for look in waiting] == [{f"own.{name}"} for name in NAMES]
    assert [look.answers()["common"] for look in waiting] == ["first"] * 3
    assert machine.scripts() == 1
    assert machine.connector.calls[0].script.count(COMMON) == 1


def test_every_part_sees_what_it_sees_alone(at_once: Looks) -> None:
    """All parts of a stack in one script, on a machine where they run."""
    world = World()
    world.up()
    link, parts = world.run().link, world.plan().parts()
    waiting = [at_once.ask(link, questions(part), part.name) for part in parts]
    together = [look.answers() for look in waiting]
    assert link.calls == 1
    for part, seen in zip(parts, together, strict=True):
        (alone,) = answers(simulated.facts(world.machine, probe(questions(part))), questions(part))
        assert {**seen, "health": ""} == {**alone, "health": ""}, "how the engines are is told to all"


def test_nobody_is_given_what_was_read_before_it_asked(machine: Machine, at_once: Looks) -> None:
    """A look that is asked for while a script runs is for the next one, also where its questions are the same."""
    late: list[Look] = []

    def answer(call: Call) -> str:
        said = machine.answer(call)
        if not late:
            late.extend(ask(at_once, machine, "a"))
            machine.said = "second"
        return said

    machine.connector.on("facts() {", answer)
    (early,) = ask(at_once, machine, "a")
    assert (early.answers()["own.a"], late[0].answers()["own.a"]) == ("first", "second")
    assert machine.scripts() == 2


@pytest.mark.parametrize("broken", [Result(returncode=3, stdout="", stderr="x"), "facts\tYQ==\n", "a banner\n"])
def test_an_answer_that_can_not_be_read_is_only_for_whose_question_it_is(
    machine: Machine, at_once: Looks, broken: str | Result
) -> None:
    """When a script for several fails, each asks for itself."""
    machine.connector.on("own.b", broken)
    first, culprit, last = ask(at_once, machine, *NAMES)
    assert (own(first), own(last)) == ({"own.a"}, {"own.c"})
    with pytest.raises((CommandFailed, BadProbe)):
        culprit.answers()
    assert machine.scripts() == 4


def test_a_question_that_takes_too_long_holds_up_nobody_else(
    machine: Machine, at_once: Looks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that does not answer takes the whole time of a script that it is in."""
    monkeypatch.setattr(looks, "PROBE_S", 0.0)
    machine.connector.on("own.b", DeadlineExceeded("too slow"))
    first, culprit = ask(at_once, machine, "a", "b")
    assert own(first) == {"own.a"}
    with pytest.raises(DeadlineExceeded):
        culprit.answers()


@pytest.mark.parametrize(
    "error", [Unreachable("no way"), DeadlineExceeded("no answer to the login"), Cancelled("stopped")]
)
def test_a_machine_that_is_not_reached_is_not_asked_again_for_each(
    machine: Machine, at_once: Looks, error: Exception
) -> None:
    """Each has an error of its own, since what is noted about one says nothing about the others."""
    machine.connector.on("facts() {", error)
    caught = []
    for look in ask(at_once, machine, "a", "b"):
        with pytest.raises(type(error), match=str(error)) as raised:
            look.answers()
        caught.append(raised.value)
    assert machine.scripts() == 1
    assert caught[0] is not caught[1]


def test_what_is_noted_about_one_error_is_not_about_the_others(machine: Machine, at_once: Looks) -> None:
    """`untouched` of a first look must not excuse a look that came after something was done."""
    machine.connector.on("facts() {", Unreachable("no way"))
    one, other = ask(at_once, machine, "a", "b")
    with pytest.raises(ConnectorError) as first:
        one.answers()
    first.value.untouched = True
    with pytest.raises(ConnectorError) as second:
        other.answers()
    assert not second.value.untouched


def test_a_look_that_fails_alone_is_not_asked_twice(machine: Machine, at_once: Looks) -> None:
    """Its error is the one that came."""
    machine.connector.on("facts() {", Result(returncode=3, stdout="", stderr="x"))
    (look,) = ask(at_once, machine, "a")
    with pytest.raises(CommandFailed, match="box: looking at a: exit code 3") as caught:
        look.answers()
    assert caught.value.__cause__ is None, "an error that is its own cause is explained for ever"
    assert machine.scripts() == 1


def test_when_the_one_who_goes_is_stopped_the_others_go_themselves(machine: Machine, at_once: Looks) -> None:
    """Ctrl-C in one thread leaves nobody waiting for ever."""

    def stopped(call: Call) -> str:
        machine.connector.on("facts() {", machine.answer)
        raise KeyboardInterrupt

    machine.connector.on("facts() {", stopped)
    one, other = ask(at_once, machine, "a", "b")
    with pytest.raises(KeyboardInterrupt):
        one.answers()
    assert own(other) == {"own.b"}


def test_one_script_at_a_time_is_on_its_way_to_a_machine(machine: Machine) -> None:
    """From however many threads, each has its own answers."""
    running, was_free = threading.Semaphore(1), []

    def answer(call: Call) -> str:
        was_free.append(running.acquire(blocking=False))
        said = machine.answer(call)
        running.release()
        return said

    machine.connector.on("facts() {", answer)
    many, gathering = [str(number) for number in range(32)], Looks()
    with ThreadPoolExecutor(len(many)) as pool:
        found = list(pool.map(lambda name: own(ask(gathering, machine, name)[0]), many))
    assert found == [{f"own.{name}"} for name in many]
    assert all(was_free)


def test_no_script_is_for_more_than_its_answer_can_hold(
    machine: Machine, at_once: Looks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is not among the first goes with the next, also who went for the first."""
    monkeypatch.setattr(looks, "MOST_TOGETHER", 2)
    waiting = ask(at_once, machine, "a", "b", "c", "d", "e")
    assert own(waiting[-1]) == {"own.e"}
    assert machine.scripts() == 3
    assert [own(look) for look in waiting[:-1]] == [{f"own.{name}"} for name in "abcd"]
    assert machine.scripts() == 3


def test_machines_do_not_wait_for_each_other(machine: Machine, at_once: Looks) -> None:
    """A look at one is answered while a script of another is still on its way."""
    other = Machine()

    def answer(call: Call) -> str:
        assert own(ask(at_once, other, "b")[0]) == {"own.b"}
        return machine.answer(call)

    machine.connector.on("facts() {", answer)
    assert own(ask(at_once, machine, "a")[0]) == {"own.a"}
