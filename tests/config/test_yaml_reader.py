from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnsent.config.yaml_reader import Document, dotted, dump, read_document, read_value
from rnnsent.errors import ConfigError


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read_document(text, "x.yaml")
    return [str(problem) for problem in caught.value.problems]


def override(text: str, **overrides: Any) -> tuple[Document, list[str]]:
    document = read_document(text, "x.yaml")
    return document, [str(problem) for problem in document.override(overrides)]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1e-3", 1e-3),
        ("1E5", 1e5),
        ("2.50", 2.5),
        (".inf", float("inf")),
        ("12", 12),
        ("-3", -3),
        ("0x1F", 31),
        ("010", 10),  # YAML 1.1 would read eight
        ("1:30", "1:30"),  # and ninety
        ("true", True),
        ("False", False),
        ("on", "on"),
        ("no", "no"),
        ("Y", "Y"),
        ("null", None),
        ("~", None),
        ("", None),
        ("'1e-3'", "1e-3"),
        ('"null"', "null"),
        ("a#b # a comment", "a#b"),
        ("[1, [a, {b: c}]]", [1, ["a", {"b": "c"}]]),
        ("|\n  two\n  lines\n", "two\nlines\n"),
    ],
)
def test_values_are_plain_python(written: str, value: Any) -> None:
    found = read_document(f"key: {written}", "x.yaml").values["key"]
    assert found == value
    assert type(found) is type(value)


def test_every_key_and_item_knows_its_line() -> None:
    text = "# comment\na: 1\n\nb:\n  c: {d: 2,\n      e: 3}\n  f:\n    - 4\n    - g: 5\n"
    document = read_document(text, "x.yaml")
    lines = {
        ("a",): 2,
        ("b",): 4,
        ("b", "c"): 5,
        ("b", "c", "d"): 5,
        ("b", "c", "e"): 6,
        ("b", "f"): 7,
        ("b", "f", 0): 8,
        ("b", "f", 1): 9,
        ("b", "f", 1, "g"): 9,
    }
    assert document.places == {path: f"x.yaml:{line}" for path, line in lines.items()}
    assert document.place(("b", "c", "missing", "deeper")) == "x.yaml:5"
    assert document.place(("missing",)) == "x.yaml"


def test_aliases_and_merges_are_plain_values_too() -> None:
    document = read_document("a:\n  - &one {b: 1}\n  - *one\n  - {<<: *one, c: 2}\n<<: {d: 3}\n", "x.yaml")
    assert document.values == {"a": [{"b": 1}, {"b": 1}, {"b": 1, "c": 2}], "d": 3}
    assert document.place(("a", 2, "c")) == "x.yaml:4" and document.place(("a", 2, "b")) == "x.yaml:2"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: [1\n", "x.yaml:3: broken YAML: expected ',' or ']'"),
        ("a: 1\n\tb: 2\n", "x.yaml:2: broken YAML: a tab; lines are indented with spaces"),
        ("a: 1\nb: 'open\nc: 3\n", "x.yaml:2: broken YAML: a quote is opened here and never closed"),
        ("a: 1\nb:2\n", "x.yaml:2: broken YAML: a key is followed by a colon and a space"),
        ("a:\n  b: 1\n   c: 2\n", "x.yaml:3: broken YAML"),
        ("a:\n  b: 1\n c: 2\n", "x.yaml:3: broken YAML: the indentation fits none of the lines above"),
        ("a: b: c\n", "x.yaml:1: broken YAML: mapping values are not allowed here"),
        ("a: 1\nb: 2\na: 3\n", 'x.yaml:3: broken YAML: found duplicate key "a"'),
        ("a:\n  b: 1\n  b: 1\n", 'x.yaml:3: broken YAML: found duplicate key "b"'),
        ("a: *nowhere\n", "x.yaml:1: broken YAML: found undefined alias 'nowhere'"),
        ("a: 1\n---\nb: 2\n", "x.yaml:2: broken YAML: but found another document"),
        ("<<: 3\n", "x.yaml:1: broken YAML: expected a mapping or list of mappings for merging"),
        ("a: \x00\n", "x.yaml: broken YAML: unacceptable character #x0000"),
        ("", "x.yaml: is empty"),
        ("# only a comment\n", "x.yaml: is empty"),
        ("- a\n", "x.yaml:1: must be a mapping of keys to values"),
        ("text\n", "x.yaml:1: must be a mapping of keys to values"),
        ("a: 1\nb: !!python/object/apply:os.system [ls]\n", "x.yaml:2: YAML tags are not allowed (here: tag:yaml.org"),
        ("a: !!omap [b: 1]\n", "x.yaml:1: YAML tags are not allowed"),
        ("a: !mine {b: 1}\n", "x.yaml:1: YAML tags are not allowed (here: !mine)"),
        ("!mine\na: 1\n", "x.yaml:1: YAML tags are not allowed (here: !mine)"),
        ("a: 1\nb: &b\n  c: *b\n", "x.yaml:2: b.c: is nested too deeply"),
        ("a: &a [1, [*a]]\n", "x.yaml:1: a.1: is nested too deeply"),
        ("a: 1\nb: " + "[" * 50 + "]" * 50, "x.yaml:2: b.0: is nested too deeply"),
        ("a: " + "[" * 5000 + "]" * 5000, "x.yaml: broken YAML: maximum recursion depth exceeded"),
        # Each level holds the one before it nine times: a billion values on a few lines.
        (
            "l0: &l0 [0,0,0,0,0,0,0,0,0]\n"
            + "".join(f"l{n}: &l{n} [{','.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 9)),
            "x.yaml:1: l4: holds more values than a config may",
        ),
        (f"a: {'9' * 5000}\n", "x.yaml:1: a: is too large a number"),
    ],
    ids=lambda text: text[:30].strip() if "x.yaml" not in text else "",
)
def test_what_is_not_a_plain_mapping_is_refused_with_its_line(text: str, message: str) -> None:
    (problem,) = problems(text)
    assert problem.startswith(message)


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    | st.sampled_from(["on", "null", "1e-3", "~", "a: b", "- a", "#", "*a", "&a", "!a", "\x85", "\u2028", "1_0", " "]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=4),
    max_leaves=10,
)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.dictionaries(st.text("xyz_", min_size=1, max_size=8), PLAIN, min_size=1, max_size=5))
def test_what_was_dumped_reads_as_it_was(values: dict[str, Any]) -> None:
    assert read_document(dump(values), "dumped").values == values


