"""The `data` section: which texts, and how they become sequences of ids."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from rnnsent.config.section import Count, Fraction, Limits, Section, Seed, Share

LABELS = ("negative", "positive")  # of imdb and sample


def label_texts(value: Any) -> Any:
    """Return labels as they are called in a table: YAML reads 1 as a number and true as a truth value."""
    if isinstance(value, dict):
        return {label_texts(key): label_texts(item) for key, item in value.items()}
    if isinstance(value, list):
        return [label_texts(item) for item in value]
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


Column = str | Count


@dataclass(frozen=True, kw_only=True)
class DataConfig(Section):
    """Which texts, and how they become sequences of word ids. Keys marked "texts:" need `source: texts`."""

    source: Literal["imdb", "sample", "texts"] = "imdb"
    """imdb: the 50,000 film reviews of Keras, as ids. sample: reviews that rnnsent generates. texts: your own texts, in
    a table or in folders, or the original IMDB reviews."""
    path: str | None = None
    """File or folder of the data, relative to the current folder. Environment variables such as $HOME are expanded.
    imdb: imdb.npz or its folder. null: look in $RNNSENT_DATA and the Keras cache, then download."""
    test_path: str | None = None
    """texts: Second file, whose rows are the test split. All rows of `path` are then for training."""
    fallback: Literal["sample"] | None = None
    """Source used, with a warning, when the data is not available. null: stop with an error."""
    num_words: Annotated[int, Limits(ge=5, le=10_000_000)] | None = 10_000
    """Size of the vocabulary, as in Keras: other words become the unknown id 2. Ids 0 to 3 are special, so 9,996 words
    remain of 10,000. null: keep every word."""
    maxlen: Annotated[int, Limits(ge=1, le=2**17)] | None = 500
    """Maximum length of a text in words, start token included. null: no limit."""
    truncating: Literal["pre", "post"] = "pre"
    """Which end of a longer text is cut. pre: keep the end, where reviewers sum up."""
    padding: Literal["post", "notebook"] = "post"
    """post: pad after the words, up to the longest text of a batch, and mask the padding. notebook: pad before the
    words, always to maxlen, without a mask."""
    validation_split: Share = 0.2
    """Fraction of the training texts used for validation. imdb, sample: the last ones, as in Keras. texts: a random
    sample, unless there is a split column."""
    test_split: Fraction = 0.2
    """texts: Fraction of all rows used for the test, if no test split is given."""
    split_seed: Seed = 0
    """texts: Seed of the random splits."""
    format: Literal["csv", "tsv", "jsonl", "parquet", "folder", "aclimdb"] | None = None
    """texts: Format of `path`. null: detect it by the name of the file or the content of the folder."""
    encoding: str | None = None
    """texts: Encoding, such as cp1252. null: UTF-8, or UTF-16 if there is a byte order mark."""
    delimiter: Annotated[str, Limits(min_length=1, max_length=1)] | None = None
    """texts: Delimiter of a CSV. null: detect comma, tab, semicolon or bar."""
    quotes: bool = True
    """texts: Remove the quotes around cells of CSV and TSV. false: they are part of the text."""
    text_column: Column | None = None
    """texts: Column of the text, by name or by number from 1. null: text, review, sentence, content, …"""
    label_column: Column | None = None
    """texts: Column of the label. null: label, sentiment, class, category, rating, … With aclimdb, rating gives labels
    1 to 10."""
    split_column: Column | None = None
    """texts: Column that says train, validation or test. null: split, if there is one."""
    group_column: Column | None = None
    """texts: Column whose equal values must stay in the same split. aclimdb groups reviews by film."""
    label_map: dict[str, str] | None = None
    """texts: New names of labels, such as {1-4: negative, 7-10: positive}. Other labels are dropped. null: keep all."""
    labels: Annotated[tuple[str, ...], Limits(min_length=2)] | None = None
    """texts: Names of the labels in order. null: all labels, sorted by number, then by alphabet."""
    drop_duplicates: bool = False
    """texts: Keep only one copy of each text. A text of the test split is removed from the training split."""
    unlabeled: bool = False
    """texts: Read texts without a label too: rows with an empty label, or the 50,000 of aclimdb. Their words
    count for the vocabulary."""
    tokenizer: Literal["unicode", "imdb"] = "unicode"
    """texts: unicode: words of any script, and emoji. imdb: the tokenizer of the IMDB arrays."""
    vocabulary: Literal["training", "imdb"] = "training"
    """texts: training: the words of the training split. imdb: those of imdb_word_index.json."""

    @property
    def label_names(self) -> tuple[str, ...]:
        """What label 0, 1, … means."""
        return LABELS if self.labels is None else self.labels


def data_settings(source: str) -> dict[str, str | None]:
    """Return what `--data SOURCE` sets in the data section: the name of a source, or the path of imdb.npz or texts."""
    path = Path(source)
    if source in ("imdb", "sample"):
        # The sample takes no path, and `--data imdb` means the usual places.
        return {"source": source, "path": None}
    if path.suffix == ".npz" or (path / "imdb.npz").is_file():
        return {"source": "imdb", "path": source}
    if path.exists() or path.suffix or path.name != source:
        return {"source": "texts", "path": source, "fallback": None}
    return {"source": source, "path": None}
