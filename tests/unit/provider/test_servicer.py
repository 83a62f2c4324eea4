"""The provider as the Pulumi engine sees it: messages in, messages and statuses out, on a scripted converge."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import provider_pb2 as pb
from pulumi.runtime.proto import status_pb2

from enginehouse import converge
from enginehouse.connectors import Connectors
from enginehouse.converge import as_inputs
from enginehouse.converge.events import Event, Notice
from enginehouse.converge.owner import Claim
from enginehouse.planner.codec import kind_of
from enginehouse.planner.container import Registry
from enginehouse.planner.parts import (
    Become,
    Client,
    Connection,
    ConnectionKind,
    EndpointPart,
    GatewayLink,
    HostPart,
    Part,
    ReplicaPart,
    Ssh,
    WeightsPart,
)
from enginehouse.provider.diff import diff
from enginehouse.provider.resources import Resources
from enginehouse.provider.server import Servicer
from enginehouse.provider.server import kind_of as kind_of_urn
from enginehouse.provider.wire import UNKNOWN, Hidden, to_plain, to_struct
from tests.standins.converge_script import ScriptedConverge

POISON = "poison-8f2c"
_HERE: dict[str, Any] = {"stack": "box", "host": "box", "connection": Connection(kind=ConnectionKind.LOCAL)}
HOST = HostPart(name="box", tools={"curl": "7.64"}, **_HERE)
WEIGHTS = WeightsPart(
    name="chat-weights-box", source="host:///m.gguf", sha256="0" * 64, file_name="m.gguf", path="/m.gguf", **_HERE
)
REPLICA = ReplicaPart(
    name="chat-box-0",
    deployment="chat",
    index=0,
    engine="llama-cpp",
    version="b1",
    program="llama-server",
    args={"ctx-size": "4096", "lora": ("a", "b"), "metrics": True},
    weights="0" * 64,
    weights_path="/m.gguf",
    served_name="tiny",
    slots=2,
    context_tokens=2048,
    memory_mib=100,
    ports={"a": 1, "b": 2},
    ready_within_s=10,
    drain_s=10,
    gateway=GatewayLink(host="box", part="gateway-box", backend="be_chat", servers={"a": "s-a", "b": "s-b"}),
    **_HERE,
)
ENDPOINT = EndpointPart(
    name="endpoint",
    url="http://127.0.0.1:8080",
    models=("tiny",),
    public=False,
    clients=(Client(name="demo", secrets=("key-demo",)),),
    behind=("chat-box-0",),
    **_HERE,
)


class Aborted(Exception):
    """What a handler told gRPC to answer with."""

    def __init__(
        self, code: grpc.StatusCode, details: str, unhealthy: pb.ErrorResourceInitFailed | None = None
    ) -> None:
        self.code = code
        self.details = details
        self.unhealthy = unhealthy
        super().__init__(details)


class Call:
    """The part of a gRPC context that handlers use."""

    def abort(self, code: grpc.StatusCode, details: str) -> None:
        raise Aborted(code, details)

    def abort_with_status(self, status: Any) -> None:
        packed = status_pb2.Status.FromString(dict(status.trailing_metadata)["grpc-status-details-bin"])
        unhealthy = pb.ErrorResourceInitFailed()
        assert packed.details[0].Unpack(unhealthy)
        raise Aborted(status.code, status.details, unhealthy)


@dataclass
class World:
    """A servicer on a scripted machine, and what it told."""

    folder: Path
    cancelled: threading.Event = field(default_factory=threading.Event)
    told: list[tuple[str, Event]] = field(default_factory=list)
    forgets: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.servicer = self.start()

    def start(self) -> Servicer:
        """A new provider process, so to speak, on the same machine."""
        context = converge.Context(
            run=converge.Run(id="r", who="me@here", door="pulumi"),
            connectors=Connectors(),
            listen=lambda event: None,
            uploads_from=self.folder,
            cancelled=self.cancelled,
        )
        ready: Future[Resources] = Future()
        verbs = ScriptedConverge(self.folder)
        self.claims = verbs.claims
        listener = lambda urn: lambda event: self.told.append((urn, event))  # noqa: E731
        ready.set_result(Resources(context, verbs, listener, forgets=self.forgets))
        return Servicer(ready, self.cancelled.set)

    def script(self, **parts: Mapping[str, Any]) -> None:
        (self.folder / "script.json").write_text(json.dumps({n.replace("_", "-"): s for n, s in parts.items()}))

    def check(self, part: Part, inputs: Mapping[str, Any]) -> pb.CheckResponse:
        return self.servicer.Check(pb.CheckRequest(urn=urn(part), news=to_struct(inputs)), Call())

    def create(self, part: Part, preview: bool = False, **more: Any) -> pb.CreateResponse:
        request = pb.CreateRequest(urn=urn(part), properties=wire(part, **more), preview=preview)
        return self.servicer.Create(request, Call())

    def update(
        self, made: pb.CreateResponse, old: Part, new: Part, preview: bool = False, **more: Any
    ) -> pb.UpdateResponse:
        request = pb.UpdateRequest(
            id=made.id,
            urn=urn(new),
            olds=made.properties,
            old_inputs=wire(old, **more),
            news=wire(new, **more),
            preview=preview,
        )
        return self.servicer.Update(request, Call())

    def read(self, made: pb.CreateResponse, part: Part, **more: Any) -> pb.ReadResponse:
        request = pb.ReadRequest(id=made.id, urn=urn(part), properties=made.properties, inputs=wire(part, **more))
        return self.servicer.Read(request, Call())

    def delete(self, made: pb.CreateResponse, part: Part) -> Empty:
        request = pb.DeleteRequest(id=made.id, urn=urn(part), properties=made.properties, old_inputs=wire(part))
        return self.servicer.Delete(request, Call())


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def urn(part: Part) -> str:
    return f"urn:pulumi:box::enginehouse-infra::enginehouse:index:Up$enginehouse:index:{kind_of(part).capitalize()}::x"


def wire(part: Part, **more: Any) -> Any:
    return to_struct({**as_inputs(part), **more})


def changed(part: ReplicaPart, **fields: Any) -> ReplicaPart:
    return replace(part, **fields)


def test_create_gives_an_id_with_the_machine_and_small_outputs(world: World) -> None:
    made = world.create(REPLICA, machine_id="m-1")
    assert made.id == "box/chat-box-0@m-1"
    assert to_plain(made.properties) == {"generation": 1, "machine_id": "m-1"}


def test_the_part_that_converge_gets_is_the_part_of_the_plan(world: World) -> None:
    """Nothing is lost or retyped on the wire: ports are ints, repeated options tuples, enums enums."""
    world.create(REPLICA)
    on_machine = json.loads((world.folder / "machine.json").read_text())["parts"]["chat-box-0"]["inputs"]
    assert on_machine == json.loads(json.dumps(as_inputs(REPLICA)))


def test_a_failed_create_stays_in_the_state_with_its_reasons(world: World) -> None:
    world.script(chat_box_0={"fails": "out of memory"})
    with pytest.raises(Aborted) as caught:
        world.create(REPLICA, machine_id="m-1")
    unhealthy = caught.value.unhealthy
    assert unhealthy is not None
    assert (unhealthy.id, list(unhealthy.reasons)) == (
        "box/chat-box-0@m-1",
        ["chat-box-0 did not become ready", "out of memory"],
    )
    assert unhealthy.inputs == wire(REPLICA, machine_id="m-1")


def test_a_failed_update_whose_old_release_serves_keeps_the_old_state(world: World) -> None:
    """A plain error: the Pulumi engine then stores nothing new, and the next preview shows the change again."""
    made = world.create(REPLICA, machine_id="m-1")
    world.script(chat_box_0={"fails": "unknown option", "old_serves": True})
    with pytest.raises(Aborted) as caught:
        world.update(made, REPLICA, changed(REPLICA, args={"ctx-size": "8192"}), machine_id="m-1")
    assert (caught.value.code, caught.value.unhealthy) == (grpc.StatusCode.FAILED_PRECONDITION, None)
    assert caught.value.details == "chat-box-0 did not become ready\nunknown option"


def test_a_failed_update_that_serves_nothing_is_stored_as_unhealthy(world: World) -> None:
    made = world.create(REPLICA, machine_id="m-1")
    world.script(chat_box_0={"fails": "unknown option"})
    with pytest.raises(Aborted) as caught:
        world.update(made, REPLICA, changed(REPLICA, args={"ctx-size": "8192"}), machine_id="m-1")
    assert caught.value.unhealthy is not None
    assert caught.value.unhealthy.properties == made.properties


def test_an_update_that_never_reached_the_machine_keeps_the_old_state(world: World) -> None:
    """So a mistyped address is shown again, and is no part of the state."""
    made = world.create(REPLICA, machine_id="m-1")
    world.script(chat_box_0={"unreachable": True})
    with pytest.raises(Aborted, match="box does not answer") as caught:
        world.update(made, REPLICA, changed(REPLICA, args={"ctx-size": "8192"}), machine_id="m-1")
    assert caught.value.unhealthy is None


def test_update_sends_the_generation_it_has_seen(world: World) -> None:
    made = world.create(REPLICA)
    newer = changed(REPLICA, args={"ctx-size": "8192"})
    world.update(made, REPLICA, newer)
    with pytest.raises(Aborted, match="changed by ada@desk at 12:00 through rollout; run again"):
        world.update(made, REPLICA, changed(REPLICA, args={"ctx-size": "1"}))


@pytest.mark.parametrize("verb", ["update", "read", "delete"])
def test_another_machine_is_an_error_and_is_left_alone(world: World, verb: str) -> None:
    """A look at it says so and keeps the part: else the refresh before an update would keep out the right address."""
    made = world.create(HOST)
    (world.folder / "machine.json").write_text(json.dumps({"id": "m-2", "parts": {}}))
    calls: dict[str, Callable[[], object]] = {
        "update": lambda: world.update(made, HOST, HOST),
        "read": lambda: world.read(made, HOST),
        "delete": lambda: world.delete(made, HOST),
    }
    with pytest.raises(Aborted, match="m-2 answers, but box is on m-1") as caught:
        calls[verb]()
    assert (caught.value.unhealthy is not None) == (verb == "read")
    assert json.loads((world.folder / "machine.json").read_text())["parts"] == {}


def test_read_gives_what_is_there_and_keeps_secrets_secret(world: World) -> None:
    """Drift shows as an input; what only Pulumi needs comes back as it was sent."""
    more: dict[str, Any] = {
        "secrets": {"key-demo": Hidden(POISON)},
        "generations": {"chat-box-0": 1},
        "machine_id": "m-1",
    }
    made = world.create(ENDPOINT, **more)
    seen = world.read(made, ENDPOINT, **more)
    inputs = to_plain(seen.inputs)
    assert {name: inputs[name] for name in more} == more
    assert "renamed_from" not in inputs, "None is absent, as it is from the program"


def test_read_of_a_part_that_is_gone_says_so(world: World) -> None:
    made = world.create(WEIGHTS)
    (world.folder / "machine.json").write_text(json.dumps({"id": "m-1", "parts": {}}))
    assert world.read(made, WEIGHTS).id == ""


def test_read_of_a_part_whose_creation_failed_keeps_it(world: World) -> None:
    """Dropping it from the state would leave behind whatever its creation has left on the machine."""
    with pytest.raises(Aborted) as caught:
        world.read(pb.CreateResponse(id="box/chat-box-0@m-1"), REPLICA)
    assert caught.value.unhealthy is not None
    assert "its creation has not come to an end" in caught.value.unhealthy.reasons[0]


@pytest.mark.parametrize(
    ("script", "reason"), [({"unreachable": True}, "box does not answer"), ({"sick": "no answer"}, "no answer")]
)
def test_what_does_not_work_is_unhealthy_and_not_gone(world: World, script: dict[str, Any], reason: str) -> None:
    made = world.create(ENDPOINT, machine_id="m-1")
    world.script(endpoint=script)
    with pytest.raises(Aborted) as caught:
        world.read(made, ENDPOINT, machine_id="m-1")
    unhealthy = caught.value.unhealthy
    assert unhealthy is not None
    assert (unhealthy.id, list(unhealthy.reasons)) == (made.id, [reason])
    assert diff(to_plain(unhealthy.inputs), {**as_inputs(ENDPOINT), "machine_id": "m-1"}) == ()


def test_what_an_earlier_refresh_saw_is_not_seen_for_ever(world: World) -> None:
    """What the machine says now is stored, and what no machine knows is kept."""
    secret = {"key-demo": Hidden(POISON)}
    made = world.create(ENDPOINT, machine_id="m-1", secrets=secret)
    stale = {"machine_id": "m-1", "secrets": secret, "drift": {"weights": "altered on the machine"}}
    read = to_plain(world.read(made, ENDPOINT, **stale).inputs)
    assert diff(read, {**as_inputs(ENDPOINT), "machine_id": "m-1", "secrets": secret}) == ()
    assert "drift" not in read


def test_importing_is_refused_with_the_better_way(world: World) -> None:
    with pytest.raises(Aborted, match="`pulumi up` adopts what is already on a machine"):
        world.servicer.Read(pb.ReadRequest(id="x", urn=urn(HOST)), Call())


def test_a_preview_knows_what_follows_from_the_inputs(world: World) -> None:
    made = world.create(ENDPOINT, preview=True, generations=UNKNOWN)
    assert to_plain(made.properties) == {"generation": UNKNOWN, "models": ["tiny"], "url": "http://127.0.0.1:8080"}
    assert not (world.folder / "machine.json").read_text().count("endpoint"), "nothing was changed"


def test_a_preview_says_what_will_happen_and_why(world: World) -> None:
    """In the resource's own row, as a line that stays."""
    made = world.create(REPLICA, machine_id="m-1")
    world.told.clear()
    world.update(made, REPLICA, changed(REPLICA, args={}), preview=True)
    assert world.told == [(urn(REPLICA), Notice(part="chat-box-0", text="chat-box-0: restart: as scripted"))]


