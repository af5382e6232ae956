from __future__ import annotations

import hashlib
import http.server
import json
import logging
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnsent.config.loader import parse_config
from rnnsent.config.sections import Config, DataConfig
from rnnsent.data import imdb
from rnnsent.data.batching import Batches
from rnnsent.data.cache import cached_arrays
from rnnsent.data.dataset import Split
from rnnsent.data.download import download
from rnnsent.data.sources import load_dataset
from rnnsent.data.statistics import describe
from rnnsent.data.vocabulary import Vocabulary
from rnnsent.errors import DataError, DataUnavailable
from tests.conftest import Evil, write_imdb

SEQUENCES = st.lists(st.lists(st.integers(1, 99), max_size=12), min_size=1, max_size=8)


def config(extra: str = "") -> Config:
    return parse_config(f"model: {{recurrent: [{{cell: lstm}}]}}\n{extra}", "test")


@given(
    SEQUENCES,
    st.integers(1, 15),
    st.sampled_from(["pre", "post"]),
    st.sampled_from(["pre", "post"]),
    st.integers(5, 99),
)
@settings(derandomize=True, deadline=None, max_examples=60)
def test_cut_and_padded_are_keras_pad_sequences(
    sequences: list[list[int]], maxlen: int, truncating: Any, padding: Any, num_words: int
) -> None:
    from keras.utils import pad_sequences

    split = Split.from_sequences(sequences, [0] * len(sequences)).cut(num_words, maxlen, truncating)
    known = [[id_ if id_ < num_words else 2 for id_ in sequence] for sequence in sequences]
    expected = pad_sequences(known, maxlen, padding=padding, truncating=truncating)
    np.testing.assert_array_equal(split.padded(np.arange(len(split)), maxlen, padding), expected)


