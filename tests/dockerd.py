"""A Docker daemon of our own, which leaves nothing of what the machine's own one has."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

RUNTIME = Path(__file__).with_name("hosts") / "oci_runtime"
START_S = 120.0
COMMAND_S = 900.0


def require_docker(*more: Path) -> None:
    """Without what runs containers, or those files, the test is skipped, or fails with REQUIRE_ALL=1."""
    lacking = [name for name in ("dockerd", "docker", "iptables", "ip") if shutil.which(name) is None]
    lacking += [str(file) for file in more if not file.exists()]
    if os.geteuid() == 0 and not lacking:
        return
    reason = f"containers of their own need root, {', '.join(lacking)}; as root `make test` brings them"
    if os.environ.get("REQUIRE_ALL") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def docker(folder: Path, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """The client of the daemon in that folder."""
    argv = ("docker", "-H", socket(folder), *words)
    return subprocess.run(argv, input=stdin, capture_output=True, timeout=COMMAND_S, check=False)


def socket(folder: Path) -> str:
    return f"unix://{folder}/docker.sock"


@contextlib.contextmanager
def dockerd(folder: Path, *options: str, gpus: bool = False) -> Iterator[None]:
    """A daemon with everything in that folder, and no network of its own.

    With `gpus` it takes the machine for one that has NVIDIA's container toolkit: it accepts what is asked for of
    devices and passes it on to a hook that does nothing. That a container sees a GPU is not proved.
    """
    argv = (
        "dockerd",
        f"--data-root={folder}/data",
        f"--exec-root={folder}/exec",
        f"--host={socket(folder)}",
        f"--pidfile={folder}/pid",
        f"--config-file={folder}/docker.json",
        "--storage-driver=overlay2",
        "--bridge=none",
        f"--add-runtime=lab={RUNTIME}",
        "--default-runtime=lab",
        *options,
    )
    (folder / "docker.json").write_text("{}")
    hooks = folder / "hooks"
    if gpus:
        hooks.mkdir()
        (hooks / "nvidia-container-runtime-hook").symlink_to("/bin/true")
    with (folder / "dockerd.log").open("w") as log:
        environment = {**os.environ, "PATH": f"{hooks}:{os.environ['PATH']}"}
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True
        )
    try:
        until = time.monotonic() + START_S
        while docker(folder, "version").returncode != 0:
            assert process.poll() is None and time.monotonic() < until, (folder / "dockerd.log").read_text()
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(START_S)
        if os.path.ismount(network := f"{folder}/exec/netns/default"):  # once a container has had the machine's own
            subprocess.run(("umount", network), check=True)
