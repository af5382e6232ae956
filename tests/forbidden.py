"""What no module of rnnsent may do with what it reads: a look through its syntax tree, under whatever name.

Names are followed through imports (`from pickle import loads as l`), and a function that is only mentioned counts like
one that is called. What only shows when the program runs, such as a name put together from pieces, is not seen.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

MODULES = {"pickle", "_pickle", "marshal", "shelve", "dill", "joblib", "cloudpickle", "jsonpickle", "yaml"}
BUILTINS = {"eval", "exec", "compile", "__import__"}
NAMES = {
    "extractall", "extract", "unpack_archive", "get_file", "enable_unsafe_deserialization", "model_from_json",
    "model_from_config", "load_model", "load_weights", "unsafe_load", "full_load", "TFSMLayer",
}  # fmt: skip
PLACES = {"os.system", "os.popen", "numpy.fromregex", "torch.load", *(f"builtins.{name}" for name in BUILTINS)}
OF_PICKLE = {"data/imdb.py": {"pickle", "pickle.Unpickler", "pickle.UnpicklingError"}}
READERS = {"numpy.load", "numpy.lib.format.read_array", "numpy.lib.npyio.load"}  # each says that it takes no pickle


def faults(source: str, file: str) -> list[str]:
    """Return `FILE:LINE what` of all that is forbidden in the text of a module.

    Args:
        source: of the module.
        file: its path in the package; data/imdb.py may use the restricted unpickler.
    """
    tree = ast.parse(source)
    aliases = _aliases(tree)
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    found: list[tuple[int, str]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = _imported(node)
            what = [name for name in names if name.partition(".")[0] in MODULES or _is_forbidden(name)]
            what += [name for name in names if name.endswith(".*")]
        elif isinstance(node, ast.Call):
            what = list(_called(node, aliases))
        else:
            name = _full(node, aliases) if isinstance(getattr(node, "ctx", None), ast.Load) else ""
            uncalled = name in READERS and id(node) not in called
            what = [name] if _is_forbidden(name) or name.startswith("pickle.") or uncalled else []
        line: int = getattr(node, "lineno", 0)
        found += [(line, each) for each in what if each not in OF_PICKLE.get(file, ())]
    return [f"{file}:{line} {what}" for line, what in dict.fromkeys(sorted(found))]


def _imported(node: ast.Import | ast.ImportFrom) -> list[str]:
    if isinstance(node, ast.Import):
        return [each.name for each in node.names]
    return [] if node.level else [f"{node.module}.{each.name}" for each in node.names]


def _aliases(tree: ast.AST) -> dict[str, str]:
    """Return what names of a module stand for, {"np": "numpy"}."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = zip(node.names, _imported(node), strict=False)
            found |= {each.asname or name.rpartition(".")[2]: name for each, name in names}
    return found


def _full(node: ast.AST, aliases: dict[str, str]) -> str:
    """Return the dotted name of an expression, as if nothing had been renamed; "" where it has none."""
    if isinstance(node, ast.Name):
        return aliases.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        return f"{_full(node.value, aliases) or '?'}.{node.attr}"
    return ""


def _is_forbidden(name: str) -> bool:
    return name in BUILTINS | PLACES or name.rpartition(".")[2] in NAMES


def _called(node: ast.Call, aliases: dict[str, str]) -> Iterator[str]:
    name = _full(node.func, aliases)
    last = name.rpartition(".")[2]
    keys = {key.arg: ast.unparse(key.value) for key in node.keywords}
    texts = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
    if keys.get("allow_pickle", "False") != "False" or (name in READERS and "allow_pickle" not in keys):
        yield f"{name} that takes pickles"
    if keys.get("shell", "False") != "False":
        yield f"{name} with a shell"
    if last == "YAML" and keys.get("typ", "'rt'") not in ("'rt'", "'safe'"):
        yield f"{name} that makes objects"
    if last in ("getattr", "attrgetter", "methodcaller"):
        yield from (f"{last} of {text}" for text in texts if text in NAMES | BUILTINS)
    if last == "import_module" and not _is_own_module(node):
        yield f"{name} of a module that is not rnnsent's"


def _is_own_module(call: ast.Call) -> bool:
    """Return whether what is imported by name is f"rnnsent.…": of a package whose every module is looked through."""
    first = call.args[0] if call.args else None
    if isinstance(first, ast.JoinedStr):
        first = first.values[0]
    return isinstance(first, ast.Constant) and str(first.value).startswith("rnnsent.")