def test_imdb_is_what_keras_loads(tiny_imdb: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import keras

    monkeypatch.setattr("keras.src.datasets.imdb.get_file", lambda *args, **kwargs: str(tiny_imdb / "imdb.npz"))
    (x_train, y_train), (x_test, y_test) = keras.datasets.imdb.load_data(num_words=30)
    dataset = imdb.load(str(tiny_imdb))
    for name, x, y in (("train", x_train, y_train), ("test", x_test, y_test)):
        cut = dataset.rows.take(dataset.indices[name]).cut(30, None)
        assert [cut.sequence(index).tolist() for index in range(len(cut))] == [list(review) for review in x]
        np.testing.assert_array_equal(cut.labels, y)


def test_the_second_load_does_not_parse(tiny_imdb: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = imdb.load(str(tiny_imdb))
    monkeypatch.setattr(imdb, "read_npz", lambda *args: pytest.fail("parsed again"))
    second = imdb.load(str(tiny_imdb / "imdb.npz"))
    assert isinstance(second.train.tokens, np.memmap)
    np.testing.assert_array_equal(first.train.flat(), second.train.flat())


def test_imdb_is_looked_for_in_path_then_environment_then_keras_cache(
    tiny_imdb: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DataUnavailable, match="the download failed"):
        imdb.load()
    keras_file = write_imdb(tmp_path / "keras" / "datasets", seed=1)
    assert imdb.load().provenance["file"] == str(keras_file)
    monkeypatch.setenv("RNNSENT_DATA", str(tiny_imdb))
    assert imdb.load().provenance["file"] == str(tiny_imdb / "imdb.npz")
    other = write_imdb(tmp_path / "other", seed=2)
    assert imdb.load(str(other)).provenance == {
        "file": str(other),
        "sha256": hashlib.sha256(other.read_bytes()).hexdigest(),
        "official_file": False,
    }


def test_a_wrong_path_never_falls_back() -> None:
    with pytest.raises(DataError, match="no such file") as caught:
        load_dataset(DataConfig(path="nowhere", fallback="sample"))
    assert not isinstance(caught.value, DataUnavailable)


def test_without_fallback_the_error_names_every_way_to_the_data() -> None:
    with pytest.raises(DataUnavailable) as caught:
        load_dataset(DataConfig())
    for way in ("data.path", "RNNSENT_DATA", "imdb.npz", "--data sample"):
        assert way in str(caught.value)


def test_the_fallback_is_loud(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        dataset = load_dataset(DataConfig(fallback="sample"))
    assert dataset.source == "sample"
    assert "SAMPLE" in caplog.text and "--no-fallback" in caplog.text


def save(path: Path, **arrays: Any) -> Path:
    columns: dict[str, Any] = {}
    for name, values in arrays.items():
        columns[name] = np.empty(len(values), dtype=object) if name.startswith("x") else np.asarray(values)
        columns[name][:] = values
    np.savez(path, **columns)
    return path


GOOD: dict[str, Any] = {"x_train": [[1, 2], [3]], "y_train": [0, 1], "x_test": [[1], [2]], "y_test": [0, 1]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x_train": [Evil(), Evil()]}, "refused, its pickle is not a plain array"),
        ({"x_train": [[1.5], [2]]}, "review 0 is not a list of word ids"),
        ({"x_train": [[1], "words"]}, "review 1 is not a list of word ids"),
        ({"y_test": [0, 7]}, "y_test must hold one 0 or 1"),
        ({"y_test": None}, "lacks y_test; it holds x_test, x_train, y_train"),
    ],
)
def test_npz_files_that_are_not_the_reviews(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = save(tmp_path / "imdb.npz", **{key: value for key, value in (GOOD | change).items() if value is not None})
    with pytest.raises(DataError) as caught:
        imdb.load(str(path))
    assert str(path) in str(caught.value) and message in str(caught.value)
    assert not Path("owned").exists()


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"no zip at all", lambda b: b""])
def test_damaged_npz_files(damage: Any, tiny_imdb: Path, tmp_path: Path) -> None:
    path = tmp_path / "imdb.npz"
    path.write_bytes(damage((tiny_imdb / "imdb.npz").read_bytes()))
    with pytest.raises(DataError, match="damaged"):
        imdb.load(str(path))


def test_an_empty_review_is_an_error(tmp_path: Path) -> None:
    path = save(tmp_path / "imdb.npz", **GOOD | {"x_test": [[5], []]})
    with pytest.raises(DataError, match="x_test: review 1 is empty; leave out"):
        imdb.load(str(path))


def test_a_file_of_another_kind_is_not_taken_for_an_npz(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("text,label\nfine,1\n")
    with pytest.raises(DataError, match=r"mine\.csv: damaged or not an \.npz file"):
        imdb.load(str(tmp_path / "mine.csv"))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "file").write_bytes(b"content")

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(tmp_path / "www"))

        def log_message(self, *args: Any) -> None:
            pass

        def do_GET(self) -> None:
            if self.path != "/short":
                return super().do_GET()
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"content")

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}/"
        running.shutdown()


DIGEST = "sha256:" + hashlib.sha256(b"content").hexdigest()


def test_download(server: str, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int | None]] = []
    target = download(server + "file", tmp_path / "new" / "it", digest=DIGEST, progress=lambda *args: seen.append(args))
    assert target.read_bytes() == b"content"
    assert seen == [("it", 7, 7)]


