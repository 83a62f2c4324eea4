"""NVIDIA's two repositories of packages, signed, and a machine that has a GPU as far as those can tell.

The packages are ours: they have the names, versions and dependencies of the real ones as far as these are documented,
and refuse what those would: a module is built only with the headers of the kernel that runs, `nvidia-smi` answers
only with a module of its own version, a module that is in use is not unloaded, and none is loaded while nouveau has
the GPU. Nothing of it is a driver: that a real one builds, loads and computes is not proved, nor how long it takes.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.hosts.lab import Machine
from tests.standins import nvidia_smi
from tests.standins.gpus import set_gpus, uuid

CAPTURES = Path(__file__).parents[1] / "captures"
PARTS = Path(__file__).with_name("nvidia")
TOOLKIT_VERSION = "1.18.0-1"
CUDA, TOOLKIT = "cuda/debian12/x86_64", "toolkit/stable/deb/amd64"
_DEPENDS = {
    "nvidia-kernel-open-dkms": "nvidia-standin-kmod",
    "nvidia-kernel-dkms": "nvidia-standin-kmod",
    "nvidia-driver-cuda": "libcuda1 (= {version}), python3-minimal",
}


class Repositories:
    """Both, in a folder that is served. Packages are added, then everything is signed by `sign`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[str] = []
        self.home = folder / "gpg"
        self.home.mkdir(mode=0o700, parents=True)
        self.keys = {name: self._key(name) for name in ("nvidia", "stranger")}
        """The fingerprints of the key that is trusted, and of another one that comes along with it."""
        for place in (CUDA, TOOLKIT):
            (folder / "served" / place).mkdir(parents=True)
        armoured = self._gpg("--armor", "--export")
        (folder / "served" / CUDA / "3bf863cc.pub").write_bytes(armoured)
        (folder / "served" / "toolkit" / "gpgkey").write_bytes(armoured)

    def add_driver(self, version: str) -> None:
        """That version for the kernel of this machine."""
        for name in ("nvidia-kernel-open-dkms", "nvidia-kernel-dkms"):
            self._driver_package(name, version, {"usr/lib/standin/built": f"{version}\n"}, postinst="build.sh")
        captures = self.folder / "captures"
        shutil.rmtree(captures, ignore_errors=True)
        captures.mkdir()
        for name in ("list.txt", "q.txt"):
            shutil.copy(CAPTURES / "l40s" / name, captures)
        set_gpus(captures, [uuid(1)], driver_version=version)
        files = {f"usr/lib/standin/l40s/{file.name}": file.read_text() for file in captures.iterdir()}
        files |= {
            "usr/lib/standin/nvidia_smi.py": Path(nvidia_smi.__file__).read_text(),
            "usr/lib/standin/no-driver.txt": (CAPTURES / "failures" / "no-driver.txt").read_text(),
            "usr/lib/standin/mismatch.txt": (CAPTURES / "failures" / "mismatch.txt").read_text(),
            "usr/bin/nvidia-smi": (PARTS / "nvidia-smi.sh").read_text(),
        }
        self._driver_package("nvidia-driver-cuda", version, files)
        self._driver_package("libcuda1", version, {"usr/lib/standin/library": f"{version}\n"})

    def add_rest(self) -> None:
        """What does not come in branches."""
        kernel = os.uname().release
        headers = {f"usr/src/linux-headers-{kernel}/Makefile": ""}
        self._package(CUDA, f"linux-headers-{kernel}", "1", headers)
        self.add_kernels()
        modprobe = (PARTS / "modprobe.sh").read_text()
        self._package(CUDA, "nvidia-standin-kmod", "1", {"usr/local/sbin/modprobe": modprobe})
        ctk = (PARTS / "nvidia-ctk.sh").read_text()
        hook = "#!/bin/sh\nexit 0\n"
        files = {"usr/bin/nvidia-ctk": ctk, "usr/bin/nvidia-container-runtime-hook": hook}
        self._package(TOOLKIT, "nvidia-container-toolkit", TOOLKIT_VERSION, files)

    def add_kernels(self) -> None:
        """The packages by which upgrades bring kernels and their headers, newer than any real one."""
        for name in ("linux-image-amd64", "linux-headers-amd64"):
            self._package(CUDA, name, "99", {})

    @property
    def kernels(self) -> bytes:
        """The package that a machine has kernels by."""
        return (self.folder / "served" / CUDA / "linux-image-amd64_99_amd64.deb").read_bytes()

    def sign(self, key: str = "nvidia") -> None:
        """What is in the folders now."""
        for place in (CUDA, TOOLKIT):
            folder = self.folder / "served" / place
            index = "\n".join(_entries(folder)).encode()
            (folder / "Packages").write_bytes(index)
            (folder / "Packages.gz").write_bytes(gzip.compress(index))
            sums = "".join(
                f" {hashlib.sha256(data).hexdigest()} {len(data)} {name}\n"
                for name in ("Packages", "Packages.gz")
                for data in ((folder / name).read_bytes(),)
            )
            date = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S UTC")
            text = f"Origin: NVIDIA\nLabel: NVIDIA CUDA\nArchitectures: amd64\nDate: {date}\nSHA256:\n{sums}"
            signed = self._gpg("--local-user", self.keys[key], "--clearsign", stdin=text.encode())
            (folder / "InRelease").write_bytes(signed)

    @contextmanager
    def served(self, host: str) -> Iterator[str]:
        """Over HTTP without TLS, where only the signature tells what is whose; yields the address."""
        asked = self.asked

        class Handler(SimpleHTTPRequestHandler):
            def log_message(self, format: str, *args: Any) -> None:
                asked.append(self.path)

        handler = partial(Handler, directory=str(self.folder / "served"))
        server = ThreadingHTTPServer((host, 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://{host}:{server.server_port}"
        finally:
            server.shutdown()
            server.server_close()

    def close(self) -> None:
        """End what keeps the secret keys."""
        _run("gpgconf", "--homedir", str(self.home), "--kill", "gpg-agent")

    def _driver_package(self, name: str, version: str, files: Mapping[str, str], postinst: str = "") -> None:
        depends = _DEPENDS.get(name, "").format(version=f"{version}-1")
        self._package(CUDA, name, f"{version}-1", files, depends, postinst)

    def _package(
        self, place: str, name: str, version: str, files: Mapping[str, str], depends: str = "", postinst: str = ""
    ) -> None:
        tree = self.folder / "trees" / f"{name}_{version}"
        control = f"Package: {name}\nVersion: {version}\nArchitecture: amd64\nMaintainer: t <t@example.invalid>\n"
        control += f"Depends: {depends}\n" if depends else ""
        control += "Description: stand-in for tests\n"
        if name.startswith("nvidia-kernel-"):
            control += "Provides: nvidia-kernel\nConflicts: nvidia-kernel\n"
        contents = {"DEBIAN/control": control, **files}
        if postinst:
            contents["DEBIAN/postinst"] = (PARTS / postinst).read_text()
        for path, content in contents.items():
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_text(content)
            (tree / path).chmod(0o755 if content.startswith("#!") else 0o644)
        target = self.folder / "served" / place / f"{name}_{version}_amd64.deb"
        _run("dpkg-deb", "-Znone", "--root-owner-group", "--build", str(tree), str(target))

    def _key(self, name: str) -> str:
        self._gpg("--passphrase", "", "--quick-gen-key", f"{name} <{name}@example.invalid>", "ed25519", "sign", "never")
        listed = self._gpg("--with-colons", "--list-keys", f"{name}@example.invalid").decode().splitlines()
        return next(line.split(":")[9] for line in listed if line.startswith("fpr:"))

    def _gpg(self, *words: str, stdin: bytes = b"") -> bytes:
        return _run("gpg", "--homedir", str(self.home), "--batch", "--quiet", *words, stdin=stdin)


def plug_in_gpu(machine: Machine, *, nouveau: bool = False) -> None:
    """Make the machine have an L40S on its bus, also after a reboot, when a module that was built is loaded."""
    machine.put("/opt/gpu.sh", (PARTS / "gpu.sh").read_bytes())
    unit = "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/opt/gpu.sh\n[Install]\nWantedBy=basic.target\n"
    machine.put("/etc/systemd/system/standin-gpu.service", unit.encode(), 0o644)
    machine.run(f"{'touch /opt/nouveau' if nouveau else ':'}; systemctl enable -q --now standin-gpu")


def _entries(folder: Path) -> Iterator[str]:
    for deb in sorted(folder.glob("*.deb")):
        data = deb.read_bytes()
        control = _run("dpkg-deb", "--field", str(deb)).decode().strip()
        yield f"{control}\nFilename: ./{deb.name}\nSize: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n"


def _run(*words: str, stdin: bytes = b"") -> bytes:
    done = subprocess.run(words, input=stdin, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, (words, done.stderr.decode())
    return done.stdout
