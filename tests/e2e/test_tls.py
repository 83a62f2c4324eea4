"""The stack over TLS, through the Pulumi engine: its own authority as an output, then a certificate of the person's."""

from __future__ import annotations

import http.client
import json
import ssl

import pytest

from tests.certificates import authority, issue
from tests.e2e.deployment import POISON, Deployment

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]
NAMES = ("localhost", "127.0.0.1")


def test_tls_through_pulumi(deployed: Deployment) -> None:
    """Previews name what happens, clients need the outputs alone, and the private key is in no state and no output."""
    deployed.edit("  port:", "  tls: {mode: own_ca}\n  port:")
    preview = deployed.pulumi("preview", "--diff")
    assert "reload" in preview
    assert "tls" in preview
    deployed.pulumi("up", "--yes", "--skip-preview")
    outputs = deployed.outputs()
    assert outputs["url"] == f"https://127.0.0.1:{deployed.port}"
    assert status(deployed, outputs["ca_certificate"]) == 200
    assert "unchanged" in deployed.pulumi("up", "--yes", "--skip-preview")

    root = authority()
    pair = issue(root, *NAMES)
    (deployed.project / "stacks" / "llm.pem").write_text(pair.pem)
    deployed.edit("{mode: own_ca}", "{mode: files, certificate: llm.pem, private_key: {secret: tls-key}}")
    assert "config set --stack e2e --secret tls-key" in deployed.pulumi("preview", expect=None)
    deployed.pulumi("config", "set", "--secret", "tls-key", stdin=issue(root, *NAMES).key_pem)
    assert "it belongs to another certificate" in deployed.pulumi("preview", expect=0)
    deployed.pulumi("config", "set", "--secret", "tls-key", stdin=pair.key_pem)
    told = deployed.pulumi("up", "--yes", "--diff")
    assert "ca_certificate" not in deployed.outputs()
    assert status(deployed, pair.pem) == 200
    line = pair.key_pem.splitlines()[1]
    state = deployed.pulumi("stack", "export")
    assert line not in told + state
    assert pair.pem.splitlines()[1] in state
    assert "certificate ends in" in deployed.enginehouse("status", deployed.stack_file)


def status(deployed: Deployment, trusted: str) -> int:
    """Of a request with the key, by a client that trusts this certificate alone."""
    context = ssl.create_default_context(cadata=trusted)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    connection = http.client.HTTPSConnection("127.0.0.1", deployed.port, context=context, timeout=60)
    connection.request("GET", "/v1/models", headers={"Authorization": f"Bearer {POISON}"})
    answer = connection.getresponse()
    assert json.loads(answer.read())["object"] == "list"
    return answer.status
