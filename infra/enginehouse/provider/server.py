"""The provider's side of the Pulumi engine's protocol: messages in, `Resources` asked, messages out.

Spoken directly and not through `pulumi.provider.experimental`; docs/design/0003 has the reasons.
"""

# ruff: noqa: N802 (the protocol names the methods)

from __future__ import annotations

import functools
import os
import signal
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import grpc
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, plugin_pb2, status_pb2
from pulumi.runtime.proto import provider_pb2 as pb
from pulumi.runtime.proto import provider_pb2_grpc as rpc

from enginehouse import __version__
from enginehouse.errors import EnginehouseError, explain
from enginehouse.planner.codec import KINDS
from enginehouse.provider.diff import Change, Kind, diff
from enginehouse.provider.wire import to_plain, to_struct

if TYPE_CHECKING:  # a provider that answers soon imports the rest while the Pulumi engine is still getting ready
    from enginehouse.provider.resources import Resources, State, Unhealthy

TYPES: Mapping[str, str] = {f"enginehouse:index:{kind.capitalize()}": kind for kind in KINDS}
"""Resource type to kind of part."""

THREADS = 128
"""Resources worked on at once. A converge waits for its machine nearly all the time, so threads are cheap; the bound is
twice the `--parallel` that large stacks are run with."""

MESSAGE_BYTES = 400 * 1024 * 1024
"""The Pulumi engine's own limit (3.259.0)."""

PARENT_CHECK_S = 1.0
LOG_DEADLINE_S = 5.0

_DIFF_KINDS = {
    (Kind.ADD, False): pb.PropertyDiff.ADD,
    (Kind.ADD, True): pb.PropertyDiff.ADD_REPLACE,
    (Kind.DELETE, False): pb.PropertyDiff.DELETE,
    (Kind.DELETE, True): pb.PropertyDiff.DELETE_REPLACE,
    (Kind.UPDATE, False): pb.PropertyDiff.UPDATE,
    (Kind.UPDATE, True): pb.PropertyDiff.UPDATE_REPLACE,
}

Method = TypeVar("Method", bound=Callable[..., Any])


class EngineLog:
    """Lines in a resource's row, through the Pulumi engine that listens at `address`."""

    def __init__(self, address: str) -> None:
        self._engine = engine_pb2_grpc.EngineStub(grpc.insecure_channel(address))

    def __call__(self, urn: str, text: str, *, passing: bool) -> None:
        line = engine_pb2.LogRequest(severity=engine_pb2.INFO, message=text, urn=urn, ephemeral=passing)
        try:
            self._engine.Log(line, timeout=LOG_DEADLINE_S)
        except grpc.RpcError:
            return  # nobody is there to read it any more; the work itself goes on or is cancelled on its own account


def serve(make: Callable[[], Resources], cancel: Callable[[], None], close: Callable[[], None]) -> NoReturn:
    """Answer the Pulumi engine until it says SIGINT or is gone. Prints the port, as it expects.

    `make` builds the resources; it runs beside the first, simple calls. `cancel` is called when the person asks to
    stop, `close` before the end.
    """
    pool = ThreadPoolExecutor(THREADS)
    server = grpc.server(pool, options=[("grpc.max_receive_message_length", MESSAGE_BYTES)])
    rpc.add_ResourceProviderServicer_to_server(Servicer(pool.submit(make), cancel), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)

    def end(_signal: int = 0, _frame: FrameType | None = None) -> NoReturn:
        close()
        os._exit(0)  # the Pulumi engine waits five seconds for every plugin that tidies up its threads first

    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)
    parent = os.getppid()
    while server.wait_for_termination(PARENT_CHECK_S) and os.getppid() == parent:
        pass  # a killed Pulumi engine says nothing, and its provider must not go on alone
    end()


def answering(method: Method) -> Method:
    """What a person did or can fix becomes the bare message; a resource that is not well keeps its state.

    Anything else is a bug: gRPC prints its traceback, and the Pulumi engine treats the outcome as unknown.
    """

    @functools.wraps(method)
    def answer(self: Servicer, request: Any, context: grpc.ServicerContext) -> Any:
        from enginehouse.provider.resources import Unhealthy

        try:
            return method(self, request, context)
        except Unhealthy as unhealthy:
            context.abort_with_status(_init_failed(unhealthy))
        except EnginehouseError as error:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "\n".join(explain(error)))

    return answer  # type: ignore[return-value]


