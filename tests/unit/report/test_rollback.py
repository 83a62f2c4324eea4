"""A rollback in words: before, after, and what the file says about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC

from enginehouse.converge.manifest import Change
from enginehouse.report.lines import as_text
from enginehouse.report.rollback import Return, Returned, file_text, return_text, returned_text, undone_run

CHANGE = Change(run="r", who="ada@desk", door="pulumi", at="2026-11-24T14:02:11+00:00")
BACK = Return(part="chat-box-0", now=4, then=2, changes=("args.ctx-size: 4096 => 2048",))
GONE_BACK = (
    Returned(part="chat-box-0", then=2, outputs={"generation": 5, "release": "6ff82d2dd5a6", "side": "a"}),
    Returned(part="gateway-box", then=1, outputs={"generation": 3, "release": "1a158ebce79e"}),
)


def test_rollback_as_text(golden: Callable[[str, Mapping[str, str]], None]) -> None:
    before = [*undone_run(CHANGE, ("chat-box-1",), UTC), *return_text(BACK)]
    after = [
        *returned_text(GONE_BACK, {"endpoint": "proved at http://127.0.0.1:8080 (generation 5)"}, 4.21),
        file_text("demo", "stacks/demo.yaml", agrees=False),
    ]
    golden("cli/rollback", {"before.txt": as_text(before), "after.txt": as_text(after)})


def test_a_part_that_is_there_already_is_said() -> None:
    assert "it is that already" in as_text(return_text(Return(part="chat-box-0", now=4, then=4, changes=())))


def test_a_file_that_was_put_back_is_said() -> None:
    assert as_text([file_text("demo", "stacks/demo.yaml", agrees=True)]) == (
        "stacks/demo.yaml says the same: the next `pulumi up -s demo` keeps it\n"
    )
