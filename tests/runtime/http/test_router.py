from __future__ import annotations

from dataclasses import dataclass

import pytest

from buildflow_nb.core.declaring.route_template import parse_template
from buildflow_nb.core.errors import DeclarationError
from buildflow_nb.runtime.http.router import Router


@dataclass
class Stop:
    id: str
    path: str
    method: str = "GET"


def router(*paths: str) -> Router[Stop]:
    made: Router[Stop] = Router()
    for path in paths:
        made.add(Stop(path, path))
    return made


def found(made: Router[Stop], path: str, method: str = "GET"):
    match = made.find(path, method)
    return None if match.route is None else (match.route.id, dict(match.values))


def test_a_literal_beats_a_parameter_and_a_parameter_beats_a_rest():
    made = router("/{a:path}", "/items/{id}", "/items/all", "/items/{id}/parts")
    assert found(made, "/items/all") == ("/items/all", {})
    assert found(made, "/items/7") == ("/items/{id}", {"id": "7"})
    assert found(made, "/items/7/parts") == ("/items/{id}/parts", {"id": "7"})
    assert found(made, "/items/7/other") == ("/{a:path}", {"a": "items/7/other"})
    assert found(made, "/items/all/parts") == ("/items/{id}/parts", {"id": "all"})


def test_a_slash_at_the_end_makes_no_difference():
    made = router("/items", "/items/{id}", "/files/{path:path}")
    assert found(made, "/items/") == ("/items", {})
    assert found(made, "/items/7/") == ("/items/{id}", {"id": "7"})
    assert found(made, "/files/") == ("/files/{path:path}", {"path": ""})
    assert found(made, "/files/a/b/") == ("/files/{path:path}", {"path": "a/b/"})
    assert found(made, "/files") is None
    assert found(router("/"), "/") == ("/", {})
    assert found(router("/items/"), "/items") == ("/items/", {})


def test_segments_are_decoded_after_they_were_split():
    made = router("/items/{id}", "/größe/{x}", "/a%20b")
    assert found(made, "/items/a%2Fb%20c") == ("/items/{id}", {"id": "a/b c"})
    assert found(made, "/gr%C3%B6%C3%9Fe/%E2%82%AC") == ("/größe/{x}", {"x": "€"})
    assert found(made, "/größe/1") == ("/größe/{x}", {"x": "1"})
    assert found(made, "/a%20b") == ("/a%20b", {})
    with pytest.raises(UnicodeError):
        made.find("/items/%ff", "GET")


def test_kinds_narrow_what_matches():
    made = router("/n/{x:int}", "/n/{x}", "/r.{year:int}.{kind}")
    assert found(made, "/n/12") == ("/n/{x:int}", {"x": "12"})
    assert found(made, "/n/ab") == ("/n/{x}", {"x": "ab"})
    assert found(made, "/r.2024.csv") == ("/r.{year:int}.{kind}", {"year": "2024", "kind": "csv"})
    assert found(made, "/r.x.csv") is None


def test_a_path_tells_its_methods():
    made = router("/a")
    made.add(Stop("put", "/a", "PUT"))
    made.add(Stop("other", "/{x}", "DELETE"))
    assert found(made, "/a", "DELETE") == ("other", {"x": "a"})
    assert set(made.find("/a", "PATCH").methods) == {"GET", "PUT", "DELETE"}
    assert made.find("/a/b", "GET").methods == ()


def test_parameters_of_one_shape_may_have_other_names_for_other_methods():
    made = router("/a/{id}")
    made.add(Stop("put", "/a/{item}", "PUT"))
    assert found(made, "/a/1", "PUT") == ("put", {"item": "1"})
    assert found(made, "/a/1") == ("/a/{id}", {"id": "1"})


def test_two_routes_at_one_place_are_refused_by_name():
    made = router("/a/{id}")
    with pytest.raises(DeclarationError, match=r"'two' and '/a/{id}' both serve GET /a/{other}"):
        made.add(Stop("two", "/a/{other}"))
    made.remove(next(iter(made)))
    made.add(Stop("two", "/a/{other}"))
    assert found(made, "/a/1") == ("two", {"other": "1"})


def test_a_route_of_the_same_id_is_replaced():
    made = router("/a")
    made.add(Stop("/a", "/b"))
    assert found(made, "/a") is None
    assert found(made, "/b") == ("/a", {})


@pytest.mark.parametrize(
    ("route", "why"),
    [
        ("/a/{x:path}/b", "takes all that is left"),
        ("/a/{}", "names no parameter"),
        ("/a/{x}/{x}", "names 'x' twice"),
        ("/a/{x:hex}", "kinds are str, int, float, uuid, path"),
        ("/a/{x", "brace without its partner"),
        ("/a/b{x:path}", "give it its own"),
    ],
)
def test_a_bad_template_is_refused(route, why):
    with pytest.raises(DeclarationError, match=why):
        parse_template(route, "endpoint 'f'")