def test_a_preview_of_what_is_not_there_yet_says_nothing(world: World) -> None:
    """That it is created says it all."""
    world.create(REPLICA, preview=True)
    assert world.told == []


def test_a_preview_of_what_the_state_has_lost_says_that_it_stands(world: World) -> None:
    """It is created for the state, and exchanged on the machine."""
    world.create(REPLICA)
    world.told.clear()
    world.create(changed(REPLICA, args={}), preview=True)
    assert [event.text for _, event in world.told] == ["chat-box-0: restart: as scripted"]


def test_a_machine_that_does_not_answer_does_not_stop_a_preview(world: World) -> None:
    """It is said where something stands already, and nothing where nothing could."""
    made = world.create(REPLICA)
    world.script(chat_box_0={"unreachable": True})
    world.told.clear()
    assert to_plain(world.create(REPLICA, preview=True).properties)["generation"] is UNKNOWN
    planned = world.update(made, REPLICA, changed(REPLICA, args={}), preview=True)
    assert to_plain(planned.properties)["generation"] is UNKNOWN
    assert [event.text for _, event in world.told] == ["chat-box-0: not foreseen: box does not answer"]


def test_a_state_claims_its_stack_by_the_output_of_its_host(world: World) -> None:
    """Made with the host, kept by everything after, and brought to converge by every other part."""
    made = world.create(HOST)
    owner = to_plain(made.properties)["owner"]
    assert world.claims == [Claim(id=None)]
    for kept in (world.update(made, HOST, HOST), world.update(made, HOST, HOST, preview=True), world.read(made, HOST)):
        assert to_plain(kept.properties)["owner"] == owner
    assert owner != to_plain(world.create(HOST).properties)["owner"], "another state has another id"
    world.claims.clear()
    part = world.create(REPLICA, owner=owner)
    world.update(part, REPLICA, changed(REPLICA, args={}), owner=owner)
    assert "owner" not in to_plain(part.properties)
    assert world.claims == [Claim(id=owner), Claim(id=owner)]


