"""The `data` section: which reviews, and how they become sequences of ids."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from rnnsent.config.section import MAX_LENGTH, MAX_WORDS, Limits, Section

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


Column = str | Annotated[int, Limits(ge=1)]  # a name, or a number from 1


@dataclass(frozen=True, kw_only=True)
class DataConfig(Section):
    """Which reviews, and how they become sequences of word ids."""

    source: Literal["imdb", "sample", "texts"] = "imdb"
    """imdb: 25,000 + 25,000 film reviews as ids, imdb.npz. sample: reviews that rnnsent writes itself. texts: your own,
    in a table, in folders, or the original IMDB texts."""
    path: str | None = None
    """imdb: imdb.npz or its folder; null: $RNNSENT_DATA, the Keras cache, a download. texts: the file or folder.
    Relative to the current folder; $NAME stands for a variable of the environment."""
    test_path: str | None = None
    """texts: a second table, whose rows are the test split; those of `path` are then for training."""
    fallback: Literal["sample"] | None = None
    """What to train on, and say so, when the source cannot be had. null: stop with an error."""
    num_words: Annotated[int, Limits(ge=5, le=MAX_WORDS)] | None = 10_000
    """Ids below this are kept, others become the unknown id 2, as in Keras: ids 0 to 3 are special, so 9,996 words
    survive the default. null: keep every word."""
    maxlen: Annotated[int, Limits(ge=1, le=MAX_LENGTH)] | None = 500
    """Words kept of a review, start token included. null: all. The notebook takes 500."""
    truncating: Literal["pre", "post"] = "pre"
    """Which end of a longer review is cut. pre keeps the end, where reviewers sum up."""
    padding: Literal["post", "notebook"] = "post"
    """post: pad after the words, up to the longest review of a batch, and mask the padding. notebook: pad before the
    words, always to maxlen, without a mask."""
    validation_split: Annotated[float, Limits(gt=0.0, lt=1.0)] = 0.2
    """Share of the training reviews that is kept for validation. imdb, sample: the last ones, as in Keras' fit. texts:
    drawn, unless a split column gives them."""
    test_split: Annotated[float, Limits(ge=0.0, lt=1.0)] = 0.2
    """texts: share of all rows that is drawn for the test, where no test split is given."""
    split_seed: Annotated[int, Limits(ge=0)] = 0
    """texts: of what is drawn."""
    format: Literal["csv", "tsv", "jsonl", "parquet", "folder", "aclimdb"] | None = None
    """texts: null goes by the name of the file, or by what is in the folder."""
    encoding: str | None = None
    """texts: null finds UTF-8, and UTF-16 by its mark. Or cp1252, …"""
    delimiter: Annotated[str, Limits(min_length=1, max_length=1)] | None = None
    """texts: of a CSV; null finds comma, tab, semicolon or bar."""
    quotes: bool = True
    """texts: whether quotes around a cell of CSV or TSV are not part of it. false: they are text."""
    text_column: Column | None = None
    """texts: its name, or its number from 1 where the file has no line of names. null: text, review, sentence, content,
    …"""
    label_column: Column | None = None
    """texts: the same for the label; null: label, sentiment, class, category, rating, … aclimdb: rating for 1 to 10
    instead of negative and positive."""
    split_column: Column | None = None
    """texts: says train, validation or test of each row; null: split, where there is one."""
    group_column: Column | None = None
    """texts: rows that share it stay in one split, as the reviews of one film. aclimdb knows the films."""
    label_map: dict[str, str] | None = None
    """texts: what labels become: {1-4: negative, 7-10: positive}; what is not named is dropped. null: they stay."""
    labels: Annotated[tuple[str, ...], Limits(min_length=2)] | None = None
    """texts: the names of the labels in order. null: those found, numbers by size, then by alphabet."""
    drop_duplicates: bool = False
    """texts: keep a text that occurs again once only; one that is tested on is not trained on."""
    unlabeled: bool = False
    """texts: read the texts without a label too: rows whose label is empty, the 50,000 of aclimdb. Their words count
    for the vocabulary."""
    tokenizer: Literal["unicode", "imdb"] = "unicode"
    """texts: what a word is. unicode: in any script, emoji too. imdb: as the IMDB arrays were made."""
    vocabulary: Literal["training", "imdb"] = "training"
    """texts: the words of the training split, or those of imdb_word_index.json."""

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