@pytest.mark.parametrize(("name", "digest"), [("file", "sha256:00"), ("missing", DIGEST), ("short", "sha256:00")])
def test_a_bad_download_leaves_nothing(server: str, name: str, digest: str, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    with pytest.raises(DataUnavailable, match=name):
        download(server + name, tmp_path / "new" / "it", digest=digest)
    assert list((tmp_path / "new").iterdir()) == []


def test_a_damaged_cache_entry_is_built_again(cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    cached_arrays("damaged", lambda: {"a": np.arange(5)})
    (cache / "damaged" / "a.npy").write_bytes(b"torn")
    np.testing.assert_array_equal(cached_arrays("damaged", lambda: {"a": np.arange(5)})["a"], np.arange(5))
    assert "is damaged, and made again" in caplog.text


def test_two_who_build_the_same_entry_leave_it_whole(cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    def also_elsewhere() -> dict[str, Any]:
        cached_arrays("entry", lambda: {"a": np.arange(3)})  # another process was a little faster
        return {"a": np.arange(3)}

    np.testing.assert_array_equal(cached_arrays("entry", also_elsewhere)["a"], np.arange(3))
    assert sorted(path.name for path in (cache / "entry").iterdir()) == ["a.npy"]
    assert not [path for path in cache.iterdir() if path.name.startswith(".")]
    assert not caplog.records


def test_a_cache_that_cannot_be_written_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RNNSENT_CACHE", str(tmp_path / "file" / "cache"))
    assert cached_arrays("key", lambda: {"a": np.arange(3)})["a"].tolist() == [0, 1, 2]
    assert cached_arrays("other", lambda: {"a": np.arange(2)})["a"].tolist() == [0, 1]
    assert caplog.text.count("no cache can be written") == 1


def test_batches_hold_every_review_once_in_an_order_of_seed_and_epoch(tiny_imdb: Path) -> None:
    split = imdb.load(str(tiny_imdb)).train
    batches = Batches(split, 16, seed=3)
    orders = [np.concatenate(batches.order(epoch)) for epoch in (0, 1)]
    for order in orders:
        np.testing.assert_array_equal(np.sort(order), np.arange(len(split)))
    assert not np.array_equal(orders[0], orders[1])
    np.testing.assert_array_equal(orders[1], np.concatenate(Batches(split, 16, seed=3).order(1)))
    assert not np.array_equal(orders[0], np.concatenate(Batches(split, 16, seed=4).order(0)))
    for index in batches.order(0):
        (ids, *_), labels = batches.batch(index)
        np.testing.assert_array_equal(labels[:, 0], split.labels[index])
        assert ids.shape == (len(index), split.lengths[index].max())
        assert [row[row > 0].tolist() for row in ids] == [split.sequence(at).tolist() for at in index]


def test_bucketing_saves_padding_and_multiples_round_up(tiny_imdb: Path) -> None:
    split = imdb.load(str(tiny_imdb)).train

    def cells(**arguments: Any) -> int:
        batches = Batches(split, 8, seed=0, **arguments)
        return sum(ids.size for (ids, *_), _ in batches.epoch(0))

    assert cells() < 0.75 * cells(bucketing=False)
    assert {ids.shape[1] % 7 for (ids, *_), _ in Batches(split, 8, multiple=7).epoch(0)} == {0}


def test_statistics_count_what_is_there(tiny_imdb: Path) -> None:
    rows = Split.from_sequences([[1, 5, 6], [1, 5, 6], [1, 90, 7, 8, 9, 9], [1, 5, 6], [1]], [0, 1, 1, 0, 1])
    indices = {"train": np.arange(3), "test": np.arange(3, 5)}
    dataset = replace(imdb.load(str(tiny_imdb)), rows=rows, indices=indices)
    facts = describe(dataset, config("data: {num_words: 50, maxlen: 4}\ntraining: {batch_size: 3}"))
    first = facts.splits["train"]
    assert (first.reviews, first.tokens, first.duplicates, facts.duplicates_between) == (3, 12, 1, 1)
    assert (facts.validation, facts.validation_duplicates) == (1, 0)
    assert first.labels == {"negative": 1, "positive": 2}
    assert first.truncated_reviews_share == pytest.approx(1 / 3)
    assert first.truncated_tokens_share == pytest.approx(2 / 12)
    assert first.padding_share == pytest.approx(2 / 12)
    assert first.unknown_share == 0.0  # the rare word was cut off
    assert facts.splits["test"].empty_reviews == 1


def test_vocabulary_rules(tiny_imdb: Path, tmp_path: Path) -> None:
    vocabulary = Vocabulary.imdb(num_words=20, path=tiny_imdb)
    # word1 has id 4; word20 has id 23, which num_words cuts; words outside the index are dropped.
    assert vocabulary.encode("Word1, word20!nowhere word2<br />").tolist() == [1, 4, 2, 5]
    assert vocabulary.decode([1, 4, 2, 5]) == "word1 ‹?› word2"
    built = Vocabulary.build(["b a b", "c\x85d don't"])
    assert built.words == ("b", "a", "c\x85d", "don't")
    assert built.encode("B stranger").tolist() == [1, 4, 2]
    (tmp_path / "v.json").write_text(built.to_json())
    assert Vocabulary.load(tmp_path / "v.json") == built


@pytest.mark.parametrize("text", ["", "[]", json.dumps({"format": "rnnsent vocabulary 1", "words": [1]})])
def test_damaged_vocabularies(text: str, tmp_path: Path) -> None:
    (tmp_path / "v.json").write_text(text)
    with pytest.raises(DataError, match="not a vocabulary"):
        Vocabulary.load(tmp_path / "v.json")
