"""Rules of the code that no linter knows: its size, and how far it reaches into libraries."""

import ast
import tomllib
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAX_MODULE_LINES = 300
MAX_FUNCTION_LINES = 40

# Longer than they may be. None is added; one goes when its code is short enough.
# Library -> the one module that may use its private parts, or what lies in its inner modules.
INNER_PARTS = {
    "aiosqlite": "booper/store/sqlite/connection.py",
    "pyinstaller": "booper/executable.py",
    "uvicorn": "booper/server/protocol.py",
}

# Begins with an underscore and is documented for everyone: https://docs.python.org/3/library/os.html,
# https://docs.python.org/3/library/sys.html#sys._current_frames and
# https://docs.python.org/3/howto/logging.html#optimization.
PUBLIC = {"os._exit", "sys._current_frames", "logging._srcfile"}

# They change places in a list, filters and keys.
LISTS_AND_KEYS = {"listing.py", "search.py", "logs.py", "keys.py"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def sources() -> dict[str, str]:
    """Return the text of every module of booper by its path."""
    files = sorted((ROOT / "booper").rglob("*.py"))
    return {str(file.relative_to(ROOT)): file.read_text(encoding="utf-8") for file in files}


def is_private(name: str) -> bool:
    """Return whether a name is private to its class or module."""
    return name.startswith("_") and not (name.startswith("__") and name.endswith("__"))


def attributes(tree: ast.AST) -> Iterator[ast.Attribute]:
    """Yield each use of an attribute."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node


def members(tree: ast.AST) -> set[str]:
    """Return the names that classes of a module give to methods and attributes."""
    found = set[str]()
    for outer in ast.walk(tree):
        if not isinstance(outer, ast.ClassDef):
            continue
        for node in ast.walk(outer):
            match node:
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                    found.add(name)
                case ast.Name(id=name, ctx=ast.Store()):
                    found.add(name)
                case ast.Attribute(attr=name, ctx=ast.Store()):
                    found.add(name)
    return found


def is_self(node: ast.expr) -> bool:
    """Return whether an expression is `self` or `cls`."""
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def faults(texts: Mapping[str, str]) -> list[str]:
    """Return each use of a private part of another library, as path, line and expression."""
    trees = {path: ast.parse(text) for path, text in texts.items()}
    of_booper = set().union(*map(members, trees.values()))
    found = []
    for path, tree in trees.items():
        if path in INNER_PARTS.values():
            continue
        own = members(tree)
        for node in attributes(tree):
            known = of_booper if is_self(node.value) else own
            if is_private(node.attr) and node.attr not in known and ast.unparse(node) not in PUBLIC:
                found.append(f"{path}:{node.lineno}: {ast.unparse(node)}")
        found += [f"{path}:{line}: {text}" for line, text in hidden_uses(tree)]
    return found


def hidden_uses(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield private parts that are imported, or named to `getattr` and the like."""
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module=str(module), names=names) if not is_own(module):
                is_inner = any(module.startswith(f"{library}.") for library in INNER_PARTS)
                if is_inner or any(is_private(name.name) for name in names):
                    yield node.lineno, ast.unparse(node)
            case ast.Call(
                func=ast.Name(id="getattr" | "setattr" | "delattr" | "hasattr"),
                args=[subject, ast.Constant(value=str(name)), *_],
            ) if is_private(name) and not is_self(subject):
                yield node.lineno, ast.unparse(node)


def is_own(module: str) -> bool:
    """Return whether a module is booper's."""
    return module.partition(".")[0] == "booper"


def functions(texts: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    """Yield each function, as path and name, and how many lines it has with its docstring."""
    for path, text in texts.items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, Function):
                assert node.end_lineno is not None
                yield f"{path}: {node.name}", node.end_lineno - node.lineno + 1


def test_private_parts_of_libraries_are_used_in_one_module_each() -> None:
    """Elsewhere a private attribute is one that a class of booper has."""
    assert faults(sources()) == []


