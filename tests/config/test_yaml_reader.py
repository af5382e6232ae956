from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnsent.config import yaml_reader as yamldoc
from rnnsent.config.yaml_reader import Document, apply_override, dump, read_document
from rnnsent.errors import ConfigError


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read_document(text, "x.yaml")
    return [str(problem) for problem in caught.value.problems]


def override(text: str, *overrides: str) -> tuple[Document, list[str]]:
    document = read_document(text, "x.yaml")
    return document, [str(problem) for each in overrides for problem in apply_override(document, f"--set {each}", each)]


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
    assert document.place(("a", 2, "c")) == document.place(("a", 2, "b")) == "x.yaml:4"
    assert document.place(("d",)) == "x.yaml"


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
        ("---\n...\n", "x.yaml: is empty"),
        ("- a\n", "x.yaml:1: must be a mapping of keys to values"),
        ("text\n", "x.yaml:1: must be a mapping of keys to values"),
        ("a: 1\nb: !!python/object/apply:os.system [ls]\n", "x.yaml:2: YAML tags are not allowed (here: tag:yaml.org"),
        ("a: !!int 3\n", "x.yaml:1: YAML tags are not allowed"),
        ("a: !!omap [b: 1]\n", "x.yaml:1: YAML tags are not allowed"),
        ("a: !mine {b: 1}\n", "x.yaml:1: YAML tags are not allowed (here: !mine)"),
        ("!mine\na: 1\n", "x.yaml:1: YAML tags are not allowed (here: !mine)"),
        ("a: 1\nb: &b\n  c: *b\n", "x.yaml:3: an alias cannot hold itself (here: *b)"),
        ("a: &a [1, [*a]]\n", "x.yaml:1: an alias cannot hold itself (here: *a)"),
        ("a: 1\nb: " + "[" * 50 + "]" * 50, "x.yaml:2: b.0: is nested too deeply"),
        ("a: " + "[" * 5000 + "]" * 5000, "x.yaml:1: is nested too deeply"),
        ("a:\n" + "".join(f"{' ' * n}b:\n" for n in range(1, 500)), "x.yaml:101: is nested too deeply"),
        # Each level holds the one before it nine times: a billion values on a few lines.
        (
            "l0: &l0 [0,0,0,0,0,0,0,0,0]\n"
            + "".join(f"l{n}: &l{n} [{','.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 9)),
            "x.yaml:5: l4: holds more than a config may",
        ),
        # The same by `<<`, whose keys stand in no line of their own.
        (
            "l0: &l0 {p: 1, q: 1}\n"
            + "".join(f"l{n}: &l{n}\n  <<: {{p: *l{n - 1}, q: *l{n - 1}}}\n" for n in range(1, 19)),
            "x.yaml:22: l11: holds more than a config may",
        ),
        # Each alias of a text is a copy of it.
        (f"a: &a {'x' * 99}\nb: [{'*a, ' * 200}]\n", "x.yaml:2: holds more than a config may"),
        ("a:\n" + "- 1\n" * 30_000, "x.yaml:19999: holds more than a config may"),
        (f"a: 0x{'f' * 5000}\n", "x.yaml:1: a: is too large a number"),
        (f"a: {'9' * 5000}\n", "x.yaml: broken YAML: Exceeds the limit (4300 digits)"),
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
    ("setting", "expected"),
    [
        ("a.b=7", {"a": {"b": 7}}),
        ("a.b=1e-3", {"a": {"b": 1e-3}}),
        ("a.b= on ", {"a": {"b": "on"}}),
        ("a.b=", {"a": {"b": None}}),
        ("a.b=x=y", {"a": {"b": "x=y"}}),
        ("a.b=[1, {d: e}]", {"a": {"b": [1, {"d": "e"}]}}),
        ('a.b="#: text"', {"a": {"b": "#: text"}}),
        (" a.b =2", {"a": {"b": 2}}),
        ("a.new=2", {"a": {"b": 1, "new": 2}}),
        ("a.b.c.d=2", {"a": {"b": {"c": {"d": 2}}}}),
        ("new.1.x=2", {"a": {"b": 1}}),  # an index into what is no list; reported below
        ("a=null", {"a": None}),
        ("list[0].c=9", {"list": [{"c": 9}, 3]}),
        ("list.0.c=9", {"list": [{"c": 9}, 3]}),
        ("list.1=9", {"list": [{"c": 2}, 9]}),
        ("list.0.new=9", {"list": [{"c": 2, "new": 9}, 3]}),
        ("list=[]", {"list": []}),
    ],
)
def test_an_override_sets_keys_and_items(setting: str, expected: dict[str, Any]) -> None:
    document, _ = override(TEXT, setting)
    assert document.values.items() >= expected.items()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("a.b", "--set a.b: must look like training.epochs=3"),
        ("", "--set : must look like training.epochs=3"),
        (" =3", "--set  =3: must look like training.epochs=3"),
        ("list.2=3", "--set list.2=3: list.2: there is no item 2; the list has 2"),
        ("list.c=3", "--set list.c=3: list.c: there is no item c; the list has 2"),
        ("list.-1=3", "--set list.-1=3: list.-1: there is no item -1; the list has 2"),
        ("list.²=3", "--set list.²=3: list.²: there is no item ²; the list has 2"),
        ("list.2.c=3", "--set list.2.c=3: list.2.c: there is no item 2 to set a value in"),
        ("list.x.c=3", "--set list.x.c=3: list.x.c: there is no item x to set a value in"),
        ("list.1.c=3", "--set list.1.c=3: list.1.c: there is no item c to set a value in"),
        ("new.1.x=2", "--set new.1.x=2: new.1.x: there is no item 1 to set a value in"),
        ("a.b=[1", "--set a.b=[1: a.b: the value is not YAML (here: [1)"),
        ("a.b=c: d", "--set a.b=c: d: a.b: the value is not YAML (here: c: d)"),
        ("a.b=*x", "--set a.b=*x: a.b: the value is not YAML (here: *x)"),
        ("a.b=!x y", "--set a.b=!x y: a.b: the value is not YAML (here: !x y)"),
        ("a.b=1\nc: 2", "--set a.b=1\nc: 2: a.b: the value is not YAML (here: 1\nc: 2)"),
    ],
)
def test_an_override_that_cannot_be_followed_changes_no_value(setting: str, message: str) -> None:
    document, found = override(TEXT, setting)
    assert found == [message]
    assert {key: document.values[key] for key in ("a", "list")} == read_document(TEXT, "x.yaml").values


def test_an_override_is_where_its_value_stands() -> None:
    document, found = override("a:\n  b: {c: 1}\n  d: 2\n", "a.b=5", "e.f=6")
    assert not found
    assert document.place(("a", "b")) == document.place(("a", "b", "c")) == "--set a.b=5"
    assert document.place(("a", "d")) == "x.yaml:3"
    assert document.place(("e",)) == document.place(("e", "f")) == "--set e.f=6"


def test_the_last_override_wins() -> None:
    document, _ = override(TEXT, "a.b=5", "a={b: 6}", "a.b=7")
    assert document.values["a"] == {"b": 7}
    assert document.place(("a", "b")) == "--set a.b=7"


def test_dotted_paths() -> None:
    assert yamldoc.dotted(("model", "recurrent", 0, "units")) == "model.recurrent.0.units"
    assert yamldoc.dotted(()) == ""