def test_a_state_from_before_there_were_owners_claims_nothing_and_gets_an_id(world: World) -> None:
    made = world.create(HOST)
    del made.properties.fields["owner"]
    world.claims.clear()
    assert to_plain(world.read(made, HOST).properties)["owner"]
    world.update(world.create(REPLICA), REPLICA, changed(REPLICA, args={}))
    assert set(world.claims) == {None}


def test_a_look_is_refused_at_the_host_and_not_again_by_every_part(world: World) -> None:
    host, part = world.create(HOST), world.create(REPLICA, owner="a")
    world.claims.clear()
    world.read(host, HOST)
    world.read(part, REPLICA, owner="a")
    assert [claim is None for claim in world.claims] == [False, True]


def test_a_refused_preview_is_an_error(world: World) -> None:
    """Where a machine that does not answer is only a notice."""
    world.script(box={"owned": True})
    with pytest.raises(Aborted, match="belongs to another Pulumi state"):
        world.create(HOST, preview=True)


def test_the_owner_is_no_difference(world: World) -> None:
    request = pb.DiffRequest(urn=urn(REPLICA), old_inputs=wire(REPLICA), news=wire(REPLICA, owner="a"))
    assert world.servicer.Diff(request, Call()).changes == pb.DiffResponse.DIFF_NONE


