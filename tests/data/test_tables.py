"""Tables as people have them: every row is used, or left out and counted, and nothing is read as what it is not."""

from __future__ import annotations

import csv
import io
import json
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from rnnsent.config.sections import DataConfig
from rnnsent.data.inputs import ReadOptions
from rnnsent.data.sources import load_dataset
from rnnsent.data.tables import open_table
from rnnsent.errors import DataError
from rnnsent.inference.batch import kept_columns
from tests.conftest import rnnsent

GOOD, BAD = "we liked the soup", "the soup was cold"


def reviews(number: int) -> list[tuple[str, str]]:
    return [(f"{GOOD if n % 2 else BAD} on day {n}", "good" if n % 2 else "bad") for n in range(number)]


def written(name: str, lines: Sequence[str], encoding: str = "utf-8") -> str:
    Path(name).write_bytes("".join(f"{line}\n" for line in lines).encode(encoding))
    return name


def table(number: int = 40, delimiter: str = ",", names: Sequence[str] = ("text", "label")) -> list[str]:
    return [delimiter.join(names), *(delimiter.join(row) for row in reviews(number))]


def loaded(path: str, **settings: Any) -> Any:
    return load_dataset(DataConfig(source="texts", path=path, **settings))


def cells(path: str, columns: Sequence[str | int], **options: Any) -> list[Any]:
    numbered = isinstance(columns[0], int)
    return [row for _, row in open_table(path, ReadOptions(**options), numbered=numbered).rows(columns)]


# Encoding: of each file, whatever was said of another one.


@pytest.mark.parametrize(
    ("encoding", "named"),
    [
        ("utf-8-sig", "latin-1"),
        ("utf-16", "utf-8"),
        ("utf-8", "cp1252"),
        ("cp1250", "cp1250"),
        ("utf-16-le", "utf-16-le"),
    ],
)
def test_a_text_says_its_encoding_better_than_an_option(encoding: str, named: str) -> None:
    path = written("t.csv", ["text,label", "večer přišel,x"], encoding)
    assert cells(path, ["text", "label"], encoding=named) == [("večer přišel", "x")]


def test_a_wrong_encoding_is_refused_with_its_line_and_one_that_works() -> None:
    path = written("t.csv", ["text,label", "good,x", "Größe,y"], "latin-1")
    with pytest.raises(DataError, match=r"t\.csv:3: is not ASCII text \(byte 0xf6\)"):
        open_table(path, ReadOptions(encoding="ascii"))
    with pytest.raises(DataError, match="perhaps it is cp1252: --encoding cp1252") as raised:
        open_table(path)
    encoding = str(raised.value).partition("--encoding ")[2].partition(" ")[0]
    assert cells(path, ["text"], encoding=encoding) == [("good",), ("Größe",)]


def test_marks_inside_of_joined_files_are_no_data() -> None:
    path = written("t.csv", [*table(20), "\ufefftext,label", *table(20)[1:]])
    dataset = loaded(path)
    assert dataset.label_names == ("bad", "good") and dataset.provenance["dropped"] == {"repeat the line of names": 1}


# Quotes, delimiters, rows.


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_excel_says_its_delimiter_in_the_first_line(delimiter: str) -> None:
    path = written("t.csv", [f"sep={delimiter}", *table(4, delimiter)])
    assert cells(path, ["text", "label"]) == reviews(4)


@pytest.mark.parametrize("last", [False, True])
def test_quotes_that_begin_texts_swallow_no_rows(last: bool) -> None:
    lines = table(40, "\t")
    lines[7] = f'"{lines[7]}'
    if last:  # the quote is closed rows later, at the end of a cell
        lines[19] = lines[19].replace("\t", '"\t')
    path, quotes = written("t.tsv", lines), None
    if last:
        with pytest.raises(DataError, match=r"t\.tsv:20: a quoted cell ends here after 13 lines"):
            open_table(path)
        quotes = False
    rows = cells(path, ["label", "text"], quotes=quotes)
    assert len(rows) == 40 and rows[6] == ("bad", f'"{BAD} on day 6')


def test_quotes_that_swallow_rows_are_refused_where_some_rows_need_quotes() -> None:
    lines = table(40)
    lines[7], lines[12] = f'"{lines[7]}', lines[12].replace(",", '",')
    lines[30] = '"one, two, three",good'
    with pytest.raises(DataError, match=r"t\.csv:13: a quoted cell ends here after 6 lines.*--no-quotes.*--quotes"):
        open_table(written("t.csv", lines))
    assert len(cells("t.csv", ["text"], quotes=True)) == 35


