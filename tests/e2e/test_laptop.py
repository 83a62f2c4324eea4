"""The laptop stack for real: Pulumi engine, own provider, supervisord, llama-server with the demo model, HAProxy.

The tests share one deployment and run in file order: each describes the state the one before left.
"""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from .client import Answer, Client
from .deployment import MODEL, POISON, STACK, Deployment
from .stranger import Stranger

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]


def test_up_ends_with_a_proven_endpoint(deployed: Deployment) -> None:
    """`pulumi up` says what it made, and its outputs are what a client needs."""
    assert deployed.outputs() == {
        "url": deployed.url,
        "models": [MODEL],
        "key_names": ["demo"],
        "hosts": ["laptop"],
    }


@pytest.mark.parametrize("key", [None, "wrong", POISON + "x", POISON[:-1], "*"])
def test_without_its_key_nobody_gets_in(deployed: Deployment, key: str | None) -> None:
    """401 in the shape OpenAI clients understand."""
    answer = Client(url=deployed.url, key=key).chat(MODEL, "hello")
    assert answer.status == 401
    assert answer.json()["error"]["message"]


def test_a_chat_completion_is_answered(client: Client) -> None:
    """The model gives text, under the name the stack gave it."""
    answer = client.chat(MODEL, "What is the capital of France?", max_tokens=64)
    assert answer.status == 200
    assert answer.json()["model"] == MODEL
    assert any(c.isalpha() for c in answer.json()["choices"][0]["message"]["content"])
    assert answer.json()["usage"]["completion_tokens"] > 0


def test_a_stream_arrives_in_pieces_and_ends(client: Client) -> None:
    """Server-sent events up to [DONE]."""
    answer = client.chat(MODEL, "Count to five.", stream=True)
    events = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: ")]
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert len(events) > 3
    assert events[-1] == "[DONE]"


def test_the_models_are_listed(client: Client) -> None:
    """As OpenAI's API lists them."""
    assert [m["id"] for m in client.ask("GET", "/v1/models").json()["data"]] == [MODEL]


def test_another_model_is_not_found(client: Client) -> None:
    """llama-server itself ignores the name; the gateway does not."""
    answer = client.chat("gpt-4o", "hello")
    assert (answer.status, answer.json()["error"]["code"]) == (404, "model_not_found")


@pytest.mark.parametrize(
    "path", ["/", "/slots", "/metrics", "/props", "/v1/chat/completions/../../slots", "//slots", "/v1/embeddings"]
)
def test_nothing_else_of_the_engine_is_reachable(client: Client, path: str) -> None:
    """The allow list holds, also against tricks with the path."""
    assert client.ask("GET", path).status == 404


def test_health_needs_no_key(deployed: Deployment) -> None:
    """A load balancer in front can ask."""
    assert Client(url=deployed.url).ask("GET", "/health").status == 200


def test_metrics_are_on_loopback(deployed: Deployment) -> None:
    """Prometheus finds HAProxy's own metrics with our names in them."""
    metrics = Client(url=f"http://127.0.0.1:{deployed.plan().gateways[0].metrics_port}").ask("GET", "/metrics").text
    assert 'haproxy_server_status{proxy="be_chat",server="chat-laptop-0-a"' in metrics


def test_only_loopback_is_listened_on(deployed: Deployment) -> None:
    """Neither engine nor gateway answer on another address of this machine."""
    assert deployed.listening_addresses() == {"127.0.0.1"}


def test_a_second_up_changes_nothing(deployed: Deployment) -> None:
    """Unchanged, and every process is the one from before."""
    before = deployed.processes()
    output = deployed.pulumi("up", "--yes", "--skip-preview")
    assert "unchanged" in output
    assert " updated" not in output
    assert " created" not in output
    assert deployed.processes() == before


def test_preview_names_the_changed_argument(deployed: Deployment) -> None:
    """A semantic diff, not a rendered file."""
    deployed.edit("context_tokens: 2048", "context_tokens: 1024")
    output = deployed.pulumi("preview", "--diff")
    assert "~ args" in output
    assert '~ ctx-size: "4096" => "2048"' in output
    assert re.search(r"chat-laptop-0: restart: release .* beside the running one \(\d+ MiB needed, \d+ free\)", output)
    assert "endpoint: proof:" in output
    assert POISON not in output