def test_a_preview_of_an_update_promises_nothing_it_can_not_know(world: World) -> None:
    made = world.create(REPLICA)
    planned = world.update(made, REPLICA, changed(REPLICA, args={}), preview=True)
    assert to_plain(planned.properties)["generation"] is UNKNOWN


def test_the_machine_is_known_in_the_preview_of_an_update(world: World) -> None:
    """Otherwise every part on a host would seem to change with it."""
    made = world.create(HOST)
    planned = world.update(made, HOST, HOST, preview=True)
    assert to_plain(planned.properties)["machine_id"] == "m-1"


def test_delete_takes_the_part_away_and_tells_what_stays(world: World) -> None:
    made = world.create(WEIGHTS)
    world.delete(made, WEIGHTS)
    assert json.loads((world.folder / "machine.json").read_text())["parts"] == {}
    assert [event.text for _, event in world.told][-1] == "the weights of chat-weights-box stay"


def test_a_machine_that_is_lost_keeps_its_parts_until_a_person_says_so(world: World) -> None:
    """The refusal names the way; another host's name is none."""
    made = world.create(HOST)
    world.script(box={"unreachable": True})
    world.forgets = ("bax",)
    world.servicer = world.start()
    with pytest.raises(Aborted) as refused:
        world.delete(made, HOST)
    assert "`ENGINEHOUSE_FORGET=box pulumi up -s box` (or `destroy`) lets go of it" in str(refused.value)
    assert "box does not answer" in str(refused.value)
    with pytest.raises(Aborted):
        world.read(made, HOST)


