"""Valid files for every reader, and what forges their structure."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import random
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from rnnsent.json_files import sealed
from rnnsent.runs.directory import RunDirectory
from rnnsent.runs.manifest import _digest
from rnnsent.training import checkpoint as checkpoints
from rnnsent.training.checkpoint import Checkpoint
from rnnsent.training.observers import EpochFacts
from tests.conftest import REPOSITORY
from tests.fuzz.mutation import changed_tree

Forge = Callable[[list[Any], random.Random], bytes]

CONFIGS = [path.read_bytes() for path in sorted(REPOSITORY.glob("configs/**/*.yaml"))]
CONFIG: dict[str, Any] = {
    "data": {"source": "texts", "path": "x.csv", "labels": ["a", "b"], "label_map": {"1-4": "a", "7": "b"}},
    "model": {
        "embedding_dim": 8, "recurrent": [{"cell": "gru", "units": 4, "bidirectional": True}, {"cell": "lstm"}],
        "ngrams": {"orders": 2}, "dense": [{"units": 3}], "pooling": "mean",
    },
    "training": {"epochs": 2, "optimizer": "adam", "class_weights": {"a": 1.0, "b": 2.0}, "precision": "float32"},
    "ensemble": [{"seed": 1}, {"recurrent": [{"cell": "gru"}]}],
}  # fmt: skip
VOCABULARY: dict[str, Any] = {
    "format": "rnnsent vocabulary 1", "source": "x", "num_words": 10, "oov": "unknown", "tokenizer": "unicode",
    "words": ["film", "good", "bad"],
}  # fmt: skip
INDEX = {"film": 1, "good": 2, "bad": 3}
CALIBRATION = {"temperature": 1.3, "threshold": 0.5, "texts": 20}
FILES = {
    "config.yaml": ["ab" * 32],
    "members/1/weights.npz": ["cd" * 32],
    "members/2/weights.npz": ["ef" * 32, "01" * 32],
}
ROWS: list[dict[str, Any]] = [
    {"text": "a fine film", "label": "good", "split": "train"},
    {"text": 'so "bad", really\nbad', "label": 1.0, "split": "test"},
    {"text": "größer 漢字 🙂", "label": None, "split": "dev"},
]


def as_json(tree: Any) -> bytes:
    return json.dumps(tree).encode("utf-8", "surrogatepass")


def manifest(files: Any) -> bytes:
    """Return a manifest that vouches for itself, whatever it lists."""
    try:
        digest = _digest({str(name): [str(each) for each in digests] for name, digests in files.items()})
    except (AttributeError, TypeError):
        digest = ""
    return as_json({"format": 2, "sha256": digest, "files": files})


def sealed_json(values: Any) -> bytes:
    """Return a file that vouches for itself, whatever it says."""
    return as_json(sealed(values) if isinstance(values, dict) else values)


def csv(rows: Any, delimiter: str = ",") -> bytes:
    lines = [delimiter.join(("text", "label", "split"))]
    for row in rows if isinstance(rows, list) else [rows]:
        cells = row.values() if isinstance(row, dict) else [row]
        lines.append(delimiter.join('"' + str(cell).replace('"', '""') + '"' for cell in cells))
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def jsonl(rows: Any) -> bytes:
    return b"\n".join(map(as_json, rows if isinstance(rows, list) else [rows])) + b"\n"


def npz(arrays: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


WEIGHTS = {"embedding/embeddings": np.ones((6, 4), np.float32), "output/bias": np.zeros(1, np.float32)}
RATIOS = {
    "unseen": np.zeros((1, 1), np.float32), "keys_1": np.arange(3), "weights_1": np.ones((3, 1), np.float32)
}  # fmt: skip


def reviews(sequences: list[Any]) -> Any:
    column = np.empty(len(sequences), object)
    column[:] = sequences
    return column


def imdb(sequences: list[Any]) -> bytes:
    return npz({"x_train": reviews(sequences), "y_train": np.arange(len(sequences)) % 2})


def forged_imdb(odd: list[Any], rng: random.Random) -> bytes:
    """Return an imdb.npz with odd reviews, or a pickle of something else under an honest header."""
    sequences = [changed_tree([1, 2, 3], odd, rng), [4, 5], np.array([6, 7])]
    if rng.random() < 0.5:
        return imdb(sequences)
    payload = rng.choice([odd, sequences, {"a": odd}, [[sequences] * 9] * 9, complex(1), Path, np.float32(1), range(9)])
    return forged_npz(odd, rng, pickle.dumps(payload, rng.randrange(6)), "x_train", "|O")


def forged_npz(
    odd: list[Any], rng: random.Random, body: bytes = bytes(96), name: str = "embedding/embeddings", descr: str = "<f4"
) -> bytes:
    """Return an archive whose headers lie about type, order, shape, sizes, or are no headers."""
    shapes = ["(6, 4)", "()", "(24,)", "(10**9,)", "(99999999999, 99999999999)", "(0, 9999999999999999999999)", "(-1,)"]
    shapes += ["(True,)", "(1,)" * 300, "(" * 300, "6", "(6, 4L)", "(3,)", str(rng.choice(odd))]
    descr = rng.choice(
        [descr, descr, descr, "<f4", ">f8", "|O", "|V9", "<U7", "|S3", "<M8[s]", "<c8", "|b1", "<i3", "x" * 99]
    )
    header = f"{{'descr': '{descr}', 'fortran_order': {rng.choice([True, False, 7])}, 'shape': {rng.choice(shapes)}, }}"
    text = (header + " " * (rng.choice((0, 40, 900))) + "\n").encode("utf-8", "surrogatepass")
    version = rng.choice((1, 1, 1, 2, 3, 9))
    length = rng.choice((len(text),) * 6 + (0, 65535)).to_bytes(2 if version == 1 else 4, "little")
    array = b"\x93NUMPY" + bytes((version, 0)) + length + text + body
    buffer = io.BytesIO()
    packing = rng.choice((zipfile.ZIP_STORED,) * 4 + (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
    names = [f"{name}.npy", rng.choice(["output/bias.npy", "x.txt", "../y.npy", "\x1b.npy", "y_train.npy"])]
    with zipfile.ZipFile(buffer, "w", packing) as archive:
        for each in names:
            archive.writestr(each, array)
    return buffer.getvalue()


def checkpoint(facts: Any = None) -> bytes:
    """Return a checkpoint with these facts that vouches for itself."""
    arrays: dict[str, Any] = {
        "facts": np.frombuffer(as_json(facts), np.uint8),
        "model/output/bias": np.zeros(1, np.float32),
    }
    digest = np.frombuffer(checkpoints._digest(arrays).encode(), np.uint8)
    return npz({"sha256": digest, **arrays})


FACTS: dict[str, Any] = {
    "format": checkpoints.FORMAT,
    "training": "",
    "epoch": 1,
    "step": 0,
    "best": 1,
    "history": [EpochFacts(1, 0.5, 0.7, 0.5, 0.6, 0.6, 1e-3, 100.0).to_dict()],
    "callbacks": {"early_stopping": {"wait": 0, "best": 0.6}},
    "learning_rate": 1e-3,
    "seconds": 0.5,
    "elapsed": 1.0,
}


def written_checkpoint(folder: Path) -> bytes:
    run = RunDirectory(folder)
    checkpoints.write(run, Checkpoint(1, 0, FACTS, {"model/output/bias": np.zeros(1, np.float32)}))
    return run.file("checkpoints/epoch-0001.npz").read_bytes()


def tar(odd: list[Any], rng: random.Random | None) -> bytes:
    """Return aclImdb as an archive, with odd members among the others where there is a generator."""
    buffer = io.BytesIO()
    kinds = [tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE]
    kinds += [tarfile.GNUTYPE_SPARSE, tarfile.CONTTYPE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, b"Z"]
    names = ["../x", "/x", "a/train/pos/99999999999999999999_9.txt", "train/neg/1_1.txt", "train/pos/٣_٤.txt"]
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT if rng else tarfile.USTAR_FORMAT) as archive:
        for index, side in enumerate(("neg", "pos")):
            for name, text in (
                (f"train/{side}/{index}_{9 * index + 1}.txt", b"a film"),
                (f"train/urls_{side}.txt", b"u\n"),
            ):
                member = tarfile.TarInfo(f"aclImdb/{name}")
                if rng is not None and rng.random() < 0.4:
                    member.name = rng.choice([*names, member.name])
                    member.type = rng.choice(kinds)
                    keys = [
                        "size",
                        "path",
                        "GNU.sparse.major",
                        "GNU.sparse.size",
                        "mtime",
                        "GNU.sparse.map",
                        "hdrcharset",
                    ]
                    given = str(rng.choice(odd)).encode("utf-8", "replace").decode()[:99]
                    member.pax_headers = {rng.choice(keys): given} if rng.random() < 0.7 else {}
                member.size = len(text)
                archive.addfile(member, io.BytesIO(text))
    return gzip.compress(buffer.getvalue(), 1)


VECTORS = [b"2 3\nfilm 1 2 3\ngood 4 5 6\n", b"film 0.1 -2e3 .5\nbad 1 1 1\n"]


def forged_vectors(odd: list[Any], rng: random.Random) -> bytes:
    """Return vectors with odd cells."""
    rows = []
    for _ in range(3):
        cells = [str(rng.choice([1, 2, rng.choice(odd)])) for _ in range(3)]
        rows.append(" ".join([rng.choice(["film", "good", str(rng.choice(odd))]), *cells]))
    return "\n".join(rows).encode("utf-8", "surrogatepass")


SUMMARY = """\
Model: "gru"
┏━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━┓
┃ Layer (type)  ┃     Param # ┃
┡━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━┩
│ output (Dense)│          17 │
└───────────────┴─────────────┘
""".encode()
ORDERS = ["\x1b]0;owned\x07", "\x1b[2J", "\x1bc", "\x9b31m", "\r", "\b", "\x7f", "\u202e", "\u2066", "\u2028", "\x85"]


def forged_summary(odd: list[Any], rng: random.Random) -> bytes:
    """Return a summary with odd values and what terminals obey, now and then in another encoding."""
    lines = SUMMARY.decode().split("\n")
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(lines))
        lines[at] = lines[at][: rng.randint(0, 20)] + str(rng.choice([rng.choice(ORDERS), rng.choice(odd)]))
    return "\n".join(lines).encode(rng.choice(["utf-8", "utf-8", "utf-8", "utf-16"]), "surrogatepass")


def _estimate(value: float | None) -> dict[str, float | None]:
    return {"value": value, "low": None if value is None else value - 0.1, "high": None if value is None else value}


_MEASURED = {name: _estimate(0.75) for name in ("accuracy", "precision", "recall", "f1", "ece", "brier", "log_loss")}
_MEASURED["roc_auc"] = _estimate(None)
_EVALUATION = {
    "reviews": 20, "seconds": 0.2, "confusion": [[7, 3], [2, 8]], "reviews_sha256": "ab" * 32,
    "by_label": {
        name: {"reviews": 10, "precision": _estimate(0.7), "recall": _estimate(None), "f1": _estimate(0.7)}
        for name in ("negative", "positive")
    },
    "slices": [{"group": "length", "name": "short", "reviews": 9, "accuracy": _estimate(0.8)}],
    "coverage": [{"least": 0.5, "share": 1.0, "reviews": 20, "accuracy": _estimate(0.75)}],
}  # fmt: skip
METRICS: dict[str, Any] = {
    "data": {
        "source": "texts", "fallback_used": False, "sha256": "cd" * 32, "file": "x.csv", "format": "csv",
        "counts": {name: {"negative": 10, "positive": 10} for name in ("train", "validation", "test")},
        "dropped": {"empty": 2}, "also in training": {"test": 1}, "unlabeled": 3, "contradicting": 1,
        "splits": {"test": "given"}, "label column": "label", "teacher": {"teaches": 3}, "unknown_share": 0.1,
        "truncated_share": 0.0,
    },
    "engine": {"gru": {"path": "native", "because": "the kernel runs it"}},
    "epochs": 2, "best_epoch": 1, "interrupted": True, "validation_reviews": 20, "validation": _MEASURED,
    "test": _MEASURED, "seconds": 3.5, "peak_memory_mb": 500.0, "parameters": 1000,
    "baseline": {"strength": 1.0, "columns": 9, "seconds": 0.1, "validation": None, "test": _MEASURED},
    "evaluations": {"test": _EVALUATION},
    "robustness": {"test": [
        {"group": "written for it", "name": "negations", "texts": 9, "accuracy": 0.5, "low": 0.3, "high": 0.7}
    ]},
    "vectors": {"found": 3, "words": 4, "seconds": 1.0, "cached": True},
    "language_model": {"loss": 3.2, "seconds": 1.0, "cached": True},
    "networks_asked_for": 3, "networks": [{"epochs": 2, "best_epoch": 1, "val_accuracy": 0.8, "val_loss": 0.5}] * 2,
}  # fmt: skip
ENVIRONMENT: dict[str, Any] = {
    "python": "3.11.7", "packages": {"rnnsent": "1.0", "keras": "3.15.1"}, "platform": "Linux", "processor": "x",
    "cores": 2, "device": {"name": "cpu", "because": "no GPU"}, "backend": "tensorflow", "threads": 2, "seed": 0,
    "git_commit": None, "command": ["rnnsent", "train", "--config", "gru"],
}  # fmt: skip
LANGUAGE_MODEL: dict[str, Any] = {
    "loss": 5.1, "seconds": 2.5, "cached": True, "made_with": [None],
    "epochs": [{"epoch": 1, "loss": 5.1, "gradient_norm": 0.3, "largest_gradient_norm": 1.5}],
}  # fmt: skip
PLAN: dict[str, Any] = {
    "arguments": ["--config", "gru", "--epochs", "2"], "seeds": [0, 1], "judge": False,
    "config": {"training": {"epochs": 2}, "data": 1},
}  # fmt: skip
EPOCHS = [EpochFacts(number, 0.5, 0.7, 0.5, 0.6, 0.6, 1e-3, 100.0, number * 1.5).to_dict() for number in (1, 2)]
PREDICTIONS = [
    {"review": 0, "label": "negative", "predicted": "positive", "probability": 0.75, "line": 2},
    {"review": 1, "label": "positive", "predicted": "positive", "probability": 0.5, "line": 3},
]


def rows(tree: Any) -> bytes:
    """Return a table with the columns of its first row; what is no row has its cells all the same."""
    each = tree if isinstance(tree, list) else [tree]
    head = [str(key) for key in each[0]] if each and isinstance(each[0], dict) else ["epoch"]
    lines = [head, *([str(cell) for cell in (row.values() if isinstance(row, dict) else [row])] for row in each)]
    return "\n".join(",".join(line) for line in lines).encode("utf-8", "surrogatepass")
