"""What of the caller's environment a script may see, and where it finds programs."""

from __future__ import annotations

import pytest

from enginehouse.connectors.environment import SYSTEM_PATH, script_environment


@pytest.mark.parametrize(
    ("name", "passes"),
    [
        ("HOME", True),
        ("XDG_STATE_HOME", True),
        ("ENGINEHOUSE_STATE", True),
        ("ENGINEHOUSE_SECRET_HF", False),
        ("https_proxy", True),
        ("SSL_CERT_FILE", True),
        ("HF_TOKEN", False),
        ("SSH_AUTH_SOCK", False),
        ("LD_LIBRARY_PATH", False),
        ("BASH_ENV", False),
        ("ENV", False),
    ],
)
def test_only_harmless_names_pass(name: str, passes: bool) -> None:
    """A list of what may pass, never a list of what may not."""
    assert (name in script_environment({"HOME": "/h", name: "value"})) == passes


@pytest.mark.parametrize(
    ("caller", "first"),
    [
        ({"HOME": "/h"}, "/h/.cache/enginehouse/bin"),
        ({"HOME": "/h", "XDG_CACHE_HOME": "/c"}, "/c/enginehouse/bin"),
        ({"HOME": "/h", "XDG_CACHE_HOME": "/c", "ENGINEHOUSE_CACHE": "/e"}, "/e/bin"),
    ],
)
def test_our_own_programs_come_first(caller: dict[str, str], first: str) -> None:
    """Then the caller's, then the system's."""
    path = script_environment({**caller, "PATH": "/opt/bin"})["PATH"]
    assert path == f"{first}:/opt/bin:{SYSTEM_PATH}"


def test_the_language_is_fixed() -> None:
    """Programs are asked in English, whatever the caller speaks."""
    assert script_environment({"HOME": "/h", "LC_ALL": "de_DE.UTF-8"})["LC_ALL"] == "C"
