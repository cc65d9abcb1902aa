"""The names that one statement binds, needs at once, and needs later."""

from __future__ import annotations

import ast

import pytest

from buildflow_nb.export.cells.names import names_of


@pytest.mark.parametrize(
    ("text", "bound", "now", "later"),
    [
        ("a = b + f(c)", "a", "b f c", ""),
        ("a += 1", "a", "a", ""),
        ("a[b] = c", "", "a b c", ""),
        ("a.b = c", "", "a c", ""),
        ("import a.b, c as d", "a d", "", ""),
        ("from a import b, c as d", "b d", "", ""),
        ("def f(a: T = d) -> R:\n    return g(a, f)", "f", "T d R", "g"),
        ("@wrap\ndef f():\n    return x", "f", "wrap", "x"),
        ("class C(B):\n    x: int = y\n    def m(self):\n        return z", "C", "B int y", "z"),
        ("class C(C):\n    pass", "C", "C", ""),
        ("[x for x in xs if p(x)]", "", "xs p", ""),
        ("ys = [x + z for x in xs]", "ys", "xs z", ""),
        ("[x for x in x]", "", "x", ""),
        ("{k: v for k, (v, *_) in ps.items() if k}", "", "ps", ""),
        ("[[y for y in x if z] for x in xs]", "", "xs z", ""),
        ("[y := f(x) for x in xs]", "y", "f xs", ""),
        ("x = {x for x in y}", "x", "y", ""),
        ("def f():\n    return {x for x in g if x in h}", "f", "", "g h"),
        ("class C:\n    a = [b for b in c]", "C", "c", ""),
        ("[lambda: x + w for x in xs]", "", "xs", "w"),
        ("f = lambda x: x + y", "f", "", "y"),
        ("for i in xs:\n    print(i)", "i", "xs print", ""),
        ("with a as b:\n    c = b", "b c", "a", ""),
        ("(n := m)", "n", "m", ""),
        ('f"{a!r:{b}}"', "", "a b", ""),
        ("del a", "a", "", ""),
        ("try:\n    import a\nexcept E as e:\n    a = None", "a e", "E", ""),
        ("def f():\n    global n\n    n += 1", "f", "", "n"),
    ],
)
def test_names(text, bound, now, later):
    found = names_of(ast.parse(text).body[0], text)
    assert found.bound == set(bound.split())
    assert found.now == set(now.split())
    assert found.later == set(later.split())


def test_names_that_may_be_something_else():
    text = 'def f(a: "A | list[B]", b: \'no name\') -> Literal["C"]: ...'
    assert names_of(ast.parse(text).body[0], text).soft == {"A", "B", "list", "C"}


def test_a_class_that_reads_what_it_sets():
    text = "class C:\n    size = size()\n    def m(self):\n        global n\n        n = 1"
    found = names_of(ast.parse(text).body[0], text)
    assert found.perhaps == {"size"}
    assert found.rebinds == {"n"}
    assert found.now == set()
