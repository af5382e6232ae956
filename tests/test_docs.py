from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path

import pytest

from rnnsent.configfile import shipped_names
from tests.conftest import REPOSITORY

_spec = importlib.util.spec_from_file_location("generate", REPOSITORY / "docs" / "generate.py")
assert _spec is not None and _spec.loader is not None
generate = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(generate)

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", list(generate.PAGES), ids=lambda path: path.name)
def test_generated_pages_are_up_to_date(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == generate.PAGES[path](), "run `make docs`"


def test_readme_names_every_package_and_folder_of_the_tree() -> None:
    tree = README[README.index("## The tree") :]
    modules = {path.name for path in (REPOSITORY / "rnnsent").iterdir() if path.suffix == ".py"} - {
        "__init__.py",
        "__main__.py",
    }
    folders = {f"{path.name}/" for path in (REPOSITORY / "rnnsent").iterdir() if path.is_dir()} - {"__pycache__/"}
    missing = [name for name in sorted(modules | folders) if name not in tree]
    assert not missing


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
