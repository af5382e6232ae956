from __future__ import annotations

import importlib.util
import re
import sys
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from rnnsent.config.loader import shipped_names
from rnnsent.config.sections import Config, section_of
from tests.conftest import REPOSITORY
from tests.words import pages


def script(path: str) -> Any:
    """Return a script of the repository as a module."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, REPOSITORY / path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module


generate = script("docs/generate.py")
FOLDERS = ("rnnsent", "tests", "benchmarks", "docs", "configs")
OTHER_FOLDERS = {"RUN", "runs", "checkpoints", "plots", "logs", "members", "teacher", "evaluations", "train", "test"}
# A path between blanks, quotes, backticks or brackets; a period after it ends a sentence.
NAMES = r"(?:(?<=[\s`(\"])|^)([\w-][\w.-]*(?:/[\w.-]*[\w-])*/?)(?=\.?(?:[\s`,;:)\"]|$))"
PAGES = {path: path.read_text(encoding="utf-8") for path in pages()}
README = PAGES[REPOSITORY / "README.md"]


@pytest.mark.parametrize("path", list(generate.PAGES), ids=lambda path: path.name)
def test_generated_pages_are_up_to_date(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == generate.PAGES[path](), "run `make docs`"


def test_the_results_are_what_was_measured() -> None:
    results = script("benchmarks/results.py")
    assert (REPOSITORY / "docs" / "results.md").read_text(encoding="utf-8") == results.page(), "run it"
    assert {path.stem for path in results.MEASURED.iterdir()} <= set(results.SECTIONS)


def test_links_lead_to_files() -> None:
    dead = []
    for path, text in PAGES.items():
        targets = re.findall(r"\]\((?!https?:)([^)#]+)", text) + re.findall(r'src="(?!https?:)([^"]+)', text)
        dead += [f"{path.name}: {target}" for target in targets if not (path.parent / target).exists()]
    assert dead == []


def test_names_of_files_and_folders_exist() -> None:
    dead = []
    for path, text in PAGES.items():
        names = re.findall(NAMES, text, re.MULTILINE)
        names += [module.replace(".", "/") for module in re.findall(r"python -m (\S+?)[`\s]", text)]
        dead += [f"{path.name}: {name}" for name in names if _names_a_source(name) and not _exists(name)]
    assert dead == []


def _names_a_source(name: str) -> bool:
    """Whether a name is one of a file or folder of the repository, and not of a run or of the reader's own."""
    first = name.split("/")[0]
    if name.endswith((".py", ".c", ".h", ".inc", ".j2")):
        return True
    return (first in FOLDERS and "/" in name) or (name.endswith("/") and first not in OTHER_FOLDERS)


def _exists(name: str) -> bool:
    if name.endswith(".py") and "/" not in name:
        return any(path.name == name for folder in FOLDERS for path in (REPOSITORY / folder).rglob("*.py"))
    places = (REPOSITORY, REPOSITORY / "rnnsent", REPOSITORY / "rnnsent" / "engine" / "native")
    return any((place / name).exists() or (place / f"{name}.py").exists() for place in places)


def test_config_keys_exist() -> None:
    dead = []
    for path, text in PAGES.items():
        for key in set(re.findall(r"(?<![\w./])((?:data|model|training)(?:\.[a-z_]+)+)\b(?!\.\w)", text)) - {
            "model.keras",
            "data.jsonl",
        }:
            section: Any = Config
            for name in key.split("."):
                kinds = {field.name: field.type for field in fields(section)} if section else {}
                if name not in kinds:
                    dead.append(f"{path.name}: {key}")
                    break
                section = section_of(kinds[name])
    assert dead == []


def test_tests_of_promises_exist() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGES[REPOSITORY / "SECURITY.md"]))
    written = {
        name
        for path in (REPOSITORY / "tests").rglob("*.py")
        for name in re.findall(r"def (test_\w+)", path.read_text(encoding="utf-8"))
    }
    assert named
    assert named - written == set()


def test_readme_is_a_first_screen() -> None:
    assert len(README.split()) <= 800


def test_readme_shows_configs_that_are_shipped() -> None:
    shown = re.findall(r"--config (?:configs/)?([\w/]+)", README)
    assert shown
    assert set(shown) <= {*shipped_names(), "NAME"}


def test_the_wheel_lists_every_package() -> None:
    listed = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = {path.parent.relative_to(REPOSITORY) for path in (REPOSITORY / "rnnsent").rglob("*.py")}
    configs = {Path("rnnsent") / path.parent.relative_to(REPOSITORY) for path in REPOSITORY.glob("configs/**/*.yaml")}
    assert set(listed) == {".".join(folder.parts) for folder in folders | configs}