def test_a_dump_keeps_the_order_of_keys() -> None:
    assert dump({"b": 1, "a": {"d": [], "c": None}}) == "b: 1\na:\n  d: []\n  c: null\n"


TEXT = "a: {b: 1}\nlist:\n  - {c: 2}\n  - 3\n"


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("a.b", {"a": {"b": 7}}),
        ("a.new", {"a": {"b": 1, "new": 7}}),
        ("a.b.c.d", {"a": {"b": {"c": {"d": 7}}}}),
        ("a", {"a": 7}),
        ("list.0.c", {"list": [{"c": 7}, 3]}),
        ("list.1", {"list": [{"c": 2}, 7]}),
        ("list.0.new", {"list": [{"c": 2, "new": 7}, 3]}),
        ("list.2", {"list": [{"c": 2}, 3, 7]}),
        ("list.2.c", {"list": [{"c": 2}, 3, {"c": 7}]}),
    ],
)
def test_an_override_sets_keys_and_items(key: str, expected: dict[str, Any]) -> None:
    document, found = override(TEXT, **{key: 7})
    assert not found and document.values.items() >= expected.items()


@pytest.mark.parametrize(
    ("key", "item"), [("list.3", "3"), ("list.c", "c"), ("list.-1", "-1"), ("list.3.c", "3"), ("list.1.c", "c")]
)
def test_an_override_names_an_item_that_is_missing(key: str, item: str) -> None:
    _, found = override(TEXT, **{key: "x"})
    assert found == [f"--set {key}=x: {key}: there is no item {item} to set"]


def test_an_override_is_the_place_of_its_value() -> None:
    document, found = override("a:\n  b: {c: 1}\n  d: 2\n", **{"a.b": 5, "e.f": None})
    assert not found
    assert document.place(("a", "b")) == document.place(("a", "b", "c")) == "--set a.b=5"
    assert document.place(("a", "d")) == "x.yaml:3"
    assert document.place(("e",)) == document.place(("e", "f")) == "--set e.f=null"


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-3", 1e-3), (" on ", "on"), ("", None), ("x=y", "x=y"), ("[1, {d: e}]", [1, {"d": "e"}]), ('"#: t"', "#: t")],
)
def test_a_value_of_an_option_is_yaml(text: str, value: Any) -> None:
    assert read_value(text, "--set a", "a") == value


@pytest.mark.parametrize("text", ["[1", "c: d", "*x", "!x y", "1\nc: 2"])
def test_a_value_of_an_option_that_is_not_yaml_is_named(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_value(text, f"--set a.b={text}", "a.b")
    assert str(caught.value) == f"--set a.b={text}: a.b: the value is not YAML (here: {text})"


def test_dotted_paths() -> None:
    assert dotted(("model", "recurrent", 0, "units")) == "model.recurrent.0.units"
