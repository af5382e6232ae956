"""The readers that are fed with damaged and forged files: what each reads, and how files for it come to be."""

from __future__ import annotations

import io
import json
import pickle
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rnnsent.config.loader import dump_config, load_config
from rnnsent.config.yaml_reader import dump
from rnnsent.data.imdb import read_npz
from rnnsent.data.tables import Columns, ReadOptions, open_table, table_source
from rnnsent.data.vocabulary import Vocabulary
from rnnsent.models import embeddings
from rnnsent.runs.directory import Run
from tests.conftest import REPOSITORY
from tests.fuzz.mutation import changed_tree

Forge = Callable[[list[Any], random.Random], bytes]

ENCODINGS = (None, None, None, "utf-8", "utf-16", "cp1252", "latin-1", "utf-7", "idna", "shift_jis")
ROWS: list[dict[str, Any]] = [
    {"text": "a fine film", "label": "good", "split": "train"},
    {"text": 'so "bad", really\nbad', "label": 1.0, "split": "test"},
    {"text": "größer 漢字 🙂", "label": None, "split": "dev"},
]
CONFIG: dict[str, Any] = {
    "data": {"source": "texts", "path": "x.csv", "labels": ["a", "b"], "label_map": {"1-4": "a", "7": "b"}},
    "model": {
        "embedding_dim": 8, "recurrent": [{"cell": "gru", "units": 4, "bidirectional": True}, {"cell": "lstm"}],
        "ngrams": {"orders": 2}, "dense": [{"units": 3}], "pooling": "mean",
    },
    "training": {"epochs": 2, "optimizer": "adam", "class_weights": {"a": 1.0, "b": 2.0}, "precision": "float32"},
    "ensemble": [{"seed": 1}, {"recurrent": [{"cell": "gru"}]}],
}  # fmt: skip
VOCABULARY: dict[str, Any] = json.loads(Vocabulary(("film", "good", "bad"), 7, source="x").to_json())
INDEX = {"film": 1, "good": 2, "bad": 3}
METRICS: dict[str, Any] = {
    "data": {"source": "imdb", "fallback_used": False, "counts": {"test": {"negative": 1}}}, "epochs": 2,
    "engine": {"0:gru": {"path": "native", "because": "fast"}}, "best_epoch": 1, "interrupted": False,
    "validation_texts": 3, "validation": {"f1": {"value": 0.5, "low": None, "high": 0.9}}, "seconds": 3.5,
    "peak_memory_mb": 500.0, "parameters": 9,
}  # fmt: skip
VECTORS = [b"2 3\nfilm 1 2 3\ngood 4 5 6\n", b"film 0.1 -2e3 .5\nbad 1 1 1\n"]


@dataclass(frozen=True)
class Reader:
    """One way into the program.

    Attributes:
        file: the name of what is read, in an empty folder.
        whole: valid contents.
        forge: makes contents of odd structure.
        read: reads it; what it raises must be for people.
    """

    file: str
    whole: list[bytes]
    forge: Forge
    read: Callable[[Path], object]


def as_json(tree: Any) -> bytes:
    return json.dumps(tree).encode("utf-8", "surrogatepass")


def as_jsonl(rows: Any) -> bytes:
    return b"\n".join(map(as_json, rows if isinstance(rows, list) else [rows])) + b"\n"


def as_csv(rows: Any) -> bytes:
    lines = ["text,label,split"]
    for row in rows if isinstance(rows, list) else [rows]:
        cells = row.values() if isinstance(row, dict) else [row]
        lines.append(",".join('"' + str(cell).replace('"', '""') + '"' for cell in cells))
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def as_yaml(tree: Any) -> bytes:
    try:
        return dump(tree).encode("utf-8", "surrogatepass")
    except Exception:  # not everything has a form in YAML; JSON is one nearly always
        return as_json(tree)


def imdb(sequences: list[Any]) -> bytes:
    column, buffer = np.empty(len(sequences), object), io.BytesIO()
    column[:] = sequences
    np.savez(buffer, x_train=column, y_train=np.arange(len(sequences)) % 2)
    return buffer.getvalue()


def forged_imdb(odd: list[Any], rng: random.Random) -> bytes:
    """Return an imdb.npz with odd reviews, or with another pickle in place of one."""
    sequences = [changed_tree([1, 2, 3], odd, rng), [4, 5], np.array([6, 7])]
    whole = imdb(sequences)
    if rng.random() < 0.5:
        return whole
    at = whole.index(b"\x80")  # where its pickle begins; zip knows the old sum, which Python checks at the end
    payload = rng.choice([odd, sequences, {"a": odd}, complex(1), Path, np.float32(1), range(9)])
    return whole[:at] + pickle.dumps(payload, rng.randrange(6))[: len(whole) - at] + whole[at + 40 :]


def forged_vectors(odd: list[Any], rng: random.Random) -> bytes:
    rows = []
    for _ in range(3):
        cells = [str(rng.choice([1, 2, rng.choice(odd)])) for _ in range(3)]
        rows.append(" ".join([rng.choice(["film", "good", str(rng.choice(odd))]), *cells]))
    return "\n".join(rows).encode("utf-8", "surrogatepass")


def _trees(tree: Any, written: Callable[[Any], bytes] = as_json) -> Forge:
    return lambda odd, rng: written(changed_tree(tree, odd, rng))


def _table(path: Path) -> object:
    """Read a table in one of several ways, by chance that its contents decide."""
    chance = random.Random(path.read_bytes())
    table = open_table(path, ReadOptions(encoding=chance.choice(ENCODINGS), quotes=chance.random() < 0.8))
    columns = Columns("text", "label", "split" if chance.random() < 0.3 else None)
    return list(table_source([table], columns).records(None))


READERS = {
    "csv": Reader("t.csv", [as_csv(ROWS)], _trees(ROWS, as_csv), _table),
    "jsonl": Reader("t.jsonl", [as_jsonl(ROWS)], _trees(ROWS, as_jsonl), _table),
    "imdb": Reader(
        "imdb.npz", [imdb([[1, 2, 3], [4]])], forged_imdb, lambda path: read_npz(path, ("x_train", "y_train"))
    ),
    "vectors": Reader(
        "v.txt", VECTORS, forged_vectors,
        lambda path: embeddings.load(path, Vocabulary(("film", "good", "bad"), 7), 7, 3, 0),
    ),
    "config": Reader(
        "c.yaml", [path.read_bytes() for path in sorted(REPOSITORY.glob("configs/**/*.yaml"))],
        _trees(CONFIG, as_yaml), lambda path: dump_config(load_config(str(path))),
    ),
    "vocabulary": Reader("vocabulary.json", [as_json(VOCABULARY)], _trees(VOCABULARY), Vocabulary.load),
    "word index": Reader("i.json", [as_json(INDEX)], _trees(INDEX), lambda path: Vocabulary.from_word_index(path, 9)),
    "metrics": Reader("metrics.json", [as_json(METRICS)], _trees(METRICS), lambda path: Run(path.parent).metrics),
}  # fmt: skip