@pytest.mark.parametrize("lost", ["unreachable", "another"])
def test_a_machine_that_is_let_go_of_leaves_the_state(world: World, lost: str) -> None:
    """One that does not answer, and one behind whose address another answers now. It is told that something stays."""
    made = world.create(HOST)
    world.forgets = ("box",)
    world.servicer = world.start()
    if lost == "unreachable":
        world.script(box={"unreachable": True})
    else:
        (world.folder / "machine.json").write_text(json.dumps({"id": "m-2", "parts": {}}))
    assert world.read(made, HOST).id == ""
    world.delete(made, HOST)
    assert [event.text.partition(":")[0] for _, event in world.told[-2:]] == [
        "let go of box, which may still be on its machine"
    ] * 2


def test_what_answers_is_removed_and_not_let_go_of(world: World) -> None:
    """Twin: the same run, on a machine that is well after all."""
    world.forgets = ("box",)
    world.servicer = world.start()
    made = world.create(HOST)
    assert world.read(made, HOST).id == made.id
    world.delete(made, HOST)
    assert json.loads((world.folder / "machine.json").read_text())["parts"] == {}


def test_cancel_ends_a_running_create_and_keeps_it_in_the_state(world: World) -> None:
    """Something of it may be on the machine already, so it must not be forgotten."""
    world.script(chat_box_0={"takes_s": 60})
    threading.Timer(0.2, lambda: world.servicer.Cancel(Empty(), Call())).start()
    with pytest.raises(Aborted) as caught:
        world.create(REPLICA, machine_id="m-1")
    assert caught.value.unhealthy is not None
    assert "stopped on request" in caught.value.unhealthy.reasons[0]


