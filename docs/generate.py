"""Writes docs/cli.md from the commands' --help, docs/config.md and configs/schema.json from the config's types.

Run as `make docs`; a test fails when a page is not what this writes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
from pydantic import TypeAdapter

from rnnsent.cli.main import cli
from rnnsent.config.loader import description, json_schema, shipped_names
from rnnsent.config.sections import Config, Section, is_mapping, section_of

ROOT = Path(__file__).parent.parent
WIDTH = 80


def cli_page() -> str:
    """Return docs/cli.md."""
    parts = ["# The commands\n\nWritten by `make docs` from `--help`; do not edit.\n"]
    for names, command in _commands((), cli):
        context = _context(names, command)
        parts.append(f"## {' '.join(names)}\n\n```\n{command.get_help(context)}\n```\n")
    return "\n".join(parts)


def config_page() -> str:
    """Return docs/config.md."""
    shipped = "".join(f"| `{name}` | {description(name)} |\n" for name in shipped_names())
    parts = [
        "# The config\n\nWritten by `make docs` from `rnnsent/config/`; do not edit. `rnnsent config show FILE` "
        "prints a config with every default, `--set key=value` overrides any key. "
        "`--set 'model.recurrent.1={cell: gru, units: 16}'` adds a second layer.\n",
        f"| shipped config | |\n|---|---|\n{shipped}",
    ]
    parts += [_section_page(path, section) for path, section in _sections("", Config)]
    return "\n".join(parts)


def schema_text() -> str:
    """Return configs/schema.json."""
    return json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"


PAGES = {
    ROOT / "docs" / "cli.md": cli_page,
    ROOT / "docs" / "config.md": config_page,
    ROOT / "configs" / "schema.json": schema_text,
}


def _commands(names: tuple[str, ...], command: click.Command) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    names = (*names, command.name or "") if names else ("rnnsent",)
    yield names, command
    if isinstance(command, click.Group):
        context = _context(names, command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from _commands(names, child)


def _context(names: tuple[str, ...], command: click.Command) -> click.Context:
    return click.Context(
        command,
        info_name=" ".join(names),
        terminal_width=WIDTH,
        max_content_width=WIDTH,
        help_option_names=cli.context_settings["help_option_names"],  # a child of cli would inherit them
    )


def _sections(path: str, section: type[Section]) -> Iterator[tuple[str, type[Section]]]:
    yield path, section
    for field in fields(section):
        inner = section_of(field.type)
        if inner is not None:
            many = ".KEY" if is_mapping(field.type) else "[]" if "tuple[" in str(field.type) else ""
            yield from _sections(f"{path}.{field.name}{many}".lstrip("."), inner)


def _section_page(path: str, section: type[Section]) -> str:
    title = f"`{path}`" if path else "Top level"
    schema = TypeAdapter(section).json_schema()
    lines = [f"## {title}\n\n{section.__doc__}\n", "| key | type | default | meaning |", "|---|---|---|---|"]
    for key, field in schema["properties"].items():
        description = field.get("description", "").replace("\n", " ").replace("|", "\\|")
        lines.append(f"| `{key}` | {_type(field)} | {_default(field)} | {description} |")
    return "\n".join(lines) + "\n"


def _type(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_type(member) for member in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if "$ref" in schema:
        return "section"
    kind = {"integer": "whole number", "string": "text", "object": "mapping", "boolean": "true, false"}.get(
        schema.get("type", ""), schema.get("type", "")
    )
    if kind == "array":
        return "list of sections" if "$ref" in schema["items"] else f"list of {_type(schema['items'])}"
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    given = {sign: schema[key] for key, sign in signs.items() if key in schema}
    bounds = " and ".join(f"{sign} {int(value) if value == int(value) else value:,}" for sign, value in given.items())
    return f"{kind} {bounds}".strip() or "any value"


def _default(schema: dict[str, Any]) -> str:
    if "default" not in schema:
        return "required"
    return "see there" if "$ref" in schema else f"`{json.dumps(schema['default'])}`"


def main() -> None:
    """Write all pages."""
    for path, page in PAGES.items():
        path.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
