"""Secrets that are typed into cells become environment variables, and are in no text any more.

A text that is a secret gives way to `os.environ["NAME"]`. The same text elsewhere in the code gives
way, too; in a comment it is masked. Where it is a part of something else, so that nothing can take
its place, the export is refused: a secret that stays in version control is worse than none written.
"""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from buildflow_nb.export.cells.pieces import lines_of
from buildflow_nb.export.cells.statement import Statement
from buildflow_nb.export.code.secret_texts import (
    Known,
    SecretText,
    Takes,
    known_of,
    secret_texts,
)
from buildflow_nb.export.findings import Findings
from buildflow_nb.export.secret_names import environment_name

__all__ = ("MASK", "Secrets")

MASK = "****"
_TELLING = 6  # letters from which on a text is looked for everywhere; shorter ones are words
_SHORTEST = 3  # letters from which on it is masked without its quotes


@dataclass(slots=True)
class Secrets:
    """What was found: the environment variable of each value, and where `os` has another name."""

    findings: Findings
    known: Known = field(default_factory=Known)
    names: dict[str, str] = field(default_factory=dict)
    module: str = "os"
    used: bool = False

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables that the program reads instead."""
        return tuple(dict.fromkeys(self.names.values()))

    def look_at(self, trees: Sequence[Sequence[ast.AST]]) -> list[str]:
        """Take in where secrets go, and give all values, those that stay behind included."""
        self.known = known_of(trees)
        return [
            one.value
            for tree in trees
            for one in secret_texts(tree, self.known.passed, self.known.takes)
        ]

    def out_of(self, statements: Iterable[Statement]) -> list[Statement]:
        """The statements without secrets."""
        first = [self._first(statement) for statement in statements]
        return [self._second(statement) for statement in first]

    def out_of_module(self, text: str, place: str) -> str:
        """A module of the notebook's neighbourhood without secrets."""
        nodes = list(ast.walk(ast.parse(text)))
        found = self._named(
            secret_texts(nodes, *self._known_in(nodes)),
            lambda node: f"{place} line {node.lineno}",
        )
        return _with_os(_rewritten(text, found, "os")) if found else text

    def _known_in(self, nodes: Sequence[ast.AST]) -> tuple[frozenset[str], Takes]:
        here = known_of([nodes])
        return self.known.passed | here.passed, {**self.known.takes, **here.takes}

    def masked(self, text: str, values: Iterable[str] = ()) -> str:
        """A text for people, without any value."""
        for value in sorted({*self.names, *values}, key=len, reverse=True):
            for shown in {value, *value.split("\n")}:
                if len(shown) > _SHORTEST:
                    text = text.replace(shown, MASK)
                elif shown:
                    text = text.replace(f'"{shown}"', f'"{MASK}"').replace(
                        f"'{shown}'", f"'{MASK}'"
                    )
        return text

    def _first(self, statement: Statement) -> Statement:
        if not secret_texts(statement.parts, self.known.passed, self.known.takes):
            return statement
        plain = statement.with_code(statement.code)
        found = self._named(
            secret_texts(plain.parts, self.known.passed, self.known.takes), plain.where
        )
        if not found:
            return plain
        self.used = True
        return plain.with_code(_rewritten(plain.code, found, self.module))

    def _named(self, found: Sequence[SecretText], where: object) -> list[tuple[SecretText, str]]:
        named: list[tuple[SecretText, str]] = []
        for one in found:
            place = where(one.node) if callable(where) else ""
            if one.fixed:
                self.findings.refuse(
                    f"{place}: a text that looks like a secret is part of another one; read it "
                    f"from the environment, like os.environ[{environment_name(one.name)!r}]"
                )
                continue
            variable = self._variable(one)
            named.append((one, variable))
            self.findings.warn(
                f"{place}: {one.name} is written out; the program reads it from the environment, "
                f'os.environ["{variable}"]'
            )
        return named

    def _variable(self, one: SecretText) -> str:
        if one.value not in self.names:
            name = wanted = environment_name(one.name)
            number = 2
            while name in self.names.values():
                name, number = f"{wanted}_{number}", number + 1
            self.names[one.value] = name
        return self.names[one.value]

    def _second(self, statement: Statement) -> Statement:
        """What is left of the same values elsewhere."""
        telling = [v for v in self.names if _tells(v)]
        if any(v in statement.code for v in telling):
            same = [
                (SecretText(node, ""), self.names[node.value])
                for node in ast.walk(ast.parse(statement.code))
                if isinstance(node, ast.Constant) and node.value in telling
            ]
            fixed = {
                id(s.node)
                for s in secret_texts(statement.parts, self.known.passed, self.known.takes)
                if s.fixed
            }
            if same and not fixed:
                self.used = True
                statement = statement.with_code(_rewritten(statement.code, same, self.module))
        code = self.swept(statement.code, statement.where())
        above = tuple(self.masked(line) for line in statement.above)
        below = tuple(self.masked(line) for line in statement.below)
        if (code, above, below) == (statement.code, statement.above, statement.below):
            return statement
        made = statement if code == statement.code else statement.with_code(code)
        return replace(made, above=above, below=below)

    def swept(self, code: str, place: str) -> str:
        """Code with masked comments; refused where a value is left."""
        if not any(value in code for value in self.names):
            return code
        rows = lines_of(code)
        for token in tokenize.generate_tokens(io.StringIO(code).readline):
            if token.type == tokenize.COMMENT:
                row = token.start[0] - 1
                rows[row] = rows[row][: token.start[1]] + self.masked(token.string)
        code = "\n".join(rows)
        for value, variable in self.names.items():
            if _tells(value) and value in code:
                self.findings.refuse(
                    f"{place}: the value of {variable} stands here once more, inside of another "
                    f"text; read it from the environment, like os.environ[{variable!r}]"
                )
        return code


def _tells(value: str) -> bool:
    """Whether a value is so much its own that the same text elsewhere is it again."""
    return len(value) >= _TELLING and not (value.isalpha() and len(value) < 2 * _TELLING)


def _rewritten(text: str, found: Sequence[tuple[SecretText, str]], module: str) -> str:
    """The text with the environment in place of secrets; from the end, so that places hold."""
    rows = [line.encode() for line in lines_of(text)]
    places = sorted(found, key=lambda one: (one[0].node.lineno, one[0].node.col_offset))
    for one, variable in reversed(places):
        node = one.node
        new = f'{module}.environ["{variable}"]'
        if isinstance(node.value, bytes):
            new += ".encode()"
        first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
        after = rows[last][node.end_col_offset or 0 :]
        rows[first : last + 1] = [rows[first][: node.col_offset] + new.encode() + after]
    return b"\n".join(rows).decode()


def _with_os(text: str) -> str:
    """A module that imports os."""
    tree = ast.parse(text)
    imported = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    if "os" in imported:
        return text
    rows = lines_of(text)
    names = [(n.names[0].name, n) for n in tree.body if isinstance(n, ast.Import)]
    if names:  # where isort would have it
        after = next((node for name, node in names if name > "os"), None)
        at = after.lineno - 1 if after is not None else names[-1][1].end_lineno or 0
        return "\n".join([*rows[:at], "import os", *rows[at:]])
    at = 0
    for number, node in enumerate(tree.body):
        docstring = (
            number == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        )
        if docstring or (isinstance(node, ast.ImportFrom) and node.module == "__future__"):
            at = node.end_lineno or node.lineno
    return "\n".join([*rows[:at], "import os", *rows[at:]])