@pytest.mark.parametrize(
    "text",
    [
        "def read(response):\n    return response._content",
        "import logging\nlogging._handlers.clear()",
        "class Own(Base):\n    def run(self):\n        return self._thread",
        "class Own(Base):\n    @classmethod\n    def run(cls):\n        return cls._cache",
        "from httpx import _client",
        "from uvicorn.protocols.http.httptools_impl import STATUS_LINE",
        "def read(response):\n    return getattr(response, '_content')",
        "class Own:\n    def run(self):\n        return self._held._thread",
    ],
)
def test_a_private_part_of_a_library_is_found(text: str) -> None:
    """By whichever way it is used, in a module that is none of the two."""
    booper = {
        "booper/a.py": text,
        "booper/b.py": "class Other:\n    def __init__(self):\n        self._held = 1",
    }
    assert len(faults(booper)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "import logging\nimport os\nlogging._srcfile = None\nos._exit(1)",
        "class Own:\n    _known = 1\n    def run(self, other: 'Own'):\n        return other._known",
        "class Own(Other):\n    def run(self):\n        return self._held",
        "from booper.b import _helper",
        "def name(value):\n    return type(value).__name__",
    ],
)
def test_what_is_boopers_own_is_no_fault(text: str) -> None:
    """A class's own private attributes, also those of a base class in another module."""
    other = "class Other:\n    def __init__(self):\n        self._held = 1"
    assert faults({"booper/a.py": text, "booper/b.py": other}) == []


@pytest.mark.parametrize("library", INNER_PARTS)
def test_a_library_whose_inner_parts_are_used_has_a_newest_version(library: str) -> None:
    """A newer one is tried here before anyone gets it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = [
        project["project"]["dependencies"],
        *project["project"]["optional-dependencies"].values(),
    ]
    [bound] = [each for each in chain(*wanted) if each.startswith(library)]
    assert "<" in bound


def decisions(path: str, text: str) -> Iterator[str]:
    """Yield where a module changes jobs or schedules itself, or knows which states do what."""
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.ImportFrom(module="msgspec.structs", names=names):
                if path.rpartition("/")[2] not in LISTS_AND_KEYS:
                    yield from (f"{path}: {each.name}" for each in names if each.name != "astuple")
            case ast.Call(func=ast.Name(id="Job" | "Schedule" as name)):
                if not path.endswith("_columns.py"):
                    yield f"{path}: {name}(…)"
            case ast.Constant(value=str(words)) if "state IN ('" in words:
                yield f"{path}: {words.strip()}"


def test_a_database_makes_no_job_of_its_own() -> None:
    """Jobs and schedules are read from rows; what changes in them the rules have decided."""
    modules = sources().items()
    database = {path: text for path, text in modules if path.startswith("booper/store/sqlite/")}
    assert len(database) > 20
    assert [each for path, text in database.items() for each in decisions(path, text)] == []


@pytest.mark.parametrize(
    "text",
    [
        "from msgspec.structs import replace",
        "job = Job(id=1)",
        "LIST = \"SELECT id FROM jobs WHERE state IN ('scheduled', 'retryable')\"",
    ],
)
def test_a_decision_in_a_database_is_found(text: str) -> None:
    """A changed job, a new one, and a set of states that has a name in the model."""
    assert len(list(decisions("booper/store/sqlite/jobs.py", text))) == 1


def test_values_of_model_wire_and_store_are_of_one_kind() -> None:
    """Each is a frozen msgspec.Struct; `recurrence` checks its values and hides one of them."""
    rooms = ("booper/model/", "booper/wire/", "booper/store/")
    texts = {path: text for path, text in sources().items() if path.startswith(rooms)}
    others = {path for path, text in texts.items() if "dataclass" in text}
    assert others == {"booper/model/recurrence.py"}


def test_no_module_is_long() -> None:
    """It owns one thing, and a reader sees it whole."""
    long = {path for path, text in sources().items() if text.count("\n") > MAX_MODULE_LINES}
    assert long == set()


def test_no_function_is_long() -> None:
    """Its docstring is part of it."""
    long = {name for name, lines in functions(sources()) if lines > MAX_FUNCTION_LINES}
    assert long == set()


def test_lines_of_a_function_are_counted_with_its_docstring() -> None:
    """From `def` to the last line of the body; what decorates it is not counted."""
    text = '@cached\ndef one(\n    a: int,\n) -> int:\n    """Do.\n\n    More."""\n    return a\n'
    assert dict(functions({"a.py": text})) == {"a.py: one": 7}
