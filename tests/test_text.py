from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnsent.text import imdb_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        (" \t\n ", []),
        ("...!?", []),
        ("A Film", ["a", "film"]),
        ("don't  'quote'", ["don't", "'quote'"]),
        ("one<br /><br />two", ["one", "br", "br", "two"]),
        ("half-baked,tired/old", ["half", "baked", "tired", "old"]),
        ("a\tb\nc", ["a", "b", "c"]),
        ("10/10", ["10", "10"]),
        ("ÉTÉ naïve", ["été", "naïve"]),
        # White space that the index keeps inside its words.
        ("a\x85b c\xa0d e\rf", ["a\x85b", "c\xa0d", "e\rf"]),
        ("no – dash… “quotes”", ["no", "–", "dash…", "“quotes”"]),
    ],
)
def test_words_are_those_of_the_imdb_index(text: str, words: list[str]) -> None:
    assert imdb_words(text) == words


PIECES = st.text() | st.sampled_from([*"!\"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n '", "İ", "ß", "\x85", "Word"])


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.lists(PIECES, max_size=20).map("".join))
def test_words_are_those_of_keras(text: str) -> None:
    from keras.src.legacy.preprocessing.text import text_to_word_sequence

    assert imdb_words(text) == text_to_word_sequence(text)
