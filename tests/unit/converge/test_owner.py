"""When a stack is another Pulumi state's, and when a claim has to be written down."""

from __future__ import annotations

import pytest

from enginehouse.converge.owner import Claim, Owner, check_owner, from_json, to_json
from enginehouse.errors import Owned
from enginehouse.planner.parts import Connection, ConnectionKind, HostPart

ADA = Owner(run="r", who="ada@desk", door="pulumi", at="2026-11-24T12:00:00+00:00", id="a")
HOST = HostPart(name="box", stack="demo", host="box", connection=Connection(kind=ConnectionKind.LOCAL), tools={})


@pytest.mark.parametrize(
    ("owner", "claim", "refused", "written"),
    [
        (ADA, None, False, False),
        (ADA, Claim(id="a"), False, False),
        (ADA, Claim(id="b"), True, True),
        (ADA, Claim(id=None), True, False),
        (ADA, Claim(id="b", takes_over=True), False, True),
        (ADA, Claim(id=None, takes_over=True), False, False),
        (None, None, False, False),
        (None, Claim(id="b"), False, True),
        (None, Claim(id=None), False, False),
    ],
)
def test_only_another_state_is_refused_and_only_an_id_is_written(
    owner: Owner | None, claim: Claim | None, *, refused: bool, written: bool
) -> None:
    """A verb of the command line claims nothing and is never refused; a state without a host yet has no id."""
    if refused:
        with pytest.raises(Owned):
            check_owner(HOST, owner, claim)
    else:
        check_owner(HOST, owner, claim)
    assert written == (claim is not None and claim.is_new(owner))


def test_the_refusal_says_whose_it_is_since_when_and_both_ways_out() -> None:
    with pytest.raises(Owned) as caught:
        check_owner(HOST, ADA, Claim(id="b"))
    assert str(caught.value) == (
        "demo on box belongs to another Pulumi state since 2026-11-24T12:00:00+00:00 (claimed by ada@desk through "
        "pulumi); nothing was changed; either deploy under another name (rename stacks/demo.yaml and the stack), or, "
        "if that state is lost or shall not own it any more, take it over once: "
        "`ENGINEHOUSE_ADOPT=demo pulumi up -s demo`"
    )


def test_an_owner_is_read_as_it_was_written() -> None:
    assert from_json(to_json(ADA)) == ADA


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"id": "a"}', "\0"])
def test_a_file_that_can_not_be_read_is_nobodys_and_still_a_claim(text: str) -> None:
    """Whoever damaged it: a person decides, not chance."""
    assert Claim(id="a").is_other(from_json(text))
