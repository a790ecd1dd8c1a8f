"""Nothing imported is ever written to, and no module keeps state that changes."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).parents[2]
SOURCES: Final = sorted([*(ROOT / "webui").rglob("*.py"), ROOT / "launch.py"])
CHANGERS: Final = {
    *("add", "append", "clear", "discard", "extend", "insert", "pop", "popitem", "remove"),
    *("setdefault", "sort", "update"),
}
"""Methods by which a list, dict or set is changed in place."""

EXCEPTIONS: Final = {
    # Libraries read their switches ("nothing may leave this machine") from the process's own
    # environment while they are imported, so these have to be there before that.
    "webui/settings.py": "os.environ",
}

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_imported_is_written_to(path: Path) -> None:
    """No patched libraries, no state shared through another module."""
    allowed = EXCEPTIONS.get(path.relative_to(ROOT).as_posix(), "nothing")

    found = writes_to_imports(path.read_text(encoding="utf-8"))

    assert [line for line in found if allowed not in line] == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_function_changes_what_its_module_holds(path: Path) -> None:
    """State lives in the few objects that app.py makes, never in a module."""
    assert writes_to_module(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "import torch\ntorch.load = None",
        "import torch\ntorch.nn.Linear.forward += 1",
        "from torch import nn as layers\nlayers.Linear.forward: object = None",
        "import os\nos.environ['HOME'] = '.'",
        "import os\ndel os.environ['HOME']",
        "import os\nos.environ.update(HOME='.')",
        "import sys\nsys.path.insert(0, '.')",
        "import a\nfor a.b in range(3): pass",
        "import a\nwith open('x') as a.b: pass",
        "import a\n(a.b, c) = 1, 2",
        "from a import REGISTRY\nREGISTRY.append(1)",
        "def f(module):\n  setattr(module, 'x', 1)",
        "def f(module):\n  delattr(module, 'x')",
        "def f(module):\n  object.__setattr__(module, 'x', 1)",
        "def f(module):\n  module.__dict__['x'] = 1",
    ],
)
def test_the_rule_sees_every_way_of_writing(source: str) -> None:
    assert writes_to_imports(source)


@pytest.mark.parametrize(
    "source",
    [
        "CACHE = {}\ndef f(k):\n  CACHE[k] = 1",
        "CACHE = {}\ndef f(k):\n  CACHE.update(k)",
        "class State: pass\nSTATE = State()\ndef f():\n  STATE.running = True",
        "class Engine: pass\ndef f():\n  Engine.loaded = None",
    ],
)
def test_the_rule_sees_module_state(source: str) -> None:
    assert writes_to_module(source)


@pytest.mark.parametrize(
    "source",
    [
        "import a\nb = a.c",
        "import a\nb = []\nb.append(a.c)",
        "class A:\n  def __post_init__(self):\n    object.__setattr__(self, 'x', 1)",
        "NAMES = {}\ndef f(NAMES):\n  NAMES['x'] = 1",
        "NAMES = {}\nNAMES['x'] = 1",
    ],
)
def test_the_rule_lets_ordinary_code_be(source: str) -> None:
    assert writes_to_imports(source) == writes_to_module(source) == []


def writes_to_imports(source: str) -> list[str]:
    """Return what is written to through an imported name, or by setattr."""
    tree = ast.parse(source)
    modules, members = imported_names(tree)
    found = [
        f"line {target.lineno}: {ast.unparse(target)}"
        for target in written(tree)
        if root(target) in modules | members or "__dict__" in ast.unparse(target)
    ]
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        changed = changed_in_place(call)
        through_module = isinstance(changed, ast.Attribute) and root(changed) in modules | members
        constant = isinstance(changed, ast.Name) and changed.id in members and changed.id.isupper()
        if through_module or constant or sets_attribute(call):
            found.append(f"line {call.lineno}: {ast.unparse(call)}")
    return found


def writes_to_module(source: str) -> list[str]:
    """Return what functions write to names that their module or class level binds."""
    tree = ast.parse(source)
    held = {
        name.id
        for statement in tree.body
        if isinstance(statement, ast.Assign | ast.AnnAssign)
        for name in ast.walk(statement)
        if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)
    } | {statement.name for statement in tree.body if isinstance(statement, ast.ClassDef)}
    found: list[str] = []
    for function in (node for node in ast.walk(tree) if isinstance(node, Function)):
        outer = held - local_names(function)
        changes = [
            changed_in_place(node) for node in ast.walk(function) if isinstance(node, ast.Call)
        ]
        found += [
            f"line {target.lineno}: {ast.unparse(target)}"
            for target in [*written(function), *filter(None, changes)]
            if root(target) in outer
        ]
    return found


def imported_names(tree: ast.AST) -> tuple[set[str], set[str]]:
    """Return the names that ``import`` binds, and those that ``from ... import`` binds."""
    modules: set[str] = set()
    members: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {(name.asname or name.name).partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            members |= {name.asname or name.name for name in node.names}
    return modules, members


def written(tree: ast.AST) -> Iterator[ast.Attribute | ast.Subscript]:
    """Yield every attribute or item that is assigned, deleted, or bound by for, with or a tuple."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load):
            yield node


def changed_in_place(call: ast.Call) -> ast.expr | None:
    """Return ``x`` of ``x.append(...)`` and the like."""
    method = call.func
    return method.value if isinstance(method, ast.Attribute) and method.attr in CHANGERS else None


def sets_attribute(call: ast.Call) -> bool:
    """Tell setattr, delattr, and object.__setattr__ on anything but a frozen value's own self."""
    name = ast.unparse(call.func)
    on_self = bool(call.args) and ast.unparse(call.args[0]) == "self"
    return name in {"setattr", "delattr"} or (name.endswith("__setattr__") and not on_self)


def root(target: ast.expr) -> str | None:
    """Return ``a`` of ``a.b[c].d``."""
    while isinstance(target, ast.Attribute | ast.Subscript):
        target = target.value
    return target.id if isinstance(target, ast.Name) else None


def local_names(function: Function) -> set[str]:
    """Return the parameters of a function and the names bound inside it."""
    names = {
        node.id
        for node in ast.walk(function)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    return names | {node.arg for node in ast.walk(function) if isinstance(node, ast.arg)}