def test_clients_do_not_see_the_switch(deployed: Deployment, client: Client) -> None:
    """While `up` replaces the engine, a closed loop of requests gets no failure."""
    stop = threading.Event()
    answers: list[Answer] = []

    def loop() -> None:
        while not stop.is_set():
            answers.append(client.chat(MODEL, "Say hi.", max_tokens=4))

    loops = [threading.Thread(target=loop) for _ in range(2)]
    for thread in loops:
        thread.start()
    try:
        deployed.pulumi("up", "--yes", "--skip-preview")
    finally:
        stop.set()
        for thread in loops:
            thread.join()
    assert {a.status for a in answers} == {200}
    arguments = deployed.engine_arguments()
    assert arguments[arguments.index("--ctx-size") + 1] == "2048"


def test_a_release_that_cannot_start_leaves_the_old_one_serving(deployed: Deployment, client: Client) -> None:
    """The resource fails with the engine's own words, the endpoint answers on, and a mended file mends the stack."""
    deployed.edit("threads: 2", "threads: 2\n      chat-template-file: /nowhere.jinja")
    output = deployed.pulumi("up", "--yes", "--skip-preview", expect=None)
    assert "/nowhere.jinja" in output
    assert client.chat(MODEL, "hello").status == 200
    deployed.edit("\n      chat-template-file: /nowhere.jinja", "")
    deployed.pulumi("up", "--yes", "--skip-preview")
    assert client.chat(MODEL, "hello").status == 200


def test_a_killed_engine_comes_back_by_itself_and_is_no_drift(deployed: Deployment, client: Client) -> None:
    """The supervisor's work is not a change."""
    engine = deployed.pid_of("llama-server")
    os.kill(engine, signal.SIGKILL)
    deployed.wait_until(lambda: client.chat(MODEL, "hello").status == 200)
    assert deployed.pid_of("llama-server") != engine
    assert "unchanged" in deployed.pulumi("up", "--yes", "--skip-preview")


def test_a_hand_edited_file_is_named_and_healed(deployed: Deployment) -> None:
    """preview looks at the machine; up puts back exactly that."""
    config = deployed.placed("haproxy.cfg")
    original = config.read_text()
    config.write_text(original + "# by hand\n")
    assert "haproxy.cfg" in deployed.pulumi("preview", "--diff")
    deployed.pulumi("up", "--yes", "--skip-preview")
    assert config.read_text() == original


@pytest.mark.parametrize(
    ("broken", "named", "healed"),
    [
        (
            lambda d: d.placed("keys.map").chmod(0o644),
            'keys.map: "mode 644 on the machine',
            ["gateway-laptop", "endpoint"],
        ),
        (lambda d: d.stop_gateway(), "running: false => true", ["gateway-laptop", "endpoint"]),
        (lambda d: d.manifest("chat-laptop-0").unlink(), 'manifest: "missing"', ["chat-laptop-0", "endpoint"]),
        (
            lambda d: d.placed("*.gguf").unlink(),
            'weights: "missing on the machine"',
            ["chat-weights-laptop", "chat-laptop-0"],
        ),
        (lambda d: (d.state / STACK).chmod(0o755), '"mode 755, not 700"', ["laptop"]),
    ],
    ids=["rights of a file", "a stopped program", "a manifest", "weights", "rights of a folder"],
)
def test_what_is_broken_by_hand_is_named_and_only_that_is_updated(
    deployed: Deployment, client: Client, broken: Callable[[Deployment], object], named: str, healed: list[str]
) -> None:
    """The endpoint is proved again when what is behind it changed; then nothing is left to do."""
    broken(deployed)
    assert named in deployed.pulumi("preview", "--diff")
    output = deployed.pulumi("up", "--yes", "--skip-preview")
    assert re.findall(r"^ ~ +\S+ (\S+) updated", output, re.MULTILINE) == healed
    assert client.chat(MODEL, "hello").status == 200
    assert " to update" not in deployed.pulumi("preview")


