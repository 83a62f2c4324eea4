"""Options and fixtures of all tests."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path

import hypothesis
import pytest

# What an example proves does not depend on how busy the machine is. Where nothing may be skipped, as in CI, the same
# code gets the same examples, so that it is judged and not the draw; everywhere else new ones are looked for.
hypothesis.settings.register_profile(
    "patient",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
    derandomize=os.environ.get("REQUIRE_ALL") == "1",
)
hypothesis.settings.load_profile("patient")

# A shell that starts the tests in the background has them ignore Ctrl-C, and so would all that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite tests/golden from what the code gives now")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test on a machine of its own waits for the machine's image and packages, too."""
    for item in items:
        if item.get_closest_marker("hosts") and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(900))


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, Mapping[str, str]], None]:
    """`golden(folder, {file name: text})` holds the texts against the folder below tests/golden, or rewrites it."""
    update = bool(request.config.getoption("--update-golden"))

    def compare(folder: str, texts: Mapping[str, str]) -> None:
        place = GOLDEN / folder
        if update:
            _rewrite(place, texts)
        kept = {path.name: path.read_text() for path in sorted(place.glob("*"))}
        assert kept == dict(texts), f"differs from {place}; if the change is meant, run pytest with --update-golden"

    return compare


def _rewrite(place: Path, texts: Mapping[str, str]) -> None:
    place.mkdir(parents=True, exist_ok=True)
    for path in place.glob("*"):
        path.unlink()
    for name, text in texts.items():
        (place / name).write_text(text)
