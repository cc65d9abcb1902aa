"""Secrets that are typed into cells become environment variables, and are in no text any more.

A text that is a secret gives way to `os.environ["NAME"]`. The same text elsewhere in the code gives
way, too; in a comment it is masked. Where it is a part of something else, so that nothing can take
its place, the export is refused: a secret that stays in version control is worse than none written.
"""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from buildflow_nb.export.cells.pieces import lines_of
from buildflow_nb.export.cells.statement import Statement
from buildflow_nb.export.messages import Messages
from buildflow_nb.export.secrets.flow import flowing_into_secrets
from buildflow_nb.export.secrets.names import environment_name, shapes_in
from buildflow_nb.export.secrets.sayings import told_in
from buildflow_nb.export.secrets.texts import (
    Known,
    SecretText,
    Spot,
    Takes,
    known_of,
    secret_texts,
    spot_of,
)

__all__ = ("MASK", "Secrets")

MASK = "****"
_TELLING = 6  # letters from which on a text is looked for everywhere; shorter ones are words
_SHORTEST = 3  # letters from which on it is masked without its quotes


@dataclass(slots=True)
class Secrets:
    """What was found: the environment variable of each value, and where `os` has another name."""

    findings: Messages
    known: Known = field(default_factory=Known)
    names: dict[str, str] = field(default_factory=dict)
    module: str = "os"
    used: bool = False
    values: list[str] = field(default_factory=list)
    _flowing: dict[str, dict[Spot, str]] = field(default_factory=dict)
    _wanted: set[str] = field(default_factory=set)

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables that the program reads instead."""
        return tuple(dict.fromkeys(self.names.values()))

    def look_at(self, statements: Sequence[Statement]) -> None:
        """Take in where secrets go, and all values, those that stay behind included."""
        self.known = known_of([statement.parts for statement in statements])
        trees = {s.code: ast.parse(s.code) for s in statements}
        self._flow(trees)
        found = [
            one for code, tree in trees.items() for one in self._in(code, list(ast.walk(tree)))
        ]
        self.values = list(dict.fromkeys(one.value for one in found))

    def _flow(self, trees: Mapping[str, ast.AST]) -> None:
        """Follow what flows into secrets in the code of one module."""
        flowing = flowing_into_secrets(list(trees.values()), self._wanted)
        self._wanted |= flowing.unbound
        for code, tree in trees.items():
            spots = self._flowing.setdefault(code, {})
            for node in ast.walk(tree):
                if id(node) in flowing.texts:
                    text, name = flowing.texts[id(node)]
                    spots[spot_of(text)] = name

    def _in(self, code: str, nodes: Sequence[ast.AST]) -> list[SecretText]:
        """The secrets in a text of the notebook, among the nodes of its tree."""
        known = self.known
        return secret_texts(nodes, known.passed, known.takes, self._flowing.get(code, {}))

    def out_of(self, statements: Iterable[Statement]) -> list[Statement]:
        """The statements without secrets."""
        first = [self._first(statement) for statement in statements]
        return [self._second(statement) for statement in first]

    def out_of_module(self, text: str, place: str) -> str:
        """A module of the notebook's neighbourhood without secrets."""
        tree = ast.parse(text)
        self._flow({text: tree})
        nodes = list(ast.walk(tree))
        found = self._named(
            secret_texts(nodes, *self._known_in(nodes), self._flowing[text]),
            lambda node: f"{place} line {node.lineno}",
        )
        return _with_os(_rewritten(text, found, "os")) if found else text

    def _known_in(self, nodes: Sequence[ast.AST]) -> tuple[frozenset[str], Takes]:
        here = known_of([nodes])
        return self.known.passed | here.passed, {**self.known.takes, **here.takes}

    def masked(self, text: str) -> str:
        """A text for people, without any value, nor what looks like a secret."""
        text = self.without_values(text)
        for _, secret in (*shapes_in(text), *told_in(text)):
            text = text.replace(secret, MASK)
        return text

    def without_values(self, text: str) -> str:
        """A text without any value that was found in the notebook."""
        for value in sorted({*self.names, *self.values}, key=len, reverse=True):
            for shown in {value, *value.split("\n")}:
                if len(shown) > _SHORTEST:
                    text = text.replace(shown, MASK)
                elif shown:
                    text = text.replace(f'"{shown}"', f'"{MASK}"').replace(
                        f"'{shown}'", f"'{MASK}'"
                    )
        return text

    def _first(self, statement: Statement) -> Statement:
        if not self._in(statement.code, list(ast.walk(ast.parse(statement.code)))):
            return statement
        plain = statement.with_code(statement.code)
        found = self._named(self._in(plain.code, plain.parts), plain.where)
        if not found:
            return statement
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
            fixed = [s for s in self._in(statement.code, statement.parts) if s.fixed]
            if same and not fixed:
                self.used = True
                statement = statement.with_code(_rewritten(statement.code, same, self.module))
        code = self.swept(statement.code, statement.where())
        for line, comment in comments_in(code):
            self._refuse_told(comment, f"{statement.label} line {line + statement.shift}")
        above = self._comments(statement.above, statement)
        below = self._comments(statement.below, statement)
        if (code, above, below) == (statement.code, statement.above, statement.below):
            return statement
        made = statement if code == statement.code else statement.with_code(code)
        return replace(made, above=above, below=below)

    def _comments(self, lines: Iterable[str], statement: Statement) -> tuple[str, ...]:
        made = tuple(self.without_values(line) for line in lines)
        typed = [line.strip() for line in statement.source.split("\n")]
        for line, shown in zip(lines, made, strict=True):
            at = typed.index(line.strip()) + 1 if line.strip() in typed else statement.line()
            self._refuse_told(shown, f"{statement.label} line {at}")
        return made

    def _refuse_told(self, comment: str, place: str) -> None:
        for secret in secrets_told(comment):
            self.values.append(secret)
            self.findings.refuse(
                f"{place}: a comment tells what looks like a secret, and comments come along; "
                "take it out"
            )

    def heading(self, text: str) -> str:
        """A heading without any value; refused where it tells a secret by its shape."""
        shown = self.without_values(text)
        for secret in secrets_told(shown):
            self.values.append(secret)
            self.findings.refuse(
                f"the heading {self.masked(shown)!r} tells what looks like a secret, and headings "
                "come along; take it out"
            )
        return shown

    def swept(self, code: str, place: str) -> str:
        """Code with masked comments; refused where a value is left."""
        if not any(value in code for value in (*self.names, *self.values)):
            return code
        rows = lines_of(code)
        for token in tokenize.generate_tokens(io.StringIO(code).readline):
            if token.type == tokenize.COMMENT:
                row = token.start[0] - 1
                rows[row] = rows[row][: token.start[1]] + self.without_values(token.string)
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


# Secrets that are told in comments and headings: by their shape, or in code that is commented
# out.
# Nothing can take their place there, and a text for people that has a hole in it tells where the
# secret was; so they are refused.


def secrets_told(text: str) -> list[str]:
    """The secrets in a line for people."""
    plain = text.strip().lstrip("#").strip()
    found = [secret for _, secret in (*shapes_in(plain), *told_in(plain))]
    return found + [value for value in _in_code(plain) if value not in found]


def _in_code(line: str) -> Iterator[str]:
    """Texts that a line of code, commented out, gives to something secret."""
    try:
        tree = ast.parse(line.removesuffix(":") if line.startswith("@") else line)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for text, _ in flowing_into_secrets([tree]).texts.values():
        value = text.value
        yield value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def comments_in(code: str) -> list[tuple[int, str]]:
    """The comments in some code, with their lines."""
    if "#" not in code:
        return []
    tokens = tokenize.generate_tokens(io.StringIO(code).readline)
    return [(token.start[0], token.string) for token in tokens if token.type == tokenize.COMMENT]
