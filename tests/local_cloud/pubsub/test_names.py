import pytest

from buildflow_nb.local_cloud.pubsub.names import (
    check_labels,
    check_name,
    check_project,
    in_project,
    project_of,
    short_name,
)
from buildflow_nb.local_cloud.pubsub.status import StatusError


@pytest.mark.parametrize("name", ["abc", "a-b_c.d~e+f%g", "A1" + "x" * 253])
def test_good_names_pass(name):
    check_name(f"projects/shop/topics/{name}", "topics")


@pytest.mark.parametrize(
    "name",
    [
        "projects/shop/topics/ab",
        "projects/shop/topics/1ab",
        "projects/shop/topics/google-things",
        "projects/shop/topics/a/b/c",
        "projects/shop/topics/a b c",
        "projects/shop/topics/abc\n",
        "projects/shop/topics/" + "x" * 256,
        "projects/shop/subscriptions/abc",
        "projects//topics/abc",
        "shop/topics/abc",
        "abc",
        "",
    ],
)
def test_bad_names_are_refused_with_the_form(name):
    with pytest.raises(StatusError, match="projects/PROJECT/topics/ID") as caught:
        check_name(name, "topics")
    assert caught.value.code.name == "INVALID_ARGUMENT"
    assert name in caught.value.message


def test_projects_are_checked():
    check_project("projects/shop")
    with pytest.raises(StatusError, match="projects/PROJECT"):
        check_project("shop")


@pytest.mark.parametrize("labels", [{}, {"team": ""}, {"a_b-1": "x_y-2"}, {"größe": "übel"}])
def test_good_labels_pass(labels):
    check_labels(labels)


@pytest.mark.parametrize(
    "labels", [{"Team": "x"}, {"1a": "x"}, {"": "x"}, {"a": "X"}, {"a" * 64: ""}, {"a": "x" * 64}]
)
def test_bad_labels_are_refused(labels):
    with pytest.raises(StatusError, match="Invalid label"):
        check_labels(labels)


def test_too_many_labels_are_refused():
    with pytest.raises(StatusError, match=r"Too many labels \(65\)"):
        check_labels({f"k{number}": "" for number in range(65)})


def test_parts_of_names():
    assert project_of("projects/shop/topics/abc") == "shop"
    assert short_name("projects/shop/topics/abc") == "abc"
    assert in_project("projects/shop/topics/abc", "projects/shop")
    assert not in_project("projects/shop2/topics/abc", "projects/shop")
