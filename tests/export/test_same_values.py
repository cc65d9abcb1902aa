"""Made-up notebooks and their programs give the same values and declare the same, in any order.

Each notebook is run cell by cell, and its program at once, flat and as a package. What differs is a
statement that was moved across one that it depends on, left behind, or put into another module.
"""

from __future__ import annotations

import random
import sys
import types

import pytest

from buildflow_nb.export.cells.document import document_of
from buildflow_nb.export.cells.ran_cell import RanCell
from buildflow_nb.export.cells.reading import read
from buildflow_nb.export.code.arranging import arranged
from buildflow_nb.export.code.package import package_texts
from buildflow_nb.export.code.program import Outline, program_text
from buildflow_nb.export.code.selection import select
from buildflow_nb.export.messages import Messages

NOTEBOOKS = 60


class App:
    """Stands for a flow: keeps what is declared."""

    def __init__(self):
        self.declared = []

    def consumer(self, source):
        self.declared.append(source)
        return lambda function: function

    def manage(self, value):
        self.declared.append(value)


class Maker:
    """Makes up a notebook of variables, lists, functions, classes and processors."""

    def __init__(self, seed):
        self.random = random.Random(seed)  # noqa: S311  (of a test)
        self.variables, self.lists, self.functions, self.classes = [], [], [], []
        self.processors = []

    def cells(self):
        makers = [self.variable] * 3 + [self.new_list, self.longer, self.function, self.class_]
        makers += [self.attribute, self.more, self.managed, self.processor]
        count = self.random.randint(4, 16)
        cells = [
            "\n".join(self.random.choice(makers)() for _ in range(self.random.randint(1, 3)))
            for _ in range(count)
        ]
        values = [*self.variables, *(f"{name}.a" for name in self.classes)]
        values += [f"sum({name})" for name in self.lists]
        values += [f"{name}()" for name in self.functions]
        last = f"@app.consumer(source=0)\ndef last():\n    return [{', '.join(values)}]"
        self.processors.append("last")
        return [*cells, last]

    def value(self):
        parts = [f"{name} + {self.random.randint(1, 9)}" for name in self.variables]
        parts += [f"{name}()" for name in self.functions]
        parts += [f"{name}.a" for name in self.classes]
        parts += [f"sum({name})" for name in self.lists]
        return self.random.choice([*parts, str(self.random.randint(1, 99))])

    def name(self, known, letter):
        """A name that is there, or a new one."""
        if known and self.random.random() < 0.3:
            return self.random.choice(known)
        known.append(f"{letter}{len(known)}")
        return known[-1]

    def variable(self):
        value = self.value()
        return f"{self.name(self.variables, 'v')} = {value}"

    def new_list(self):
        line = f"l{len(self.lists)} = [{self.value()}]"
        self.lists.append(f"l{len(self.lists)}")
        return line

    def longer(self):
        if not self.lists:
            return self.new_list()
        name = self.random.choice(self.lists)
        return f"{name}[len({name}):] = [{self.value()}]"

    def function(self):
        again = self.functions and self.random.random() < 0.3
        name = self.random.choice(self.functions) if again else f"f{len(self.functions)}"
        # One that is written anew calls none, so that none calls itself.
        value = (self.variables[-1] if self.variables else "1") if again else self.value()
        self.functions += [] if again else [name]
        return f"def {name}():\n    return {value}"

    def class_(self):
        value = self.value()
        return f"class {self.name(self.classes, 'C')}:\n    a = {value}"

    def attribute(self):
        if not self.classes:
            return self.class_()
        return f"{self.random.choice(self.classes)}.a = {self.value()}"

    def more(self):
        if not self.variables:
            return self.variable()
        return f"{self.random.choice(self.variables)} += {self.random.randint(1, 9)}"

    def managed(self):
        return f"app.manage({self.value()})"

    def processor(self):
        name = f"p{len(self.processors)}"
        self.processors.append(name)
        return f"@app.consumer(source={self.value()})\ndef {name}():\n    return {self.value()}"


def results(names, processors):
    return [names["app"].declared, *(names[name]() for name in processors)]


def ran(cells, processors):
    """What the notebook gives, cell by cell; None where it calls itself for ever."""
    names = {"app": App(), "__name__": "notebook"}
    try:
        for cell in cells:
            exec(cell, names)  # noqa: S102  (made up by this very test)
        return results(names, processors)
    except RecursionError:
        return None


def program(text):
    """A program's names."""
    names = {"App": App, "__name__": "program"}
    exec(text.replace("from buildflow_nb import Flow\n", "Flow = App\n"), names)  # noqa: S102
    return names


def package(texts, monkeypatch):
    """The names of a package's last module."""
    for path, text in texts.items():
        if path != "main.py":
            name = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
            module = types.ModuleType(name)
            module.__path__, module.App = [], App
            monkeypatch.setitem(sys.modules, name, module)
            own = text.replace("from buildflow_nb import Flow\n", "Flow = App\n")
            exec(own, module.__dict__)  # noqa: S102
    return sys.modules["shop.processors"].__dict__


@pytest.mark.parametrize("seed", range(NOTEBOOKS))
def test_a_notebook_and_its_program(seed, monkeypatch):
    maker = Maker(seed)
    cells = maker.cells()
    wanted = ran(cells, maker.processors)
    if wanted is None:
        return
    findings = Messages()
    document = document_of([RanCell(c, i) for i, c in enumerate(cells, 1)], None, findings)
    chosen = select(read(document, findings), lambda node: None, findings)
    order = arranged(chosen, findings)
    assert list(findings.refusals) == []
    outline = Outline(sections=[()])
    assert results(program(program_text(order, outline)), maker.processors) == wanted
    texts = package_texts(order, outline, "shop")
    assert results(package(texts, monkeypatch), maker.processors) == wanted