def test_check_names_what_is_missing(world: World) -> None:
    inputs = {name: value for name, value in as_inputs(HOST).items() if name not in ("tools", "stack")}
    failures = [(f.property, f.reason) for f in world.check(HOST, inputs).failures]
    assert failures == [("stack", "a host needs it"), ("tools", "a host needs it")]


def test_check_never_names_a_property_with_a_secret_in_it(world: World) -> None:
    """The Pulumi engine prints the value of the property that a failure names."""
    inputs = {**as_inputs(ENDPOINT), "secrets": {"other": Hidden(POISON)}}
    (failure,) = world.check(ENDPOINT, inputs).failures
    assert (failure.property, failure.reason) == ("clients.demo.secrets", "the secret 'key-demo' has no value")
    assert POISON not in str(failure)


def test_check_names_a_registry_password_without_a_value(world: World) -> None:
    registry = Registry(mirror="m.example", username="me", password="registry")
    part = replace(REPLICA, image=f"r.example/x@sha256:{'0' * 64}", registry=registry)
    (failure,) = world.check(part, {**as_inputs(part), "secrets": {"other": Hidden(POISON)}}).failures
    assert (failure.property, failure.reason) == ("registry.password", "the secret 'registry' has no value")
    assert not world.check(part, {**as_inputs(part), "secrets": {"registry": Hidden(POISON)}}).failures


def test_check_misses_the_password_of_any_part_s_machine(world: World) -> None:
    """Each part has it beside its inputs, since each goes to the machine by itself; what is compared is its name."""
    ssh = Ssh(address="10.1.0.11", become=Become.SUDO, sudo_password="ops-sudo")
    part = replace(WEIGHTS, connection=Connection(kind=ConnectionKind.SSH, ssh=ssh))
    (failure,) = world.check(part, as_inputs(part)).failures
    assert failure.property == "connection.ssh.sudo_password"
    assert failure.reason == "the secret 'ops-sudo' has no value"
    assert not world.check(part, {**as_inputs(part), "secrets": {"ops-sudo": Hidden(POISON)}}).failures


def test_check_hands_the_inputs_back_with_secrets_intact(world: World) -> None:
    inputs = to_struct({**as_inputs(ENDPOINT), "secrets": {"key-demo": Hidden(POISON)}})
    assert world.check(ENDPOINT, to_plain(inputs)).inputs == inputs


def test_diff_is_detailed(world: World) -> None:
    newer = changed(REPLICA, args={"ctx-size": "8192", "lora": ("a", "b"), "metrics": True})
    request = pb.DiffRequest(urn=urn(REPLICA), old_inputs=wire(REPLICA), news=wire(newer))
    answer = world.servicer.Diff(request, Call())
    assert {path: (d.kind, d.inputDiff) for path, d in answer.detailedDiff.items()} == {
        "args.ctx-size": (pb.PropertyDiff.UPDATE, True)
    }
    assert (answer.changes, list(answer.diffs), list(answer.replaces)) == (pb.DiffResponse.DIFF_SOME, ["args"], [])


def test_diff_of_the_same_is_none(world: World) -> None:
    request = pb.DiffRequest(urn=urn(REPLICA), old_inputs=wire(REPLICA), news=wire(REPLICA))
    assert world.servicer.Diff(request, Call()).changes == pb.DiffResponse.DIFF_NONE


def test_a_resource_type_that_does_not_exist_is_refused_by_name() -> None:
    with pytest.raises(Exception, match="no resource type enginehouse:index:Fleet; there are enginehouse:index:Host"):
        kind_of_urn("urn:pulumi:s::p::enginehouse:index:Fleet::f")
