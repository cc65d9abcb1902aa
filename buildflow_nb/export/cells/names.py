"""The names that a statement binds and those that it needs, by Python's own symbol tables.

Variables of comprehensions are not among them. Tables of Python 3.12 and later hold those together
with the others (PEP 709, "Reference Implementation"), so they get names of their own before.
"""

from __future__ import annotations

import ast
import copy
import symtable
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ("Names", "names_of", "root_of")

_AT_ONCE = ("listcomp", "setcomp", "dictcomp", "genexpr")  # functions that run where they stand
_BLOCKS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_OWN = "_of_a_comprehension_"


@dataclass(frozen=True, slots=True)
class Names:
    """Module-level names of one statement.

    `now` must be there when it runs, `later` when a function of it is called; `soft` may be names
    or something else (a text inside an annotation), so that they are never missed. `perhaps` are
    read and set in the body of a class, where the first reading is that of the module. `rebinds`
    are those that its functions set by `global`.
    """

    bound: frozenset[str]
    now: frozenset[str]
    later: frozenset[str]
    soft: frozenset[str]
    perhaps: frozenset[str] = frozenset()
    rebinds: frozenset[str] = frozenset()

    @property
    def wanted(self) -> frozenset[str]:
        """All that it needs, or may need."""
        return self.now | self.later | self.soft | self.perhaps


def names_of(node: ast.stmt, text: str = "") -> Names:
    """Read one statement of a module, whose source is `text` (made from the tree otherwise)."""
    table = _table(node, text)
    symbols = table.get_symbols()
    bound = {s.get_name() for s in symbols if s.is_assigned() or s.is_imported()}
    bound |= set(_walruses(node))
    now = {s.get_name() for s in symbols if s.is_referenced()}
    later: set[str] = set()
    rebinds: set[str] = set()
    perhaps: set[str] = set()
    for child in table.get_children():
        _inside(child, now, later, deferred=False)
        _rebound(child, rebinds, perhaps)
    own = now & bound  # what a block is made from: `class Order(Order)`
    soft = set(_quoted(node))
    if isinstance(node, ast.AugAssign):
        now.add(_name(root_of(node.target)))
    elif isinstance(node, _BLOCKS):
        soft |= bound & (now | later) - own  # a function that calls itself
        now -= bound - own
        later -= bound
    elif not isinstance(node, (ast.Assign, ast.AnnAssign)):
        soft |= now & bound  # a loop's own variable
        now -= bound
        later -= bound
    found = (bound, now, later, soft, perhaps - bound, rebinds)
    return Names(*(frozenset(n for n in names if n and not n.startswith(_OWN)) for names in found))


def _table(node: ast.stmt, text: str) -> symtable.SymbolTable:
    if any(isinstance(part, _COMPREHENSIONS) for part in ast.walk(node)):
        text = ast.unparse(_Apart().visit(copy.deepcopy(node)))
    return symtable.symtable(text or ast.unparse(node), "cell", "exec")


def _walruses(node: ast.AST) -> Iterator[str]:
    """What a walrus in a comprehension binds outside of it (PEP 572)."""
    left = [node]
    while left:
        part = left.pop()
        if isinstance(part, ast.NamedExpr):
            yield part.target.id
        if not isinstance(part, (*_BLOCKS, ast.Lambda)):
            left.extend(ast.iter_child_nodes(part))


class _Apart(ast.NodeTransformer):
    """Gives the variables of comprehensions names that nothing else has."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        if isinstance(node, _COMPREHENSIONS):
            first = {id(part) for part in ast.walk(node.generators[0].iter)}  # not inside of it
            targets = [part for each in node.generators for part in ast.walk(each.target)]
            own = {part.id for part in targets if isinstance(part, ast.Name)}
            for part in ast.walk(node):
                if isinstance(part, ast.Name) and part.id in own and id(part) not in first:
                    part.id = f"{_OWN}{part.id}"
        return node


def root_of(node: ast.expr) -> ast.expr:
    """What attributes, subscripts and calls start from: `a` of `a.b[0].c()`."""
    while True:
        if isinstance(node, (ast.Attribute, ast.Subscript)):
            node = node.value
        elif isinstance(node, ast.Call):
            node = node.func
        else:
            return node


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else ""


def _inside(table: symtable.SymbolTable, now: set[str], later: set[str], *, deferred: bool) -> None:
    deferred = deferred or (table.get_type() == "function" and table.get_name() not in _AT_ONCE)
    for symbol in table.get_symbols():
        if symbol.is_global() and (symbol.is_referenced() or symbol.is_declared_global()):
            (later if deferred else now).add(symbol.get_name())
    for child in table.get_children():
        _inside(child, now, later, deferred=deferred)


def _rebound(table: symtable.SymbolTable, rebinds: set[str], perhaps: set[str]) -> None:
    for symbol in table.get_symbols():
        if symbol.is_declared_global() and symbol.is_assigned():
            rebinds.add(symbol.get_name())
        elif table.get_type() == "class" and symbol.is_assigned() and symbol.is_referenced():
            perhaps.add(symbol.get_name())
    for child in table.get_children():
        _rebound(child, rebinds, perhaps)


def _quoted(node: ast.stmt) -> Iterator[str]:
    """Names in annotations that are written as texts: `def f(order: "Order")`."""
    for part in ast.walk(node):
        for annotation in (getattr(part, "annotation", None), getattr(part, "returns", None)):
            if annotation is None or isinstance(annotation, ast.Name):
                continue
            for text in ast.walk(annotation):
                if isinstance(text, ast.Constant) and isinstance(text.value, str):
                    yield from _names_in(text.value)


def _names_in(text: str) -> list[str]:
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError):
        return []
    return [node.id for node in ast.walk(tree) if isinstance(node, ast.Name)]
