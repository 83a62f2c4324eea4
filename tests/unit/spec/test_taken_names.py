"""No machine is called like a file that stands beside the parts' folders."""

from __future__ import annotations

import re

from enginehouse.converge.places import Places
from enginehouse.spec.checks.names import TAKEN
from enginehouse.spec.fields import HOST_PATTERN


def test_every_file_of_a_stacks_folder_that_a_host_could_be_called_is_taken() -> None:
    places = Places(state="/s", stack="demo", host="box", name="part")
    values = {getattr(places, name) for name, kind in vars(Places).items() if isinstance(kind, property)}
    beside = {value.removeprefix("/s/demo/") for value in values if value.startswith("/s/demo/")}
    files = {name for name in beside if "/" not in name and name not in ("box", "part")}
    assert "frozen.json" in files
    assert {name for name in files if re.fullmatch(HOST_PATTERN, name)} == TAKEN
