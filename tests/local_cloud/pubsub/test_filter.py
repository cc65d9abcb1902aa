import pytest

from buildflow_nb.local_cloud.pubsub.filter import compile_filter
from buildflow_nb.local_cloud.pubsub.status import StatusError

RED = {"colour": "red", "size": "10"}


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("attributes:colour", True),
        ("attributes:shape", False),
        ('attributes.colour = "red"', True),
        ('attributes.colour="blue"', False),
        ('attributes.colour != "blue"', True),
        ('attributes.colour != "red"', False),
        ('attributes.shape != "round"', True),
        ('hasPrefix(attributes.colour, "re")', True),
        ('hasPrefix(attributes.colour, "ed")', False),
        ('hasPrefix(attributes.shape, "")', False),
        ("NOT attributes:shape", True),
        ("-attributes:colour", False),
        ("NOT NOT attributes:colour", True),
        ("attributes:colour AND attributes:shape", False),
        ("attributes:colour AND attributes:size AND NOT attributes:shape", True),
        ("attributes:shape OR attributes:size", True),
        ("attributes:shape OR attributes:weight", False),
        ("NOT attributes:shape AND attributes:weight", False),
        ("NOT (attributes:shape AND attributes:weight)", True),
        ("(attributes:shape AND attributes:weight) OR attributes:colour", True),
        ("attributes:shape AND (attributes:weight OR attributes:colour)", False),
        ('attributes."colour" = "red"', True),
        ('attributes:"col\\u006fur"', True),
        ('attributes.colour = "\\x72ed"', True),
        ('attributes.colour = "\\162ed"', True),
    ],
)
def test_lets_pass_what_matches(text, passes):
    assert compile_filter(text)(RED) is passes


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("a-b_c9", "attributes:a-b_c9"),
        ("iana.org/tag", 'attributes:"iana.org/tag"'),
        ('say "hi"', 'attributes:"say \\"hi\\""'),
        ("back\\slash", 'attributes:"back\\\\slash"'),
        ("1st", "attributes:1st"),
        ("AND", "attributes:AND"),
    ],
)
def test_reads_keys(key, text):
    assert compile_filter(text)({key: ""})
    assert not compile_filter(text)({key + "x": ""})


def test_an_empty_one_is_none():
    assert compile_filter("") is None
    assert compile_filter("  ") is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("nonsense", "expected 'attributes', found 'nonsense'"),
        ("attributes", "expected ':' or '.', found 'the end'"),
        ("attributes:", "expected more, found 'the end'"),
        ("attributes:(", "expected a key"),
        ("attributes.colour = red", "expected a string in double quotes"),
        ('attributes.colour > "red"', "cannot read '> \"red\"'"),
        ('attributes.colour = "red', "cannot read"),
        ("attributes:a and attributes:b", "unexpected 'and'"),
        ("attributes:a AND attributes:b OR attributes:c", "must not be mixed without parentheses"),
        ("attributes:a OR attributes:b AND attributes:c", "must not be mixed without parentheses"),
        ("(attributes:a", "expected '\\)'"),
        ("attributes:a)", "unexpected '\\)'"),
        ('hasPrefix(attributes:a, "x")', "expected '.', found ':'"),
        ("attributes:" + "a" * 250, "more than 256 bytes"),
        ("(" * 40 + "attributes:a" + ")" * 40, "nested too deeply"),
        ("-" * 100 + "attributes:a", "nested too deeply"),
    ],
)
def test_refuses_the_rest_with_a_reason(text, reason):
    with pytest.raises(StatusError, match=reason) as caught:
        compile_filter(text)
    assert caught.value.code.name == "INVALID_ARGUMENT"
