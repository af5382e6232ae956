from __future__ import annotations

import importlib.util
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from rnnsent.config.loader import shipped_names
from tests.conftest import REPOSITORY


def script(path: str) -> Any:
    """Return a script of the repository as a module."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, REPOSITORY / path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module


generate = script("docs/generate.py")
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", list(generate.PAGES), ids=lambda path: path.name)
def test_generated_pages_are_up_to_date(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == generate.PAGES[path](), "run `make docs`"


def test_the_results_are_what_was_measured() -> None:
    results = script("benchmarks/results.py")
    assert (REPOSITORY / "docs" / "results.md").read_text(encoding="utf-8") == results.page(), "run it"
    assert {path.stem for path in results.MEASURED.iterdir()} <= set(results.SECTIONS)


def test_readme_links_lead_somewhere() -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", README)
    assert targets
    assert [target for target in targets if not (REPOSITORY / target).exists()] == []


def test_readme_shows_configs_that_are_shipped() -> None:
    shown = re.findall(r"--config (?:configs/)?([\w/]+)", README)
    assert shown
    assert set(shown) <= {*shipped_names(), "NAME"}


def test_the_wheel_lists_every_package() -> None:
    listed = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = {path.parent.relative_to(REPOSITORY) for path in (REPOSITORY / "rnnsent").rglob("*.py")}
    configs = {Path("rnnsent") / path.parent.relative_to(REPOSITORY) for path in REPOSITORY.glob("configs/**/*.yaml")}
    assert set(listed) == {".".join(folder.parts) for folder in folders | configs}
