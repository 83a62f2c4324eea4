"""A stack that is its own authority: the certificate is made, renewed and mended on the machine, and its keys stay."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509

from enginehouse.converge import foresee
from enginehouse.converge.steps import Effect
from enginehouse.planner.codec import to_plain
from enginehouse.render.templates import render
from tests.converge.harness import World
from tests.converge.load import load, wait_for_answers

HOSTNAME = "llm.example"
TLS = {"mode": "own_ca", "names": ["127.0.0.1"]}


@pytest.fixture
def sealed(shared: World) -> World:
    """A stack that is up with a certificate of its own, whatever the test before did to it."""
    shared.reset()
    shared.settings["endpoint"] = {"hostname": HOSTNAME, "tls": TLS}
    shared.up()
    trust(shared)
    shared.events.clear()
    return shared


def trust(world: World) -> str:
    """As a client is told to, by the output of the stack; nothing else."""
    authority: str = world.converge(world.plan().endpoints[0])["ca_certificate"]
    world.trusted = ssl.create_default_context(cadata=authority)
    return authority


def shown(world: World) -> bytes:
    """The certificate that a client gets, once it has verified it, with the name in its hello."""
    assert world.trusted
    plain = socket.create_connection(("127.0.0.1", world.port), timeout=60)
    with plain, world.trusted.wrap_socket(plain, server_hostname=HOSTNAME) as connection:
        found = connection.getpeercert(binary_form=True)
    assert found is not None
    return found


def authority(world: World) -> Path:
    return world.place("own_ca", "ca.pem")


def certificate(world: World) -> Path:
    return world.place("gateway-box", "tls", "server.pem")


def test_clients_need_the_authority_alone(sealed: World) -> None:
    """It is an output; the next `up` finds nothing to do."""
    assert sealed.ask()[0] == 200
    assert trust(sealed) == authority(sealed).read_text()
    before = sealed.snapshot()
    sealed.up()
    assert sealed.snapshot() == before


def test_its_end_is_a_metric_and_in_what_is_observed(sealed: World) -> None:
    """As it is in the certificate that clients get."""
    observed = sealed.observe(sealed.gateway())
    assert observed is not None
    ends = x509.load_der_x509_certificate(shown(sealed)).not_valid_after_utc
    assert observed.certificate_ends == ends
    assert f"\nenginehouse_certificate_end_timestamp_seconds {int(ends.timestamp())}\n" in sealed.metrics()


def test_the_authority_survives_its_gateway(sealed: World) -> None:
    """A gateway that is destroyed and brought again shows another certificate that the same clients accept."""
    before = authority(sealed).read_text(), shown(sealed)
    sealed.destroy(sealed.gateway())
    assert not certificate(sealed).exists()
    assert "gateway-box/certificates" not in sealed.processes().values()
    sealed.up()
    assert authority(sealed).read_text() == before[0]
    assert shown(sealed) != before[1]


def test_a_certificate_that_ends_soon_is_renewed_by_the_machine(sealed: World) -> None:
    """Under load, without a run, a reload or a failed request; the journal tells of it."""
    before = shown(sealed)
    with load(sealed) as count:
        wait_for_answers(count, 4)
        reissue(sealed, days=29)
        sealed.kill("gateway-box/certificates")  # it looks at once when it is started again
        sealed.wait_until(lambda: shown(sealed) != before)
        wait_for_answers(count, 4)
    assert count.failed == []
    assert "ends within 30 days" in sealed.journal("renewed")[-1].text
    assert foresee(sealed.gateway(), sealed.context()).effect is Effect.NOTHING


def test_one_that_lasts_is_left_alone(sealed: World) -> None:
    """Twin: the same with two days more is shown as it is, so it was looked at."""
    reissue(sealed, days=31)
    before = certificate(sealed).read_text()
    made = ssl.PEM_cert_to_DER_cert(before[before.index("-----BEGIN") : before.index("-----BEGIN PRIVATE")])
    sealed.kill("gateway-box/certificates")
    sealed.wait_until(lambda: shown(sealed) == made)
    assert foresee(sealed.gateway(), sealed.context()).effect is Effect.NOTHING
    assert certificate(sealed).read_text() == before


def test_only_a_run_makes_another_authority(sealed: World) -> None:
    """The machine alone goes on with the one that clients know, whatever is wrong with it."""
    before = authority(sealed).read_text()
    sealed.place("own_ca", "ca.key").chmod(0o644)
    sealed.kill("gateway-box/certificates")  # it looks at once when it is started again
    sealed.wait_until(lambda: bool(sealed.journal("not-renewed")))
    assert "others may read the authority's private key" in sealed.journal("not-renewed")[-1].text
    assert (authority(sealed).read_text(), sealed.ask()[0]) == (before, 200)
    sealed.up()
    assert trust(sealed) != before
    assert sealed.ask()[0] == 200


DAMAGES: dict[str, tuple[Callable[[World], object], str]] = {
    "the certificate is gone": (lambda world: certificate(world).unlink(), "has no certificate"),
    "the certificate is cut off": (lambda world: cut(certificate(world)), "not a pair"),
    "others may read the key": (lambda world: certificate(world).chmod(0o644), "others may read"),
    "the authority is gone": (lambda world: shutil.rmtree(authority(world).parent), "has no authority"),
    "its key is another": (lambda world: new_key(world.place("own_ca", "ca.key")), "authority's certificate and"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_what_was_altered_on_the_machine_is_found_and_healed(sealed: World, name: str) -> None:
    """By a preview, in words, and by the next `up`, whose reload shows what was made anew."""
    damage, words = DAMAGES[name]
    sealed.supervisor().stop("certificates")  # else it would be quicker
    damage(sealed)
    observed = sealed.observe(sealed.gateway())
    assert observed is not None
    assert words in observed.inputs["drift"]["certificate"]
    assert observed.inputs["drift"]["renewal of the certificate"] == "does not run"
    assert foresee(sealed.gateway(), sealed.context()).effect is Effect.RELOAD
    sealed.up()
    trust(sealed)
    assert sealed.ask()[0] == 200
    assert foresee(sealed.gateway(), sealed.context()).effect is Effect.NOTHING


def test_another_name_is_another_certificate_of_the_same_authority(sealed: World) -> None:
    """Clients go on with what they have."""
    before = authority(sealed).read_text()
    sealed.settings["endpoint"] = {"hostname": "other.example", "tls": TLS}
    sealed.up()
    assert authority(sealed).read_text() == before
    assert sealed.ask()[0] == 200


def test_without_tls_the_program_ends(sealed: World) -> None:
    """And the authority stays, for the day that it is wanted again."""
    before = authority(sealed).read_text()
    sealed.settings["endpoint"] = {}
    sealed.trusted = None
    sealed.up()
    assert "gateway-box/certificates" not in sealed.processes().values()
    assert (sealed.ask()[0], authority(sealed).read_text()) == (200, before)


def test_the_private_keys_are_nowhere_but_in_their_files(sealed: World) -> None:
    """Neither in what a run is told by the machine, nor in what it tells and records."""
    files = {certificate(sealed), sealed.place("own_ca", "ca.key")}
    lines = [file.read_text().split("PRIVATE KEY-----")[1].split()[0] for file in files]
    told = f"{to_plain(sealed.plan())}{sealed.observe(sealed.gateway())}{sealed.texts()}"
    assert "BEGIN CERTIFICATE" in certificate(sealed).read_text()
    assert not any(line in told for line in lines)
    holding = {
        file
        for file in sealed.state.rglob("*")
        if file.is_file() and any(line in file.read_text(errors="replace") for line in lines)
    }
    assert (holding, {file.stat().st_mode & 0o777 for file in files}) == (files, {0o600})


def test_no_list_of_processes_shows_the_private_key(tmp_path: Path) -> None:
    """Where HAProxy is handed a renewed certificate, curl reads it instead of being started with it."""
    home = tmp_path / "demo" / "gateway"
    (home / "tls").mkdir(parents=True)
    (home / "tls" / "server.pem").write_text("names\nprivate\n")
    functions = render("host/keep_certificates.sh").partition("\nwhile ")[0]
    curl = f'curl() {{ echo "$*" >>{tmp_path}/words; cat >>{tmp_path}/read; }}'
    sh(f"{functions}\n{curl}\nshow", str(tmp_path), "demo", "gateway", "")
    private = b"%private".hex("%")[2:]
    assert private not in (tmp_path / "words").read_text()
    assert private in (tmp_path / "read").read_text()


@pytest.mark.parametrize(("names", "renews"), [(f"DNS:{HOSTNAME}", True), ("DNS:former.example", False)])
def test_a_certificate_for_the_names_of_a_newer_run_is_left_alone(tmp_path: Path, names: str, renews: bool) -> None:
    """The program from before the run still looks, a moment long; one that knows the names renews it."""
    made = sh(f"{functions_of(tmp_path / 'demo')}\nmake_certificate")
    file = tmp_path / "demo" / "gateway" / "tls" / "server.pem"
    before = file.read_text()
    functions = render("host/certificates.sh") + render("host/keep_certificates.sh").partition("\nwhile ")[0]
    renewed = sh(f"{functions}\nrenew", str(tmp_path), "demo", "gateway", names)
    assert (made.returncode, renewed.returncode == 0) == (0, renews), renewed.stderr
    assert (file.read_text() != before) is renews


def functions_of(folder: Path) -> str:
    """What makes certificates, for a stack in that folder."""
    places = f"authority='{folder}/own_ca' home='{folder}/gateway' stack=demo names=DNS:{HOSTNAME}"
    return f"umask 077\n{places}\n{render('host/certificates.sh')}"


def test_a_client_whose_clock_is_behind_takes_a_new_certificate(tmp_path: Path) -> None:
    """Also right after it was made, and one whose clock is right; in a folder whose name has a blank."""
    folder = tmp_path / "a state"
    assert sh(f"{functions_of(folder)}\nmake_certificate && certificate_fault").stdout == ""
    for ago in (0, 3500):
        at = ("-attime", str(int(time.time()) - ago))
        openssl("verify", *at, "-CAfile", f"{folder}/own_ca/ca.pem", f"{folder}/gateway/tls/server.pem")
    left = sorted(file.name for file in (folder / "own_ca").iterdir())
    assert left == ["ca.key", "ca.pem", "lock"]


@pytest.mark.parametrize("failing", ["req", "ca"])
def test_a_full_disk_takes_no_authority_away(tmp_path: Path, failing: str) -> None:
    """openssl writes an empty file then, and may say that all went well. Its twin has room."""
    key, certificate = tmp_path / "own_ca" / "ca.key", tmp_path / "own_ca" / "ca.pem"
    functions = functions_of(tmp_path)
    full = f"""trap '' XFSZ
        openssl() {{ case $1 in {failing}) (ulimit -f 0; command openssl "$@") ;; *) command openssl "$@" ;; esac; }}"""
    assert sh(f"{functions}\nmake_certificate").returncode == 0
    before = key.read_text(), certificate.read_text()
    key.chmod(0o644)  # so that it has to be made anew
    assert sh(f"{functions}\n{full}\nmake_certificate").returncode != 0
    assert (key.read_text(), certificate.read_text()) == before
    assert sh(f"{functions}\nmake_certificate && certificate_fault").stdout == ""
    assert key.read_text() != before[0]


def sh(script: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(("sh", "-c", script, "sh", *words), capture_output=True, text=True, timeout=120, check=False)


def reissue(world: World, *, days: int) -> None:
    """The certificate that is there, with so many days left from now."""
    file, folder = certificate(world), world.place("own_ca")
    names, ends = file.read_text().splitlines()[0].split()
    extensions = world.folder / "extensions"
    extensions.write_text(f"subjectAltName = {names}\nextendedKeyUsage = serverAuth\n")
    request = openssl("req", "-new", "-key", str(file), "-subj", "/O=Enginehouse")
    signing = ("-CA", f"{folder}/ca.pem", "-CAkey", f"{folder}/ca.key", "-set_serial", "77", "-days", str(days))
    made = openssl("x509", "-req", *signing, "-extfile", str(extensions), stdin=request)
    key = openssl("pkey", "-in", str(file))
    new = file.with_suffix(".test")
    new.touch(mode=0o600)
    new.write_text(f"{names} {ends}\n{made}{key}")
    new.rename(file)


def new_key(file: Path) -> None:
    file.write_text(openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"))


def cut(file: Path) -> None:
    file.write_text(file.read_text()[:400])


def openssl(*words: str, stdin: str = "") -> str:
    done = subprocess.run(("openssl", *words), input=stdin, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout
