"""What a statement does to values, as far as its text tells: changes them, shows them, prepares.

Whether a call changes what it is called on cannot be known without running it, so verbs tell: those
of the built-in types and of common libraries. What may change a value and is not known to is said.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import cached_property

from buildflow_nb.export.cells.names import Names, root_of

__all__ = ("DELETES", "Effects", "decorators_of")

DELETES = frozenset(("unlink", "rmdir", "rmtree"))
_STAY = DELETES | {"sleep"}  # called for a person's sake
# The verbs that a method of set-up begins with, and of showing something, each between two spaces.
_SETS_UP = (
    " set config configure basic use init initialize register filterwarnings simplefilter install "
    " enable disable add append extend insert update discard clear load seed mkdir makedirs touch "
    " write put push create connect open execute sort reverse subscribe setdefault setup "
    " pop popitem popleft appendleft extendleft remove rotate fit partial train compile "
)
# Of these, the methods that change a value and are called for nothing else, wherever they stand.
_MUTATES = (
    " append extend insert add update pop popitem popleft appendleft extendleft remove discard "
    " clear sort reverse rotate setdefault fit partial_fit train add_endpoint add_middleware "
)
_CHANGE_FIRST = (  # functions that change what they are first given
    " heappush heappop heapify heapreplace heappushpop shuffle setattr delattr insort insort_left "
    " insort_right "
)
_PREPARES = (  # of these, those that prepare something beside the values of the cells
    " set config configure basic init initialize register filterwarnings simplefilter install "
    " enable disable load seed mkdir makedirs setup "
)
_LOOKS = (  # what a method's name begins with that gives something and changes nothing
    " get items keys values copy count index predict score transform read exists is has to as "
    " find select query fetch mean sum min max all any list most search match split join start end "
)
_SHOWS = (
    " plot show hist scatter bar imshow draw savefig render display print pprint head tail sample "
    " describe info summary "
)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


class Effects:
    """What the text of one statement tells; each is worked out once."""

    node: ast.stmt
    names: Names
    last: bool

    @cached_property
    def parts(self) -> list[ast.AST]:
        """Every node of it."""
        return list(ast.walk(self.node))

    @cached_property
    def at_once(self) -> list[ast.AST]:
        """Every node of it that is run where it stands, not when a function is called."""
        found: list[ast.AST] = []
        open_: list[ast.AST] = [self.node]
        while open_:
            node = open_.pop()
            found.append(node)
            if not isinstance(node, _FUNCTIONS):
                open_.extend(ast.iter_child_nodes(node))
            else:  # defaults and decorators belong to the module
                open_.extend(getattr(node, "decorator_list", []))
                open_.extend(d for d in (*node.args.defaults, *node.args.kw_defaults) if d)
        return found

    @cached_property
    def decorator_roots(self) -> frozenset[str]:
        """The names that its decorators start from."""
        return frozenset(_roots(decorators_of(self.node)))

    @cached_property
    def changes(self) -> frozenset[str]:
        """Names whose values it changes without binding them: `d` in `d["k"] = 1`."""
        return frozenset(_roots(_changed_in(self.node)))

    @cached_property
    def calls(self) -> str:
        """The name that it calls a method of, for its effect alone: `logging` in `logging.f()`.

        What a cell ends with is shown under it, so it counts only if it is called like set-up.
        """
        value = self.node.value if isinstance(self.node, ast.Expr) else None
        if not isinstance(value, ast.Call) or not isinstance(value.func, ast.Attribute):
            return ""
        verb = _verb(value.func.attr)
        shown = verb in _SHOWS or (self.last and verb not in _SETS_UP)
        return "" if shown or value.func.attr in _STAY else next(_roots([value.func]), "")

    @cached_property
    def mutates(self) -> str:
        """The name that it calls a method of that changes it: `items` in `items.append(1)`."""
        value = self.node.value if isinstance(self.node, ast.Expr) else None
        if not isinstance(value, ast.Call) or not isinstance(value.func, ast.Attribute):
            return ""
        return next(_roots([value.func]), "") if f" {value.func.attr} " in _MUTATES else ""

    @cached_property
    def may_change(self) -> frozenset[str]:
        """Names whose values it may change by a method that is called for more than that."""
        own = self.node.value if isinstance(self.node, ast.Expr) else None
        found: list[ast.expr] = []
        for part in self.at_once:
            if isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute):
                verb, name = _verb(part.func.attr), f" {part.func.attr} "
                unknown = part is own and verb not in _SHOWS and verb not in _LOOKS
                found += [part.func] if unknown or name in _MUTATES else []
        return frozenset(_roots(found))

    @cached_property
    def hands(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Functions that it calls by themselves, with the names that they are given by place."""
        calls = [part.value for part in self.at_once if isinstance(part, ast.Expr)]
        return tuple(
            (call.func.id, tuple(a.id if isinstance(a, ast.Name) else "" for a in call.args))
            for call in calls
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
        )

    @cached_property
    def changes_given(self) -> tuple[bool, ...]:
        """Of a function: whether it changes what it is given, by place."""
        if not isinstance(self.node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            return ()
        changed = {
            name for part in self.node.body for name in _roots(_changed_in(part, inside=True))
        }
        return tuple(argument.arg in changed for argument in self.node.args.args)

    @cached_property
    def same_as(self) -> tuple[str, str] | None:
        """The names of `other = items`."""
        node = self.node
        if not isinstance(node, ast.Assign) or len(node.targets) != 1:
            return None
        target, value = node.targets[0], node.value
        if isinstance(target, ast.Name) and isinstance(value, ast.Name):
            return target.id, value.id
        return None

    @cached_property
    def bases(self) -> frozenset[str]:
        """The names that a class is made from."""
        return frozenset(_roots(self.node.bases if isinstance(self.node, ast.ClassDef) else ()))

    @cached_property
    def gathers(self) -> bool:
        """Whether it is a class that hears of the classes made from it."""
        return isinstance(self.node, ast.ClassDef) and any(
            getattr(part, "name", "") == "__init_subclass__" for part in self.node.body
        )

    @cached_property
    def gives(self) -> bool:
        """Whether it is a function that gives something back."""
        return any(_gives(part) for part in self.parts)

    @cached_property
    def effects(self) -> frozenset[str]:
        """Names whose values a function of it changes when it is called."""
        if not isinstance(self.node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            return frozenset()
        changed = {
            name for part in self.node.body for name in _roots(_changed_in(part, inside=True))
        }
        return frozenset(changed & self.names.later) | self.names.rebinds

    @cached_property
    def performs(self) -> frozenset[str]:
        """Functions that it calls for their effect alone: `put(1)`."""
        calls = [part.value for part in self.at_once if isinstance(part, ast.Expr)]
        found = (call.func for call in calls if isinstance(call, ast.Call))
        return frozenset(called.id for called in found if isinstance(called, ast.Name))

    @cached_property
    def prepares(self) -> str:
        """The name that it calls to prepare what comes: `os` in `os.makedirs("out")`."""
        value = self.node.value if isinstance(self.node, ast.Expr) else None
        if not isinstance(value, ast.Call) or not isinstance(value.func, (ast.Attribute, ast.Name)):
            return ""
        method = value.func.attr if isinstance(value.func, ast.Attribute) else value.func.id
        return next(_roots([value.func]), "") if _verb(method) in _PREPARES else ""


def _changed_in(top: ast.stmt, *, inside: bool = False) -> Iterator[ast.expr]:
    """What a statement changes; `inside` says that it is one of a function's own."""
    open_: list[ast.AST] = [top]
    while open_:
        node = open_.pop()
        if isinstance(node, ast.Assign):
            yield from (t for t in node.targets if not isinstance(t, ast.Name))
        elif isinstance(node, ast.AugAssign) and not isinstance(node.target, ast.Name):
            yield node.target
        elif isinstance(node, ast.Delete):
            yield from (t for t in node.targets if not isinstance(t, ast.Name))
        elif isinstance(node, ast.Call) and node.args and f" {_called(node)} " in _CHANGE_FIRST:
            yield node.args[0]
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            step = inside or node is not top  # xs.append(x) in a loop, a condition and the like
            called = node.value.func
            yield from [called] if step and isinstance(called, ast.Attribute) else []
        if not isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
            open_.extend(ast.iter_child_nodes(node))


def _called(call: ast.Call) -> str:
    """The last name of what is called."""
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")


def _gives(node: ast.AST) -> bool:
    """Whether a function with this in it gives something back."""
    if isinstance(node, (ast.Yield, ast.YieldFrom)):
        return True
    return isinstance(node, ast.Return) and node.value is not None


def _verb(method: str) -> str:
    """The first word of a method's name, between two spaces."""
    spaced = "".join(f"_{c.lower()}" if c.isupper() else c for c in method)
    return f" {spaced.strip('_').partition('_')[0]} "


def decorators_of(node: ast.stmt) -> list[ast.expr]:
    """Those of a function or a class."""
    found: list[ast.expr] = getattr(node, "decorator_list", [])
    return found


def _roots(nodes: Iterable[ast.expr]) -> Iterator[str]:
    for node in nodes:
        root = root_of(node)
        if isinstance(root, ast.Name):
            yield root.id
