"""The certificate that a stack names. What each mistake reads like is in tests/golden/diagnostics."""

from __future__ import annotations

import base64
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption

from enginehouse.certificates import is_named, key_fault, names
from enginehouse.spec import Loaded, load
from tests.certificates import ENDS, STARTS, authority, issue, key_pem, made
from tests.unit.spec.stacks import STACK

ROOT = authority()
P256, SM2 = bytes.fromhex("2a8648ce3d030107"), bytes.fromhex("2a811ccf5501822d")
"""Two curves, as keys name theirs."""
TLS = """\
  hostname: {hostname}
  tls: {{mode: files, certificate: tls/llm.pem, private_key: {{secret: tls-key}}}}
  port"""


def written(folder: Path, text: str, *, hostname: str = "llm.example", now: datetime | None = None) -> Loaded:
    """The stack with that file as its certificate."""
    (folder / "tls").mkdir(exist_ok=True)
    (folder / "tls" / "llm.pem").write_text(text)
    path = folder / "demo.yaml"
    path.write_text(STACK.replace("  port", TLS.format(hostname=hostname)))
    return load(path, now=now)


def codes(loaded: Loaded) -> list[str]:
    return [str(d.code) for d in loaded.diagnostics]


def test_what_the_file_holds_is_in_the_spec(tmp_path: Path) -> None:
    """Certificates alone: remarks around them are nobody's business on the machine."""
    leaf = issue(ROOT, "llm.example")
    loaded = written(tmp_path, f"subject=llm\n{leaf.pem}remark\n{ROOT.pem}")
    assert loaded.spec is not None
    assert codes(loaded) == []
    given = loaded.spec.endpoint.tls.given
    assert given is not None
    assert (given.chain, given.anchor, given.ends) == (leaf.pem + ROOT.pem, ROOT.pem, "2126-11-01T00:00:00+00:00")


@pytest.mark.parametrize(
    ("before", "code"),
    [
        (timedelta(days=15), []),
        (timedelta(days=14), ["certificate-ends-soon"]),
        (timedelta(seconds=1), ["certificate-ends-soon"]),
        (timedelta(0), ["certificate-ended"]),
    ],
)
def test_the_end_is_told_before_it_comes(tmp_path: Path, before: timedelta, code: list[str]) -> None:
    """A warning for two weeks, then an error."""
    assert codes(written(tmp_path, issue(ROOT, "llm.example").pem, now=ENDS - before)) == code


@pytest.mark.parametrize(
    ("hostname", "fits"),
    [
        ("llm.example", True),
        ("LLM.Example", True),
        ("berlin.shops.example", True),
        ("10.1.0.11", True),
        ("fd00:0:0::1", True),
        ("shops.example", False),
        ("a.berlin.shops.example", False),
        ("10.1.0.12", False),
        ("xllm.example", False),
        ("example", False),
    ],
)
def test_the_hostname_is_in_the_certificate(hostname: str, fits: bool) -> None:
    """As clients compare them: without case, a star for just one label, addresses as addresses."""
    leaf = issue(ROOT, "llm.example", "*.shops.example", "10.1.0.11", "fd00::1")
    assert is_named(leaf.certificate, hostname) == fits


@pytest.mark.parametrize(
    ("names", "code"), [(["*.shops.example"], []), (["berlin.shops.example"], ["certificate-of-others"])]
)
def test_the_certificate_is_for_every_host(tmp_path: Path, names: list[str], code: list[str]) -> None:
    """Where each has a name of its own."""
    (tmp_path / "tls").mkdir()
    (tmp_path / "tls" / "llm.pem").write_text(issue(ROOT, *names).pem)
    path = tmp_path / "demo.yaml"
    text = STACK.replace("{local: {}}", "{ssh: {hosts: {berlin: {}, rome: {}}}}")
    endpoint = TLS.format(hostname='"{host}.shops.example"').replace("  port", "  scope: each_host\n  port")
    path.write_text(text.replace("  port", endpoint))
    assert codes(load(path)) == code


def test_a_subject_is_no_name() -> None:
    """Clients look at the subject alternative name only."""
    assert names(ROOT.certificate) == ()
    assert not is_named(ROOT.certificate, "Test CA")


def test_a_certificate_signed_by_itself_is_a_chain(tmp_path: Path) -> None:
    """Its clients have it as their authority."""
    assert codes(written(tmp_path, issue(None, "llm.example").pem)) == []


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.mkdir(),
        os.mkfifo,
        lambda path: path.write_bytes(b"\x30\x82" * 40_000),
        lambda path: path.write_bytes(b"\x30\x82\x01\x0a"),
        lambda path: path.touch(),
    ],
    ids=["a folder", "a pipe", "large", "DER", "empty"],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, make: object) -> None:
    """And is not waited for."""
    (tmp_path / "tls").mkdir()
    assert callable(make)
    make(tmp_path / "tls" / "llm.pem")
    path = tmp_path / "demo.yaml"
    path.write_text(STACK.replace("  port", TLS.format(hostname="llm.example")))
    assert codes(load(path)) == ["bad-certificate"]


def test_an_extension_that_is_damaged_is_told(tmp_path: Path) -> None:
    """It is read only when somebody asks for it, which is here."""
    alternatives = x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, b"\x30\x7f")
    assert codes(written(tmp_path, made("llm.example", None, STARTS, ENDS, [(alternatives, False)]).pem)) == [
        "bad-certificate"
    ]


def test_nothing_is_concluded_from_a_hostname_that_is_wrong(tmp_path: Path) -> None:
    """Only its shape is told."""
    assert codes(written(tmp_path, issue(ROOT, "llm.example").pem, hostname="[1]")) == ["wrong-type"]


def test_a_private_key_is_judged_without_being_told() -> None:
    """Fitting, of another certificate, with a passphrase, no key at all."""
    ours, other = issue(ROOT, "llm.example"), issue(ROOT, "llm.example")
    secret = key_pem(ours.key, BestAvailableEncryption(b"pass"))
    assert key_fault(ours.key_pem, ours.certificate) is None
    assert key_fault(ours.key_pem.rstrip(), ours.certificate) is None
    der = base64.b64decode("".join(ours.key_pem.splitlines()[1:-1])).replace(P256, SM2)
    rare = f"-----BEGIN PRIVATE KEY-----\n{base64.b64encode(der).decode()}\n-----END PRIVATE KEY-----\n"
    faults = {
        other.key_pem: "another certificate",
        secret: "passphrase",
        "sk-poison": "no private key",
        rare: "rare kind",
    }
    for text, word in faults.items():
        fault = key_fault(text, ours.certificate)
        assert fault is not None
        assert word in fault
        assert text.splitlines()[len(text.splitlines()) // 2] not in fault


def test_this_clock_is_used_by_default(tmp_path: Path) -> None:
    """A certificate that ended an hour ago."""
    now = datetime.now(UTC).replace(microsecond=0)
    assert codes(written(tmp_path, issue(ROOT, "llm.example", ends=now - timedelta(hours=1)).pem)) == [
        "certificate-ended"
    ]
