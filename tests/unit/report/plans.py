"""A plan made by hand, with one of everything a renderer has to show."""

from __future__ import annotations

from enginehouse.planner.parts import (
    Backend,
    Client,
    Connection,
    ConnectionKind,
    EndpointPart,
    File,
    GatewayLink,
    GatewayPart,
    HostPart,
    Limits,
    OnChange,
    Plan,
    ReplicaPart,
    Route,
    Scope,
    Server,
    Share,
    Side,
    WeightsPart,
)

LOCAL = Connection(kind=ConnectionKind.LOCAL)
SHA = "0123456789abcdef" * 4
CLIENTS = (
    Client(name="search", secrets=("search-2", "search-1"), requests_per_minute=600, concurrent=40),
    Client(name="demo", secrets=("key-demo",)),
)

HOST = HostPart(
    name="box",
    stack="demo",
    host="box",
    connection=LOCAL,
    tools={"haproxy": "2.6", "curl": "7.64"},
    files=(File(path="supervisord.conf", content="[supervisord]\n", on_change=OnChange.RESTART),),
)
WEIGHTS = WeightsPart(
    name="chat-weights-box",
    stack="demo",
    host="box",
    connection=LOCAL,
    source="upload://../models/tiny.gguf",
    sha256=SHA,
    file_name="tiny.gguf",
    path="@{state}/weights/0123456789abcdef/tiny.gguf",
)
REPLICA = ReplicaPart(
    name="chat-box-0",
    stack="demo",
    host="box",
    connection=LOCAL,
    renamed_from="assistant-box-0",
    deployment="chat",
    index=0,
    engine="llama-cpp",
    version="b11434",
    program="llama-server",
    args={
        "model": "@{state}/weights/0123456789abcdef/tiny.gguf",
        "ctx-size": "4096",
        "no-webui": True,
        "lora": ("a b.gguf", "c.gguf"),
        "port": "@{port}",
    },
    env={"LLAMA_LOG": "it's on"},
    weights=SHA,
    weights_path="@{state}/weights/0123456789abcdef/tiny.gguf",
    served_name="tiny",
    slots=2,
    context_tokens=2048,
    memory_mib=300,
    ports={"a": 20001, "b": 20002},
    ready_within_s=90,
    drain_s=60,
    gateway=GatewayLink(
        host="box", part="gateway-box", backend="be_chat", servers={"a": "chat-box-0-a", "b": "chat-box-0-b"}
    ),
)
GATEWAY = GatewayPart(
    name="gateway-box",
    stack="demo",
    host="box",
    connection=LOCAL,
    address="127.0.0.1",
    port=8080,
    metrics_port=20000,
    public=False,
    clients=CLIENTS,
    backends=(
        Backend(
            name="be_chat",
            deployment="chat",
            slots=2,
            context_tokens=2048,
            servers=tuple(
                Server(name=f"chat-box-0-{side}", replica="chat-box-0", side=side, port=REPLICA.ports[side.value])
                for side in Side
            ),
        ),
    ),
    limits=Limits(queue_s=30, first_token_s=120, total_s=1800),
    routes=(Route(names=("tiny", "gpt-4o-mini"), shares=(Share(backend="be_chat", weight=1),)),),
    files=(
        File(path="haproxy.cfg", content="global\n", on_change=OnChange.RELOAD),
        File(path="keys.map", content="@{sha256:key-demo} demo\n", on_change=OnChange.RELOAD, mode=0o600),
        File(path="hold.lua", content="-- hold\n", on_change=OnChange.RESTART),
    ),
)
ENDPOINT = EndpointPart(
    name="endpoint",
    stack="demo",
    host="box",
    connection=LOCAL,
    url="http://127.0.0.1:8080",
    models=("tiny",),
    aliases=("gpt-4o-mini",),
    public=False,
    clients=CLIENTS,
    behind=("chat-box-0", "gateway-box"),
)
PLAN = Plan(
    stack="demo",
    description="one of everything",
    scope=Scope.SHARED,
    hosts=(HOST,),
    weights=(WEIGHTS,),
    replicas=(REPLICA,),
    gateways=(GATEWAY,),
    endpoints=(ENDPOINT,),
)
