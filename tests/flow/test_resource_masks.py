"""What a look shows of files and messages has no secrets, however their columns are spelled."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import Annotated

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from buildflow_nb import Flow
from buildflow_nb.core.credentials import Secret
from buildflow_nb.core.resource_look import ResourceLook
from buildflow_nb.flow.resource_masks import masked_look
from buildflow_nb.io.files.preview import Ranged, preview
from buildflow_nb.io.local import File
from buildflow_nb.io.looks import message_content


@pytest.fixture(autouse=True)
def _apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@dataclass
class Login:
    user: str
    password: Annotated[str, Secret]
    note: str = ""


class Card(msgspec.Struct, rename="camel"):
    card_number: Annotated[str, Secret]
    qty: int = 0


def previewed(name, text, hint=Login):
    data = text if isinstance(text, bytes) else text.encode()
    content = preview(Ranged(name, len(data), lambda at, count: data[at : at + count]), 20)
    return masked(content, hint)


def masked(content, hint=Login):
    flow = Flow("logins")

    def keep(login): ...

    keep.__annotations__ = {"login": hint}
    flow.consumer(File("logins.csv"), File("kept.csv"))(keep)
    look = ResourceLook("k", "file", "logins", contents=(content,))
    return masked_look(look, flow.resource("logins.csv").uses).contents[0]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "user;password\nann;hunter2\n"),
        ("a.csv", "user,Password \nann,hunter2\n"),
        ("a.csv", "user, 'PASSWORD'\nann,hunter2\n"),
        ("a.csv", "user,pass\u200bword\nann,hunter2\n"),
        ("a.csv", "user,pwd\nann,hunter2\n"),
        ("a.csv", "hunter2,ann\nhunter2,bob\n"),
        ("a.csv", "user,password\nann,x,hunter2\n"),
        ("a.csv", "user,password,note\na,nn,hunter2,\n"),
        ("a.csv", 'user,password,note\nann,"x,"\nhunter2\n'),
        ("a.csv", "password,PASSWORD\n,hunter2\n"),
        ("a.csv", "password,password\nhunter2,\n"),
        ("a.tsv", "user,password\nann,hunter2\n"),
        ("a.txt", "ann,hunter2\n"),
        ("a.csv", b"user,password\n\xff,hunter2\n"),
        ("a.jsonl", '{"user": "ann", "PassWord": "hunter2"}\n'),
        ("a.jsonl", '["ann", "hunter2"]\n'),
        ("a.jsonl", '"hunter2"\n'),
    ],
)
def test_secrets_of_a_file_are_masked_however_its_header_is_spelled(name, text):
    found = previewed(name, text)
    assert found.rows
    assert "hunter2" not in repr(found)
    assert b"hunter2".hex(" ") not in str(found.rows[0][-1])


def test_what_is_no_secret_of_a_file_is_shown():
    found = previewed("a.csv", "user,Password,user\nann,hunter2,bob\n,x,\n")
    assert found.rows == (("ann", "****", "bob"), ("", "****", ""))
    assert found.columns[1].name == "Password"
    hidden = previewed("a.csv", "user;password\nann;hunter2\n")
    assert hidden.said == "Nothing of it is shown: no column is named password."
    rows = previewed("a.jsonl", '{"user": "ann"}\n').rows
    assert rows == (("ann",),)


def test_secrets_in_columns_of_one_name_are_masked_in_each():
    columns = [pa.array(["hunter2"]), pa.array(["ann"]), pa.array(["hunter2"])]
    file = io.BytesIO()
    pq.write_table(pa.table(columns, names=["password", "user", "password"]), file)
    found = previewed("a.parquet", file.getvalue())
    assert [column.name for column in found.columns] == ["password", "user", "password (2)"]
    assert found.rows == (("****", "ann", "****"),)


def test_names_that_a_secret_has_in_json_are_its_names():
    text = "cardNumber,qty\n4111,1\n"
    assert previewed("a.csv", text, Card).rows == (("****", "1"),)
    assert previewed("a.csv", "card_number,qty\n4111,1\n", Card).rows == (("****", "1"),)


def test_secrets_in_fields_beyond_the_columns_are_masked():
    fields = {f"f{i}": i for i in range(60)} | {"Password": "hunter2"}
    found = masked(message_content([({}, json.dumps(fields).encode())]))
    assert found.columns[-1].name == "more fields"
    assert list(found.rows[0][-1].values())[-2:] == [59, "****"]