@pytest.mark.parametrize("text", ["a, b\nc", "one\ntwo", "x\r\ny, z", 'she said "no"\nand, left'])
def test_a_quoted_text_over_lines_is_one_text(text: str) -> None:
    with Path("t.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *reviews(20), (text, "good")])
    assert cells("t.csv", ["text", "label"])[-1] == (text, "good")


def test_escapes_before_quotes_and_delimiters() -> None:
    path = written("t.csv", ["text,label", r'"he said \"hm\", twice",a', r"one\, two,b"])
    assert cells(path, ["text", "label"], escape="\\") == [('he said "hm", twice', "a"), ("one, two", "b")]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("text,label", "repeat the line of names"),
        ("", "blank lines"),
        ("only a text", "without a label"),
        ('"soup, cold"', "without a label"),
        ('"""So"" he, or she, said"', "without a label"),
        (",good", "without a text"),
        ("nothing,N/A", "labeled N/A, read as no label"),
    ],
)
def test_rows_that_are_none_are_left_out_and_counted(line: str, why: str) -> None:
    lines = table(40)
    dataset = loaded(written("t.csv", [*lines[:9], line, *lines[9:]]))
    assert dataset.provenance["dropped"] == {why: 1} and len(dataset.rows) == 40


@pytest.mark.parametrize("word", ["Total", "Sum:", "GESAMT", "grand total"])
def test_the_last_row_may_be_a_total(word: str) -> None:
    assert loaded(written("t.csv", [*table(40), f"{word},40"])).provenance["dropped"] == {"give a total": 1}
    assert loaded(written("t.csv", [*table(20), f"{word},good", *table(20)[1:]])).provenance["dropped"] == {}


def test_bad_rows_are_left_out_if_that_is_wished() -> None:
    lines = table(40)
    lines[5] = "a text, with a comma,good"
    with pytest.raises(DataError, match=r"t\.csv:6: has 3 cells.*--skip-bad-rows"):
        loaded(written("t.csv", lines))
    dataset = loaded("t.csv", skip_bad_rows=True)
    assert dataset.provenance["dropped"] == {"with too many cells": 1} and len(dataset.rows) == 39


@pytest.mark.parametrize("broken", ['"an open text,bad', '"one" or "two",good', '"a,b', 'x,"'])
def test_a_quote_that_is_not_closed_costs_one_row(broken: str) -> None:
    lines = [*table(40)[:21], '"a quoted, text",good', broken, *table(40)[21:]]
    with pytest.raises(DataError, match=r"t\.csv:23: not a CSV row"):
        loaded(written("t.csv", lines))
    dataset = loaded("t.csv", skip_bad_rows=True)
    assert dataset.provenance["dropped"] == {"with quotes that do not enclose cells": 1} and len(dataset.rows) == 41


@pytest.mark.parametrize("cell", ['"good"', ' "good"', '   "good"', ' "go""od"', ' "good, or so"', ' "two\nlines"'])
def test_spaces_before_quotes_are_no_part_of_a_cell(cell: str) -> None:
    path = written("t.csv", [*table(60), *([f"soup,{cell}"] * 3)])
    expected = cell.strip()[1:-1].replace('""', '"')
    assert cells(path, ["label"])[-1] == (expected,) and len(cells(path, ["text"])) == 63


@pytest.mark.parametrize("text", ['"so" she said', 'say "so"', '"so'])
def test_quotes_after_spaces_may_be_text(text: str) -> None:
    assert cells(written("t.csv", ["label,text", *(["bad, soup"] * 9), f"bad, {text}"]), ["text"])[-1] == (f" {text}",)


@pytest.mark.parametrize(
    ("delimiter", "text"),
    [(",", 'say "soup, so"'), (",", "soup, cold"), (";", "soup, so"), (";", 'say "soup; so"'), ("\t", "soup, cold")],
)
def test_rows_that_are_quoted_as_a_whole_are_unwrapped(delimiter: str, text: str) -> None:
    row = io.StringIO()
    csv.writer(row, delimiter=delimiter).writerow([text, "bad"])
    quoted = '"' + row.getvalue().strip().replace('"', '""') + '"'
    assert cells(written("t.csv", [*table(9, delimiter), quoted]), ["text", "label"])[-1] == (text, "bad")


@pytest.mark.parametrize("names", ["label,text,,,", "label,text,,other,", "label,text,\ufeff, ,"])
def test_cells_under_no_name_stay_apart(names: str) -> None:
    rows = [f"{label},{text},,," for text, label in reviews(40)]
    lines = [names, *rows, "bad,a soup, cold,,and salted", names]
    table = open_table(written("t.csv", lines))
    assert list(kept_columns(table, ["all"], ()))[2] == "column 3"
    *_, last, repeated = cells("t.csv", ["text", *table.columns[2:]])
    assert last == ("a soup", " cold", "", "and salted") and repeated == "repeat the line of names"
    with pytest.raises(DataError, match=r"has 6 cells, the first line has 5"):
        cells(written("t.csv", [*lines, "bad,a,b,c,d,e"]), ["text"])


@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
def test_numbers_of_rows_need_no_name(delimiter: str) -> None:
    rows = [delimiter.join((f'"{n}"', *row)) for n, row in enumerate(reviews(40), start=1)]
    dataset = loaded(written("t.csv", [delimiter.join(('"text"', '"label"')), *rows]))
    assert dataset.label_names == ("bad", "good") and len(dataset.rows) == 40


def test_columns_of_one_name_are_told_apart(caplog: pytest.LogCaptureFixture) -> None:
    table = open_table(written("t.csv", ["name,text,name,label", "a,soup,b,good"]))
    assert table.columns == ("name", "text", "name 2", "label") and "two columns are called 'name'" in caplog.text
    assert cells("t.csv", ["name 2", "name"]) == [("b", "a")]