def test_no_key_is_sent_to_a_stranger_on_our_port(deployed: Deployment) -> None:
    """While the gateway is down, whoever takes its port learns nothing from a preview; `up` then says who is there."""
    heard: list[bytes] = []
    deployed.stop_gateway()
    with Stranger(deployed.port, heard):
        deployed.pulumi("preview", "--diff")
        output = deployed.pulumi("up", "--yes", "--skip-preview", expect=None)
    assert "is taken by" in output
    assert [text for text in heard if POISON.encode() in text] == []
    deployed.pulumi("up", "--yes", "--skip-preview")


def test_the_stranger_does_listen(deployed: Deployment, free_port: int) -> None:
    """Twin: a key that is sent to it is heard."""
    heard: list[bytes] = []
    with Stranger(free_port, heard):
        Client(url=f"http://127.0.0.1:{free_port}", key=POISON).ask("GET", "/v1/models")
    assert [text for text in heard if POISON.encode() in text] != []


def test_the_key_is_nowhere(deployed: Deployment, tmp_path: Path) -> None:
    """The poison value is in no state, plan, render, log, process list, and in no file."""
    places = {
        "state export": deployed.pulumi("stack", "export"),
        "plan": deployed.enginehouse("plan", deployed.stack_file, "--format", "json"),
        "process list": "\n".join(deployed.command_lines()),
        "environments": "\n".join(deployed.environments()),
    }
    deployed.enginehouse("render", deployed.stack_file, "--out", tmp_path / "out")
    files = [p for root in (deployed.state, deployed.project, tmp_path) for p in root.rglob("*") if p.is_file()]
    places |= {str(p): p.read_bytes().decode(errors="replace") for p in files if p.suffix != ".gguf"}
    assert [name for name, text in places.items() if POISON in text] == []


def test_the_search_for_the_key_can_find_it(deployed: Deployment) -> None:
    """Twin: what is really there is found by the same means; the key's hash stands in one file, for its owner alone."""
    digest = deployed.key_sha256()
    files = [p for p in deployed.state.rglob("*") if p.is_file() and not p.is_symlink()]
    holders = [p for p in files if digest.encode() in p.read_bytes()]
    assert holders
    assert {stat.S_IMODE(p.stat().st_mode) & 0o077 for p in holders} == {0}


def test_no_file_is_open_to_others(deployed: Deployment) -> None:
    """What Enginehouse writes on a machine, only its user (and group) can read."""
    files = [p for p in deployed.state.rglob("*") if p.is_file() and not p.is_symlink()]
    assert [p for p in files if p.stat().st_mode & 0o007] == []


def test_the_log_says_who_asked_for_what(deployed: Deployment) -> None:
    """One JSON object a line, with the client's name and the model."""
    lines = [json.loads(x) for x in deployed.access_log().splitlines() if x.startswith("{")]
    assert {"demo"} <= {line["client"] for line in lines}
    assert MODEL in {line["model"] for line in lines}


def test_a_renamed_deployment_is_replaced_nowhere(deployed: Deployment, client: Client) -> None:
    """`renamed_from` keeps the resources; the endpoint answers all the while."""
    deployed.edit("  chat:\n", "  talk:\n    renamed_from: chat\n")
    preview = deployed.pulumi("preview", "--diff")
    assert "replace" not in preview
    assert "delete" not in preview
    deployed.pulumi("up", "--yes", "--skip-preview")
    assert client.chat(MODEL, "hello").status == 200


def test_status_is_a_table(deployed: Deployment) -> None:
    """What runs, at a glance; exit code 0 because all is as planned."""
    output = deployed.enginehouse("status", deployed.stack_file)
    assert "serving" in output or "running" in output


def test_destroy_leaves_the_weights_and_says_so(deployed: Deployment) -> None:
    """Nothing runs, nothing is left but the cache of weights."""
    output = deployed.pulumi("destroy", "--yes", "--skip-preview")
    assert "weights" in output
    assert deployed.processes() == {}
    left = {p.relative_to(deployed.state).parts[0] for p in deployed.state.rglob("*") if p.is_file()}
    assert left <= {"weights", "host"}
