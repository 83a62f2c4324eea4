"""What container images will take of a disk, as far as their registries tell."""

from __future__ import annotations

import pytest

from enginehouse.inventory.model import Disk
from tests.unit.inventory.captures import captured, inventory

INDEX = captured("images/two-platforms.json")
"""Layers of 90 and 5 MiB for amd64, of 70 and the same 5 MiB for arm64."""
DF = "F B U A C M\n/dev/vdb 2048 1 1024 1% /srv\n"


def test_only_layers_for_the_machine_count() -> None:
    assert inventory(kernel="6.1 x86_64\n", manifests=f"{INDEX}exit 0\n").missing_images_mib == 95
    assert inventory(kernel="6.1 aarch64\n", manifests=f"{INDEX}exit 0\n").missing_images_mib == 75


def test_a_layer_of_two_images_is_fetched_once() -> None:
    assert inventory(manifests=f"{INDEX}{INDEX}exit 0\n").missing_images_mib == 95


@pytest.mark.parametrize(
    "odd", ['{"Descriptor": null}', '[{"OCIManifest": {"layers": [{"size": 1}]}}]', "7", "[" * 5000]
)
def test_what_is_no_manifest_counts_nothing(odd: str) -> None:
    assert inventory(manifests=f"{odd}\nexit 0\n").missing_images_mib == 0


def test_what_a_registry_does_not_tell_in_time_counts_nothing() -> None:
    """Nobody asked, nothing is missing, no answer, and one that was cut off behind another."""
    assert inventory().missing_images_mib == 0
    assert inventory(manifests="exit 0\n").missing_images_mib == 0
    assert inventory(manifests="").missing_images_mib == 0
    assert inventory(manifests=INDEX + INDEX[:300]).missing_images_mib == 95


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        (("/dev/vda", "/"), ("/dev/vda", "/docker"), True),
        (("/dev/vda", "/"), ("/dev/vdb", "/docker"), False),
        (("tmpfs", "/a"), ("tmpfs", "/b"), False),
        (("tmpfs", "/a"), ("tmpfs", "/a"), True),
    ],
)
def test_folders_share_a_disk(one: tuple[str, str], other: tuple[str, str], shared: bool) -> None:
    """Mounted twice, it is the same room; two in memory are not."""
    disks = [Disk(folder="/s", device=device, mount=mount, size_mib=2, free_mib=1) for device, mount in (one, other)]
    assert disks[0].shares(disks[1]) == shared


def test_the_disk_is_that_of_docker() -> None:
    found = inventory(images="/srv/docker", images_disk=DF).images_disk
    assert found == Disk(folder="/srv/docker", device="/dev/vdb", mount="/srv", size_mib=2, free_mib=1)
