"""`enginehouse schema`: the committed schema, on standard output or in a file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
import yaml

from enginehouse.errors import ExitCode
from tests.cli.conftest import Told
from tests.cli.harness import DEMO, WRONG

Call = Callable[..., Told]


def test_the_schema_accepts_what_validate_accepts(call: Call) -> None:
    code, out, err = call("schema")
    assert (code, err) == (ExitCode.OK, "")
    schema = json.loads(out)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(yaml.safe_load(DEMO), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(WRONG), schema)


def test_a_file_gets_the_same_schema_and_its_name_is_the_answer(folder: Path, call: Call) -> None:
    shown = call("schema")[1]
    assert call("schema", "--out", "stack.schema.json") == (ExitCode.OK, "stack.schema.json\n", "")
    assert (folder / "stack.schema.json").read_text() == shown


def test_a_file_that_can_not_be_written_is_one_line(call: Call) -> None:
    code, out, err = call("schema", "--out", "no/such/folder/schema.json")
    assert (code, out) == (ExitCode.FAILED, "")
    assert err.startswith("error: ")
    assert "no/such/folder" in err