class Servicer(rpc.ResourceProviderServicer):
    """One method per message; those it lacks answer `UNIMPLEMENTED`, which the Pulumi engine takes for "not needed"."""

    def __init__(self, resources: Future[Resources], cancel: Callable[[], None]) -> None:
        self._future = resources
        self._cancel = cancel

    @property
    def _resources(self) -> Resources:
        return self._future.result()

    def GetPluginInfo(self, request: Empty, context: grpc.ServicerContext) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=__version__)

    def CheckConfig(self, request: pb.CheckRequest, context: grpc.ServicerContext) -> pb.CheckResponse:
        return pb.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: pb.DiffRequest, context: grpc.ServicerContext) -> pb.DiffResponse:
        return pb.DiffResponse(changes=pb.DiffResponse.DIFF_NONE)

    def Configure(self, request: pb.ConfigureRequest, context: grpc.ServicerContext) -> pb.ConfigureResponse:
        return pb.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    def Cancel(self, request: Empty, context: grpc.ServicerContext) -> Empty:
        self._cancel()
        return Empty()

    @answering
    def Check(self, request: pb.CheckRequest, context: grpc.ServicerContext) -> pb.CheckResponse:
        failures = self._resources.check(kind_of(request.urn), to_plain(request.news))
        return pb.CheckResponse(
            inputs=request.news,
            failures=[pb.CheckFailure(property=failure.property, reason=failure.reason) for failure in failures],
        )

    @answering
    def Diff(self, request: pb.DiffRequest, context: grpc.ServicerContext) -> pb.DiffResponse:
        return _diff_response(diff(to_plain(request.old_inputs), to_plain(request.news)))

    @answering
    def Create(self, request: pb.CreateRequest, context: grpc.ServicerContext) -> pb.CreateResponse:
        kind, inputs = kind_of(request.urn), to_plain(request.properties)
        if request.preview:
            return pb.CreateResponse(properties=to_struct(self._resources.preview(request.urn, kind, inputs, None)))
        made = self._resources.create(request.urn, kind, inputs)
        return pb.CreateResponse(id=made.id, properties=to_struct(made.outputs))

    @answering
    def Read(self, request: pb.ReadRequest, context: grpc.ServicerContext) -> pb.ReadResponse:
        kind = kind_of(request.urn)
        if not request.inputs.fields:
            raise EnginehouseError("nothing to import: `pulumi up` adopts what is already on a machine")
        seen = self._resources.read(request.urn, kind, _state(request.id, request.inputs, request.properties))
        if seen is None:
            return pb.ReadResponse()
        return pb.ReadResponse(id=seen.id, inputs=to_struct(seen.inputs), properties=to_struct(seen.outputs))

    @answering
    def Update(self, request: pb.UpdateRequest, context: grpc.ServicerContext) -> pb.UpdateResponse:
        kind, inputs = kind_of(request.urn), to_plain(request.news)
        old = _state(request.id, request.old_inputs, request.olds)
        if request.preview:
            return pb.UpdateResponse(properties=to_struct(self._resources.preview(request.urn, kind, inputs, old)))
        return pb.UpdateResponse(properties=to_struct(self._resources.update(request.urn, kind, old, inputs)))

    @answering
    def Delete(self, request: pb.DeleteRequest, context: grpc.ServicerContext) -> Empty:
        state = _state(request.id, request.old_inputs, request.properties)
        self._resources.delete(request.urn, kind_of(request.urn), state)
        return Empty()


def kind_of(urn: str) -> str:
    """The kind of part a URN (`urn:pulumi:STACK::PROJECT::PARENT$TYPE::NAME`) stands for."""
    token = urn.split("::")[2].rpartition("$")[2]
    if token not in TYPES:
        raise EnginehouseError(f"there is no resource type {token}; there are {', '.join(TYPES)}")
    return TYPES[token]


def _state(identity: str, inputs: Any, outputs: Any) -> State:
    from enginehouse.provider.resources import State

    return State(id=identity, inputs=to_plain(inputs), outputs=to_plain(outputs))


def _diff_response(changes: tuple[Change, ...]) -> pb.DiffResponse:
    return pb.DiffResponse(
        changes=pb.DiffResponse.DIFF_SOME if changes else pb.DiffResponse.DIFF_NONE,
        diffs=list(dict.fromkeys(str(change.path[0]) for change in changes)),
        replaces=[change.text for change in changes if change.replaces],
        deleteBeforeReplace=True,  # two of the same name would fight over one folder and the same ports
        hasDetailedDiff=True,
        detailedDiff={
            change.text: pb.PropertyDiff(kind=_DIFF_KINDS[change.kind, change.replaces], inputDiff=True)
            for change in changes
        },
    )


@dataclass(frozen=True)
class _Status(grpc.Status):  # type: ignore[misc]
    """What `abort_with_status` wants: a code, a text and the details as a header."""

    code: grpc.StatusCode
    details: str
    trailing_metadata: tuple[tuple[str, bytes], ...]


def _init_failed(unhealthy: Unhealthy) -> _Status:
    """The answer that makes the Pulumi engine store a resource together with what is wrong with it."""
    detail = pb.ErrorResourceInitFailed(
        id=unhealthy.state.id,
        inputs=to_struct(unhealthy.state.inputs),
        properties=to_struct(unhealthy.state.outputs),
        reasons=unhealthy.reasons,
    )
    code = grpc.StatusCode.UNKNOWN
    status = status_pb2.Status(code=code.value[0], message=str(unhealthy))
    status.details.add().Pack(detail)
    return _Status(code, str(unhealthy), (("grpc-status-details-bin", status.SerializeToString()),))