@pytest.mark.parametrize("first", ["a soup, hot,good", "a, b, c,good"])
def test_the_first_row_alone_does_not_say_how_many_cells_there_are(first: str) -> None:
    path = written("t.csv", [first, *table(40)[1:]])
    with pytest.raises(DataError, match=r"t\.csv:1: has . cells, most rows have 2"):
        loaded(path, header=False, text_column=1, label_column=2)
    assert len(loaded(path, header=False, text_column=1, label_column=2, skip_bad_rows=True).rows) == 40


@pytest.mark.parametrize("break_", ["\r", " \r ", "\r\r"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_carriage_return_in_a_cell_ends_no_row(break_: str, end: str) -> None:
    lines = table(40)
    lines[7] = f"a soup{break_}and bread,good"
    Path("t.csv").write_bytes(end.join([*lines, ""]).encode())
    read = cells("t.csv", ["text", "label"])
    assert len(read) == 40 and read[6] == (f"a soup{break_}and bread".replace("\r", " "), "good")


@pytest.mark.parametrize(
    ("line", "other"),
    [('"so, cold,bad', 'soup 55",good'), ('bad,"so, cold', 'good,soup 55"'), ('"it was,bad', 'a, b, c"",d",good')],
)
def test_a_cell_that_may_hold_a_row_is_said(line: str, other: str, caplog: pytest.LogCaptureFixture) -> None:
    names = "label,text" if line.startswith("bad") else "text,label"
    rows = [",".join(row if names == "text,label" else row[::-1]) for row in reviews(80)]
    cells(written("t.csv", [names, *rows[:60], line, other, *rows[60:]]), ["text"])
    assert "with lines that could be rows, as the one up to line 63" in caplog.text


def test_one_bad_quote_among_good_ones_does_not_make_all_of_them_text() -> None:
    letters = [f'"Dear team,\n{text}",{label}' for text, label in reviews(40)]
    letters[20] = '"Dear team,\nthe "new" soup",good'
    with pytest.raises(DataError, match=r"t\.csv:42: not a CSV row: .*is a quote not closed\? .*--skip-bad-rows"):
        loaded(written("t.csv", ["text,label", *letters]))


@pytest.mark.parametrize("row", ["Anna, {} {};{}", "{2};Anna, {0} {1}"])
def test_a_comma_before_a_space_is_no_delimiter(row: str) -> None:
    path = written("t.csv", [row.format(text, n, label) for n, (text, label) in enumerate(reviews(40))])
    text, label = (2, 1) if row.startswith("{2}") else (1, 2)
    dataset = loaded(path, header=False, text_column=text, label_column=label)
    assert dataset.label_names == ("bad", "good") and dataset.provenance["delimiter"] == ";"


def test_a_wrong_encoding_for_nearly_utf8_is_said(caplog: pytest.LogCaptureFixture) -> None:
    Path("t.csv").write_bytes("\n".join(table(40)).replace("soup", "soupe salée").encode() + b"\n\xe9t\xe9,good\n")
    loaded("t.csv", encoding="cp1252")
    assert "t.csv:42: is not UTF-8 (byte 0xe9), but most of the file is; is cp1252 right?" in caplog.text


# Columns.


@pytest.mark.parametrize("late", ["split", "label", "text"])
def test_keys_of_json_that_come_late_are_columns(late: str) -> None:
    values = [
        {"text": text, "label": label, "split": "test" if n > 300 else "train"}
        for n, (text, label) in enumerate(reviews(400))
    ]
    for row in values[:150]:
        del row[late]
    dataset = loaded(written("t.jsonl", [json.dumps(row) for row in values]))
    assert len(dataset.indices["test"]) == 99
    assert len(dataset.rows) == (400 if late == "split" else 250)


@pytest.mark.parametrize("names", [("text", "label"), ("Review", "verdict"), ("x", "y"), ("body", "stars")])
def test_columns_by_number_pass_over_a_line_of_names(names: tuple[str, str]) -> None:
    path = written("t.csv", table(40, names=names))
    dataset = loaded(path, text_column=1, label_column=2)
    assert dataset.label_names == ("bad", "good") and len(dataset.rows) == 40


def test_columns_by_number_need_no_line_of_names() -> None:
    assert len(loaded(written("t.csv", table(40)[1:]), text_column=1, label_column=2).rows) == 40


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_what_is_advised_for_a_table_without_names_works(delimiter: str) -> None:
    path = written("t.csv", [f"{n}{delimiter}{line}" for n, line in enumerate(table(40, delimiter)[1:])])
    with pytest.raises(DataError, match="--no-header --text-column 2 --label-column 3"):
        loaded(path)
    assert len(loaded(path, header=False, text_column=2, label_column=3).rows) == 40


def test_columns_of_lists_and_objects_are_not_proposed() -> None:
    path = written("t.jsonl", [json.dumps({"note": "x", "labels": ["a"], "meta": {"b": 1}})] * 12)
    with pytest.raises(DataError, match=r"Its columns: note \(lists or objects: labels, meta\)\. Add"):
        loaded(path)


def test_several_files_are_one_table_by_the_names_of_their_columns() -> None:
    first = written("a.csv", table(40))
    second = written("b.tsv", ["label\ttext", *(f"{label}\tmore {text}" for text, label in reviews(20))])
    dataset = loaded(first, more_paths=(second,))
    assert len(dataset.rows) == 60 and dataset.label_names == ("bad", "good")
    held_out = loaded(first, more_paths=(second,), test_path=written("c.csv", table(10)))
    assert [len(held_out.indices[name]) for name in ("train", "validation", "test")] == [48, 12, 10]


def test_fasttext_lines_are_texts_with_labels() -> None:
    path = written("t.txt", [f"__label__{label} {text}" for text, label in reviews(40)])
    assert loaded(path).label_names == ("bad", "good")


# Labels.


@pytest.mark.parametrize(
    "other",
    ["GOOD", "Good ", "ｇｏｏｄ", "go\u00adod", "\u200bgood", "𝐠𝐨𝐨𝐝"],
    ids=["case", "space", "wide", "soft", "zero", "bold"],
)
def test_labels_that_look_the_same_are_one(other: str, caplog: pytest.LogCaptureFixture) -> None:
    lines = table(40)
    lines[4] = f"{GOOD} so,{other}"
    dataset = loaded(written("t.csv", lines))
    assert dataset.label_names == ("bad", "good")
    if other.strip() != "good":
        assert dataset.provenance["joined labels"] == {other.strip(): "good"}
        assert len(loaded("t.csv", join_labels=False).label_names) == 3
    mapped = loaded("t.csv", label_map={"good": "+", "bad": "-"})
    assert mapped.label_names == ("+", "-") and len(mapped.rows) == 40


@pytest.mark.parametrize("null", ["None", "NA", "<NA>", "\\N", "#N/A", "null", "NaN"])
def test_spellings_of_nothing_are_no_labels_unless_they_are_named(null: str) -> None:
    lines = table(40)
    lines[3], lines[4] = f"soup,{null}", f"soup again,{null}"
    path = written("t.csv", lines)
    assert loaded(path).provenance["dropped"] == {f"labeled {null}, read as no label": 2}
    named = loaded(path, label_map={"good": "good", "bad": "bad", null: "neutral"})
    assert named.label_names == ("bad", "good", "neutral")
    typed = written(
        "t.jsonl", [json.dumps({"text": text, "label": label}) for text, label in [*reviews(40), ("x", null)]]
    )
    assert set(loaded(typed).label_names) == {"bad", "good", null}


def test_duplicates_go_before_the_split_is_drawn() -> None:
    lines = ["text,label", *(f"text {n % 30},{'good' if n % 2 else 'bad'}" for n in range(300))]
    dataset = loaded(written("t.csv", lines), drop_duplicates=True)
    sizes = [len(dataset.indices[name]) for name in ("train", "validation", "test")]
    assert sum(sizes) == 30 and sizes[0] >= 18
    given = ["text,label,split", *(f"{line},{'test' if n > 280 else 'train'}" for n, line in enumerate(lines[1:]))]
    kept = loaded(written("t.csv", given), drop_duplicates=True)
    assert len(kept.indices["test"]) == 19 and len(kept.rows) == 300


@pytest.mark.parametrize("names", [("2019-01", "2018-12"), ("010", "8"), ("18-25", "26-40"), ("1.5", "-2")])
def test_any_label_can_be_renamed(names: tuple[str, str]) -> None:
    lines = ["text,label", *(f"{text},{names[label == 'good']}" for text, label in reviews(40))]
    path = written("t.csv", lines)
    assert loaded(path, label_map={names[0]: "bad", names[1]: "good"}).label_names == ("bad", "good")
    shown = rnnsent("data", "info", path, "--label-map", f"'{names[0]}': bad, '{names[1]}': good")
    assert shown.exit_code == 0 and "bad" in shown.stdout


def test_texts_that_differ_in_unknown_words_alone_are_no_duplicates() -> None:
    lines = [f"word{n},{'good' if n % 2 else 'bad'}" for n in range(40)]
    shown = rnnsent("data", "info", written("t.csv", ["text,label", *lines, lines[3]]), "--json")
    facts = json.loads(shown.stdout)
    repeated = sum(facts["splits"][name]["duplicates"] for name in facts["splits"])
    assert repeated + facts["duplicates_between"] + facts["validation_duplicates"] == 1


@pytest.mark.parametrize("extra", ["pos/a.TXT", "pos/more/b.txt", "pos/._1.txt", "c.csv"])
def test_files_in_folders_of_labels_are_read_or_counted(extra: str, caplog: pytest.LogCaptureFixture) -> None:
    for number, (text, label) in enumerate(reviews(40)):
        path = Path("texts", "pos" if label == "good" else "neg", f"{number}.txt")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    Path("texts", extra).parent.mkdir(exist_ok=True)
    Path("texts", extra).write_bytes(b"a soup\xf1" if "._" in extra else b"a soup")
    assert len(loaded("texts").rows) == (41 if extra.endswith("TXT") else 40)
    assert ("texts: 1 file not read" in caplog.text) == (extra in ("pos/more/b.txt", "c.csv"))


def test_folders_beside_splits_are_named(caplog: pytest.LogCaptureFixture) -> None:
    for number, (text, label) in enumerate(reviews(40)):
        for folder in ("train", "test", "eval"):
            path = Path("texts", folder, label, f"{number}.txt")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{text} {folder}")
    loaded("texts")
    assert "texts: 40 files not read" in caplog.text and "such as those in eval, which is beside train" in caplog.text


@pytest.mark.parametrize("command", [("baseline", "--config", "gru"), ("data", "info")])
def test_what_makes_figures_too_good_is_said_by_every_command(command: tuple[str, ...]) -> None:
    path, other = written("a.csv", [*table(60), "a soup,None"]), written("b.csv", table(20))
    if command[0] == "baseline":
        command = (*command, "--data")
    shown = rnnsent(*command, path, "--test", other)
    assert shown.exit_code == 0, shown.stderr
    said = " ".join((shown.stdout + shown.stderr).split())
    assert ("test in the others 20 of 20" if command[0] == "data" else "of 20 test texts are in training") in said
    assert "labeled None, read as no label" in said


@pytest.mark.parametrize(
    ("labels", "pair"),
    [(("1", "TRUE", "0"), "1 and TRUE"), (("yes", "Y", "no"), "Y and yes"), (("01", "1", "2"), "01 and 1"),
     (("co-op", "co\u2010op", "x"), "co-op and co\u2010op"), (("good", "'good'", "bad"), "'good' and good")],
)  # fmt: skip
def test_labels_that_may_mean_the_same_are_said_with_a_map_that_works(labels: tuple[str, ...], pair: str) -> None:
    path = written("t.csv", ["text,label", *(f"text {n},{labels[n % 3]}" for n in range(90))])
    said = " ".join(rnnsent("data", "info", path).stdout.split())
    assert f"labels that may mean the same: {pair}; --label-map" in said
    label_map = said.partition('--label-map "')[2].partition('" joins')[0]
    joined = rnnsent("data", "info", path, "--label-map", label_map)
    assert joined.exit_code == 0 and "may mean the same" not in joined.stdout


@pytest.mark.parametrize("names", [("0", "1"), ("true", "false"), ("1", "2"), ("no", "neutral", "yes"), ("c", "c++")])
def test_labels_that_mean_different_things_are_not_asked_about(names: tuple[str, ...]) -> None:
    path = written("t.csv", ["text,label", *(f"text {n},{names[n % len(names)]}" for n in range(90))])
    assert "may mean the same" not in rnnsent("data", "info", path).stdout


def test_a_row_of_json_that_repeats_the_names_is_left_out() -> None:
    rows = [{"text": text, "label": label} for text, label in reviews(40)]
    path = written("t.jsonl", [json.dumps(row) for row in [*rows[:20], {"text": "text", "label": "label"}, *rows[20:]]])
    assert loaded(path).provenance["dropped"] == {"repeat the line of names": 1}


# Pipes.


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t.tsv"])
def test_a_pipe_is_read_once_and_in_full(name: str) -> None:
    rows = reviews(4000)
    lines = [json.dumps({"text": text, "label": label}) for text, label in rows]
    delimiter = "\t" if name.endswith("tsv") else ","
    content = written(f"full-{name}", lines if name.endswith("jsonl") else table(4000, delimiter))
    os.mkfifo(name)
    writer = threading.Thread(target=lambda: Path(name).write_bytes(Path(content).read_bytes()))
    writer.start()
    read = cells(name, ["text", "label"])
    writer.join()
    assert read == rows


# What cannot be learned or judged.


@pytest.mark.parametrize(
    ("labels", "splits", "warning"),
    [
        (["rare"] * 4, {}, "fewer than 5 texts to learn a label from: rare"),
        (["rare"], {}, "the validation texts hold no text of rare"),
        ([], {"good": "validation"}, "the validation texts hold only one label"),
        ([], {"bad": "test", "good": "train"}, "the test texts hold only one label"),
        (["good"] * 50, {}, "of the labels to learn from are good, so accuracy says little: look at balanced accuracy"),
        (["bad"] * 200, {}, "of the labels to learn from are bad, so accuracy says little: look at balanced accuracy"),
        (["calm"] * 180, {}, "75% of the labels to learn from are calm, so accuracy says little"),
        (["1"] * 90, {}, "60% of the labels to learn from are 1, so accuracy says little"),
    ],
    ids=["few", "not in validation", "one label to validate", "one label to test", "good", "bad", "calm", "number"],
)
def test_labels_that_cannot_be_judged_are_named(labels: list[str], splits: dict[str, str], warning: str) -> None:
    rows = [*reviews(60), *((f"odd text {n}", label) for n, label in enumerate(labels))]
    lines = [f"{text},{label},{splits.get(label, '') if n > 30 else ''}" for n, (text, label) in enumerate(rows)]
    path = written("t.csv", ["text,label,split", *lines])
    shown = rnnsent("data", "info", path)
    assert shown.exit_code == 0 and warning in " ".join(shown.stdout.split()), shown.stdout
    trained = rnnsent("train", "--config", "gru", "--data", path, "--epochs", "1", "--run-dir", "run")
    assert trained.exit_code == 0 and trained.stderr.count(warning) == 2, trained.stderr
    assert rnnsent("report", "run", "--split", "validation").exit_code == 0
    page = " ".join(Path("run/report.html").read_text(encoding="utf-8").split())
    assert warning[1:] in page


def test_a_constant_is_no_success() -> None:
    lines = [f"{text},{label},{'validation' if n % 5 == 1 else ''}" for n, (text, label) in enumerate(reviews(60))]
    path = written("t.csv", ["text,label,split", *(line for line in lines if "bad,validation" not in line)])
    trained = rnnsent("train", "--config", "gru", "--data", path, "--run-dir", "run", "--set", "training.epochs=1")
    assert trained.exit_code == 0
    assert "always predicting good would be right in 100.00%" in " ".join(trained.stderr.split())
    shown = rnnsent("eval", "run", "--split", "validation")
    assert "always predicting good would be right in 100.00% of the texts" in " ".join(shown.stdout.split())


# What a reviewer found.


def test_which_file_is_for_the_test_counts_for_the_cache() -> None:
    first, second = written("a.csv", table(60)), written("b.csv", table(30))
    sizes = []
    for settings in ({"more_paths": (second,)}, {"test_path": second}):
        indices = loaded(first, **settings).indices
        sizes.append([len(indices[name]) for name in ("train", "validation", "test")])
    assert sizes == [[58, 14, 18], [48, 12, 30]]


def test_rows_of_a_split_column_are_not_trained_on_beside_a_test_table() -> None:
    lines = [
        "text,label,split",
        *(f"{text},{label},{'test' if n > 29 else ''}" for n, (text, label) in enumerate(reviews(40))),
    ]
    path, other = written("a.csv", lines), written("b.csv", table(20))
    with pytest.raises(DataError, match=r"a\.csv:32: a row for the test, and --test names a table of its own"):
        loaded(path, test_path=other)
    held = written("c.csv", [line.replace(",test", ",validation") for line in lines])
    indices = loaded(held, test_path=other).indices
    assert [len(indices[name]) for name in ("train", "validation", "test")] == [30, 10, 20]


@pytest.mark.parametrize(
    "more",
    [["--data", "b.csv"], ["--test", "b.csv"], ["--data", "b.csv", "--test", "c.csv"]],
    ids=["data", "test", "both"],
)
def test_runs_of_several_files_can_be_evaluated_and_resumed(more: list[str]) -> None:
    written("a.csv", table(60))
    written("b.csv", ["review,sentiment", *table(30)[1:]])
    written("c.csv", table(20))
    trained = rnnsent("train", "gru", "--data", "a.csv", *more, "--epochs", "1", "--run-dir", "run")
    assert trained.exit_code == 0, trained.stderr
    for command in (["eval", "run"], ["train", "--resume", "run", "--epochs", "2"]):
        result = rnnsent(*command)
        assert result.exit_code == 0, result.stderr


@pytest.mark.parametrize("closing", [4, 8])
@pytest.mark.parametrize("short", [False, True])
def test_lines_in_a_cell_that_could_be_rows_are_refused_or_said(
    closing: int, short: bool, caplog: pytest.LogCaptureFixture
) -> None:
    lines = ["id\ttext", *(f"{n}\t{text}" for n, (text, _) in enumerate(reviews(40)))]
    lines[3] = lines[3].replace("\t", '\t"')
    lines[closing] += '"'
    if short:
        lines[closing - 1] = "x" if closing == 4 else lines[closing - 1].partition("\t")[0]
    path = written("t.tsv", lines)
    with caplog.at_level("WARNING"):
        rows = cells(path, ["text"])
    assert len(rows) == 40 or "with lines that could be rows" in caplog.text


def test_a_legitimate_cell_that_looks_like_rows_is_not_torn() -> None:
    lines = [
        "stars,text",
        *(f"{n % 5 + 1},text {n}" for n in range(40)),
        '1,"Pros and cons:',
        "5, location",
        '1, noise"',
    ]
    path = written("t.csv", lines)
    with pytest.raises(DataError, match=r"t\.csv:44: a quoted cell ends here after 3 lines.*--no-quotes.*--quotes"):
        open_table(path)
    assert cells(path, ["text"], quotes=True)[-1] == ("Pros and cons:\n5, location\n1, noise",)


@pytest.mark.parametrize("line", ["Text,Label,Split", "TEXT,LABEL", "text,label"])
def test_a_line_of_names_is_known_in_any_case_and_length(line: str) -> None:
    lines = [f"{row},train" for row in table(40)]
    dataset = loaded(written("t.csv", ["text,label,split", *lines[1:20], line, *lines[20:]]))
    assert dataset.label_names == ("bad", "good") and dataset.provenance["dropped"] == {"repeat the line of names": 1}


def test_labels_in_turkish_and_of_nothing_to_see() -> None:
    lines = ["text,label", *(f"metin {n},{('İYİ', 'iyi', 'kötü', 'KÖTÜ')[n % 4]}" for n in range(40)), "metin,\u200b"]
    dataset = loaded(written("t.csv", lines))
    assert len(dataset.label_names) == 2 and sum(dataset.provenance["dropped"].values()) == 1


def test_fasttext_separates_by_any_white_space() -> None:
    path = written("t.txt", [f"__label__{label}\t{text}" for text, label in reviews(40)])
    assert loaded(path).label_names == ("bad", "good")


def test_a_first_row_that_is_read_as_names_is_said(caplog: pytest.LogCaptureFixture) -> None:
    lines = ["content,5", *table(40)[1:]]
    with caplog.at_level("WARNING"):
        assert len(cells(written("t.csv", lines), [1])) == 40
    assert "t.csv: its first line is read as names: content, 5 (--no-header)" in caplog.text
    assert len(cells("t.csv", [1], header=False)) == 41


@pytest.mark.parametrize(("encoding", "advised"), [("utf-16-be", "utf-16-be"), ("utf-16-le", "utf-16-le")])
def test_the_order_of_bytes_is_found_for_the_advice(encoding: str, advised: str) -> None:
    path = written("t.csv", ["text,label", "größe,x"], encoding)
    with pytest.raises(DataError, match=f"perhaps it is {advised}: --encoding {advised}"):
        open_table(path)
    assert cells(path, ["text"], encoding=advised) == [("größe",)]


@pytest.mark.parametrize("second", ["d,pos", r'"d",pos', r'"\"d\"",pos', '"d\ne",pos'])
def test_escaped_quotes_are_found(second: str) -> None:
    path = written("t.csv", ["text,label", r'"a \"b\", c",neg', second])
    read = cells(path, ["text", "label"])
    assert read[0] == ('a "b", c', "neg") and read[1][1] == "pos" and len(read) == 2
    assert read == cells(path, ["text", "label"], escape="\\")


@pytest.mark.parametrize("labels", [("good", "bad"), ("4", "5"), ("Yes", "No")])
@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("delimiter", [",", ";"])
def test_letters_as_spreadsheets_write_them_are_read_without_a_word(
    labels: tuple[str, str], first: bool, delimiter: str, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [
        (f'Dear team,\n\nthe soup, {n} of them, was; say, cold.\nIt cost 51,4\nRegards,\nAnna, "A."', labels[n % 2])
        for n in range(300)
    ]
    with Path("t.csv").open("w", encoding="utf-8", newline="") as file:
        columns = ("label", "text") if first else ("text", "label")
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerows([columns, *(row[::-1] if first else row for row in rows)])
    assert cells("t.csv", ["text", "label"]) == rows
    assert not caplog.text or labels[0] == "4"


@pytest.mark.parametrize("column", ["text", "label"])
def test_rows_that_are_broken_over_lines_are_said(column: str, caplog: pytest.LogCaptureFixture) -> None:
    lines = ["id,text,label", *(f"{n},{text},{label}" for n, (text, label) in enumerate(reviews(40)))]
    lines[20:21] = [f"20,{GOOD}", "and more,good"]
    cells(written("t.csv", lines), [column])
    assert "t.csv: 2 rows with fewer cells than the first line, as in line 21" in caplog.text


@pytest.mark.parametrize(
    "content", ['[{"text": "a", "label": "b"}]', "[\n]", '{"text": {"0": "a"}, "label": {"0": "b"}}']
)
def test_json_that_is_no_lines_is_told_how_to_become_some(content: str) -> None:
    Path("t.json").write_text(content)
    with pytest.raises(DataError, match="writes one"):
        loaded("t.json")


@pytest.mark.parametrize("suffix", ["csv", "tsv", "txt", "data"])
def test_fasttext_lines_are_known_whatever_the_suffix(suffix: str) -> None:
    path = written(f"t.{suffix}", [f"__label__{label} {text}" for text, label in reviews(40)])
    assert loaded(path).label_names == ("bad", "good")


def test_an_escape_goes_only_before_what_it_escapes() -> None:
    path = written("t.csv", ["text,label", r'"great\nfilm \"x\", \\ yes",neg', r"a\, b,\N"])
    assert cells(path, ["text", "label"], escape="\\") == [(r'great\nfilm "x", \ yes', "neg"), ("a, b", r"\N")]


@pytest.mark.parametrize("first", ["", ",", "  ", ",,"])
def test_lines_before_that_of_the_names_are_no_rows(first: str) -> None:
    assert cells(written("t.csv", [first, *table(4)]), ["text", "label"]) == reviews(4)


def test_columns_of_one_name_in_two_cases_are_asked_about() -> None:
    with pytest.raises(DataError, match=r"Which column is the text: Text or text\?"):
        loaded(written("t.csv", ["Text,text,label", "A,bad film,x"]))


def test_every_column_is_kept_also_of_lists_and_objects() -> None:
    path = written("t.jsonl", [json.dumps({"text": "a", "tags": ["x"], "meta": {"id": 7}})])
    assert kept_columns(open_table(path), ["all"], ()) == {name: name for name in ("text", "tags", "meta")}


@pytest.mark.parametrize("end", ["\r", "\r\n", "\n"])
def test_lines_end_as_they_did_on_old_computers(end: str) -> None:
    Path("t.txt").write_bytes(f"one{end}two{end}".encode())
    assert cells("t.txt", [1]) == [("one",), ("two",)]


@pytest.mark.parametrize("name", ["set", "partition", "fold name"])
def test_a_column_that_looks_like_a_split_is_named(name: str, caplog: pytest.LogCaptureFixture) -> None:
    rows = [f"{line},{'test' if n % 4 == 3 else 'train'}" for n, line in enumerate(table(40)[1:])]
    with caplog.at_level("WARNING"):
        loaded(written("t.csv", [f"text,label,{name}", *rows]))
    assert f"column {name} looks like a split: --split-column {name}" in caplog.text


def test_rows_without_a_split_are_counted() -> None:
    splits = ["train"] * 20 + ["validation"] * 10 + [""] * 10
    lines = [f"{line},{split}" for line, split in zip(table(40)[1:], splits, strict=True)]
    facts = loaded(written("t.csv", ["text,label,split", *lines])).provenance
    assert facts["rows without a split, for training"] == 10


@pytest.mark.parametrize(
    "content", ["text,label\n", "text,label\nfine film,\npoor film,\n", "text,label\ngood film,unsure\n"]
)
def test_a_test_table_without_labeled_texts_is_refused(content: str) -> None:
    rows = "".join(f"w{n} {('poor', 'fine')[n % 2]},{n % 2}\n" for n in range(40))
    Path("train.csv").write_text(f"text,label\n{rows}")
    Path("test.csv").write_text(content)
    result = rnnsent("data", "info", "train.csv", "--test", "test.csv", "--label-map", "0: bad, 1: good")
    assert result.exit_code == 1 and "test.csv: holds no labeled text to test on; rows left out: " in result.stderr


@pytest.mark.parametrize("label", ["sport,Der", "gut,billig", "5,a", "a,b,c"])
def test_fasttext_labels_end_at_a_space(label: str) -> None:
    Path("t.txt").write_text(f"__label__x fine\n__label__{label} film\n")
    result = rnnsent("data", "info", "t.txt")
    assert result.exit_code == 1
    assert f"t.txt:2: __label__{label}: a comma in a label; a space ends labels of fastText" in result.stderr


@pytest.mark.parametrize("extra", [1, 3])
def test_a_few_ragged_rows_do_not_make_stray_quotes_enclose_cells(extra: int) -> None:
    rows = [f"{('neg', 'pos')[n % 2]}\t{n}\tfilm {n} was fine\tthey said" for n in range(60)]
    rows[4], rows[5] = 'neg\t4\t"film 4 was fine\tthey said', 'pos\t5\tfilm 5 was fine\t"they said'
    for n in range(extra):
        rows[30 + n] += "\tmore\tcells"
    Path("t.tsv").write_text("\n".join(rows) + "\n")
    arguments = ["--no-header", "--text-column", "3", "--label-column", "1", "--skip-bad-rows"]
    result = rnnsent("data", "info", "t.tsv", *arguments)
    assert result.exit_code == 0 and "its quotes are read as text" in result.stderr
    assert "rows: 60\n" in result.stdout and f"dropped: with too many cells {extra}\n" in result.stdout


def test_parquet_without_a_suffix_is_known_by_its_content() -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = pyarrow.table({"text": [f"film {n}" for n in range(20)], "label": [n % 2 for n in range(20)]})
    parquet.write_table(table, "texts.bin")
    result = rnnsent("data", "info", "texts.bin")
    assert result.exit_code == 0 and "format: parquet" in result.stdout


@pytest.mark.parametrize("text", [' ""the quiet""', ' ""a"", then', '  ""x""', ' ""said, he""'])
def test_a_quoted_cell_that_begins_with_a_blank_changes_no_others(text: str) -> None:
    rows = [f"{n}, film {n} was fine" for n in range(30)]
    Path("t.csv").write_text("\n".join(["id,text", *rows, f'30,"{text}"']) + "\n")
    with Path("t.csv").open(newline="") as file:
        expected = [row["text"] for row in csv.DictReader(file)]
    assert [cells[0] for _, cells in open_table("t.csv").rows(["text"])] == expected


@pytest.mark.parametrize("before", ["en", "en,7", "7,en,x"])
def test_constant_columns_before_a_text_of_lines_are_no_rows_in_it(
    before: str, caplog: pytest.LogCaptureFixture
) -> None:
    names = ",".join(f"c{place}" for place in range(before.count(",") + 1))
    rows = [f"{before},film {n} was fine" for n in range(60)]
    rows[7] = f'{before},"this film was fine.\n\nSMH"'
    Path("t.csv").write_text("\n".join([f"{names},text", *rows]) + "\n")
    assert len(list(open_table("t.csv").rows(["text"]))) == 60
    assert "could be rows" not in caplog.text


@pytest.mark.parametrize("key", ["label", "labels", "tags"])
def test_lists_of_one_label_get_a_command_that_helps(key: str) -> None:
    rows = [json.dumps({"text": f"film {n}", key: [("bad", "good")[n % 2]]}) for n in range(20)]
    Path("t.jsonl").write_text("\n".join(rows) + "\n")
    result = rnnsent("data", "info", "t.jsonl", "--label-column", key)
    assert result.exit_code == 1 and f"jq -c '.{key}=.{key}[0]' < FILE" in result.stderr
