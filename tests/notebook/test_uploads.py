"""Files that are chosen in a form, and the lines that name them."""

import base64
import stat
from pathlib import Path

import pytest

from buildflow_nb.cockpit.panel.uploads import kept, with_files
from buildflow_nb.cockpit.views.form import example_line, fields_of, form_html, line_of
from buildflow_nb.core.errors import UsageError
from buildflow_nb.flow import Flow
from buildflow_nb.notebook.verbs.elements import sent
from buildflow_nb.requests import File, Form, Header, Request, UploadFile

PNG = b"\x89PNG..."


@pytest.fixture
def app(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flow = Flow("photos")

    @flow.endpoint("/photos", method="POST")
    async def add(
        photo: UploadFile,
        request: Request,
        title: str = Form("none"),
        more: list[UploadFile] = File([]),
        x_token: str = Header(""),
    ) -> str:
        return f"{title} {photo.filename} {len(await photo.read())} {len(more)} {x_token}"

    @flow.endpoint("/plain", method="POST")
    async def plain(photo: UploadFile, x_token: str = Header("")) -> str:
        return f"{photo.filename} {len(await photo.read())} {x_token}"

    return flow


def chosen(name="photo.png", data=PNG):
    return {"name": name, "data": base64.b64encode(data).decode()}


def test_a_routes_form_has_its_files_and_headers_and_not_the_request(app):
    fields = fields_of(app.processor("add"))
    assert [(one.name, one.place) for one in fields] == [
        ("photo", "file"),
        ("title", ""),
        ("more", "file"),
        ("x_token", "header x-token"),
    ]
    html = form_html(app.processor("add"), (), "")
    assert html.count('type="file"') == 2
    assert "header x-token" in html
    assert '"photo": "photo.png"' in example_line(app.processor("add"))


def test_a_chosen_file_is_kept_for_its_owner_and_named_by_its_path(app, tmp_path):
    path = kept(tmp_path, chosen())
    assert path == ".buildflow/uploads/photo.png"
    there = tmp_path / path
    assert there.read_bytes() == PNG
    assert stat.S_IMODE(there.stat().st_mode) == 0o600
    line, shown = line_of(app.processor("plain"), {"photo": path, "x_token": "t"})
    assert line == shown
    assert line == f'%buildflow send plain {{"photo": "{path}", "x_token": "t"}}'


def test_the_line_sends_it(app, tmp_path):
    path = kept(tmp_path, chosen())
    assert sent(app, "plain", {"photo": path, "x_token": "t"}) == ["photo.png 7 t"]


@pytest.mark.parametrize(
    "name", ["../../etc/x.png", "C:\\photos\\x.png", "/etc/x.png", "x\x00.png"]
)
def test_the_name_is_never_a_way_out(tmp_path, name):
    path = Path(kept(tmp_path, chosen(name)))
    assert path.name == "x.png"
    assert (tmp_path / path).parent == tmp_path / ".buildflow" / "uploads"


@pytest.mark.parametrize("name", ["", "..", "/", "\x00"])
def test_a_file_without_a_name_is_refused(tmp_path, name):
    with pytest.raises(UsageError, match="has no name"):
        kept(tmp_path, chosen(name))


def test_what_came_damaged_is_refused(tmp_path):
    with pytest.raises(UsageError, match="came damaged"):
        kept(tmp_path, {"name": "x.png", "data": "a*b"})


def test_what_is_too_long_is_refused(tmp_path):
    with pytest.raises(UsageError, match="longer than 16 MiB; send it over HTTP"):
        kept(tmp_path, {"name": "x.png", "data": "A" * (24 * 2**20)})


def test_a_link_in_the_way_is_not_followed(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / ".buildflow").mkdir(mode=0o700)
    (tmp_path / ".buildflow" / "uploads").symlink_to(elsewhere)
    with pytest.raises(UsageError, match="cannot be kept"):
        kept(tmp_path, chosen())
    assert not list(elsewhere.iterdir())


def test_a_file_that_is_not_there_is_told(app, tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        sent(app, "plain", {"photo": "nowhere.png"})


def test_several_files_are_a_list(app, tmp_path):
    (tmp_path / "a.png").write_bytes(PNG)
    element = with_files(app.processor("add"), {"more": ["a.png", "a.png"]}, tmp_path)
    assert element == {"more": [tmp_path / "a.png"] * 2}
