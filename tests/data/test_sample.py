"""The built-in corpus: the same bytes everywhere, balanced, and a task that single words do not solve."""

from __future__ import annotations

import hashlib
import random
import re
import statistics
from functools import cache

import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from rnnsent.config.sections import LABELS
from rnnsent.data import sample
from rnnsent.data.sample import Review

NEGATIVE, POSITIVE = range(2)


@pytest.fixture(scope="module")
def training() -> list[Review]:
    return sample.generate_reviews(sample.TRAIN_REVIEWS, sample.TRAIN_SEED)


@pytest.fixture(scope="module")
def unseen() -> list[Review]:
    return sample.generate_reviews(sample.TEST_REVIEWS, sample.TEST_SEED)


def digest(reviews: list[Review]) -> str:
    return hashlib.sha256("".join(f"{label}\t{text}\n" for text, label in reviews).encode()).hexdigest()


@cache
def sentences(form: str, polarity: int) -> frozenset[str]:
    rng = random.Random(7)
    return frozenset(sample.opinion_sentence(rng, polarity, form) for _ in range(2000))


def test_corpus_is_the_same_bytes_everywhere(training: list[Review], unseen: list[Review]) -> None:
    assert digest(training) == "e33bb25939fcbb1b5e654c39937f7bfdca2d409940416b0b2d21cd5f18e3e1d4"
    assert digest(unseen) == "2a55aa9cb64e9034e0c13aadab8592de8f631ffaf6c603759d796a210a07156a"


def test_seed_decides(unseen: list[Review]) -> None:
    assert sample.generate_reviews(sample.TEST_REVIEWS, sample.TEST_SEED) == unseen
    assert sample.generate_reviews(20, seed=3) != sample.generate_reviews(20, seed=4)


def test_labels_are_balanced_and_shuffled(training: list[Review], unseen: list[Review]) -> None:
    for reviews in (training, unseen):
        labels = [label for _, label in reviews]
        assert sorted(set(labels)) == [NEGATIVE, POSITIVE]
        assert sum(labels) == len(labels) // 2
        # A fair coin's 99.99 % range, in the part that a validation split takes.
        tail = labels[-len(labels) // 5 :]
        assert abs(sum(tail) - len(tail) / 2) < 2 * len(tail) ** 0.5
    assert LABELS[POSITIVE] == "positive"


def test_no_review_occurs_twice(training: list[Review], unseen: list[Review]) -> None:
    texts = {text for text, _ in training + unseen}
    assert len(training) == sample.TRAIN_REVIEWS
    assert len(unseen) == sample.TEST_REVIEWS
    assert len(texts) == sample.TRAIN_REVIEWS + sample.TEST_REVIEWS


def test_lengths_are_those_of_reviews(training: list[Review], unseen: list[Review]) -> None:
    lengths = sorted(len(text.split()) for text, _ in training + unseen)
    assert lengths[0] >= 20
    assert lengths[-1] <= 400
    assert 70 <= statistics.median(lengths) <= 110
    assert lengths[len(lengths) // 10] < 45
    assert lengths[-len(lengths) // 10] > 200


def test_length_does_not_tell_the_label(training: list[Review]) -> None:
    means = [statistics.mean(len(text.split()) for text, label in training if label == side) for side in range(2)]
    assert means[NEGATIVE] == pytest.approx(means[POSITIVE], rel=0.05)


def test_texts_are_finished_prose(training: list[Review]) -> None:
    for text, _ in training:
        assert re.fullmatch(r"[A-Za-z ,.;:?!]+", text), text
        assert not re.search(r"  | [,.;:?!]|\bi\b|\b[Aa] [aeiouAEIOU]|[.?!] [a-z]", text), text
        assert text[0].isupper()
        assert text[-1] in ".!"


def test_vocabulary_is_rich_and_every_word_recurs(training: list[Review]) -> None:
    counts: dict[str, int] = {}
    for text, _ in training:
        for word in re.findall(r"[a-z]+", text.lower()):
            counts[word] = counts.get(word, 0) + 1
    assert len(counts) >= 800
    assert min(counts.values()) >= 5


def test_single_words_do_not_decide(training: list[Review], unseen: list[Review]) -> None:
    vectorizer = CountVectorizer(binary=True)
    known = vectorizer.fit_transform(text for text, _ in training)
    new = vectorizer.transform(text for text, _ in unseen)
    labels, expected = [label for _, label in training], [label for _, label in unseen]
    model = LogisticRegression(C=0.1, max_iter=1000).fit(known, labels)
    assert model.score(new, expected) <= 0.80


GOOD = "good|wonderful|great|brilliant|excellent|funny|witty|gripping|beautiful|exciting|convincing|haunting"
BAD = "bad|terrible|awful|poor|horrible|unfunny|corny|predictable|ugly|boring|wooden|repetitive"


@pytest.mark.parametrize(
    ("form", "pattern", "same_side"),
    [
        ("plain", r"What an? ({words}) \w+!", True),
        ("negated", r"Nobody could call the [\w ]+ ({words})\.", False),
        ("contrast", r".* but the [\w ]+ (?:is|was) ({words})\.", True),
        ("contrast", r"The [\w ]+ (?:is|was) ({words}), (?:but|yet) .*", False),
        ("concession", r"(?:Though|Although) the [\w ]+ (?:is|was) ({words}), .*", False),
        ("concession", r".*, (?:though|although) the [\w ]+ (?:is|was) ({words})\.", False),
        ("reported", r"Critics called it ({words}); .*", False),
        ("reported", r"Critics called it ({words}), and .*", True),
        ("expectation", r".* and got something ({words})\.", True),
        ("expectation", r".* something ({words}); I was wrong\.", False),
        ("exception", r"The only ({words}) thing about it is .*", False),
        ("question", r"({words})\? Not for a second\.", False),
        ("question", r"({words})\? For every second\.", True),
        ("irony", r"Oh, how ({words}), .*", False),
    ],
)
def test_form_turns_words_as_documented(form: str, pattern: str, same_side: bool) -> None:
    for polarity in (NEGATIVE, POSITIVE):
        expected = (BAD, GOOD)[polarity if same_side else 1 - polarity]
        unexpected = (BAD, GOOD)[1 - polarity if same_side else polarity]
        written = sentences(form, polarity)
        assert any(re.fullmatch(pattern.format(words=f"(?i:{expected})"), text) for text in written)
        assert not any(re.fullmatch(pattern.format(words=f"(?i:{unexpected})"), text) for text in written)


@pytest.mark.parametrize("form", sample.FORMS)
def test_both_narrators_use_every_form(form: str) -> None:
    assert len(sentences(form, NEGATIVE)) > 5
    assert sentences(form, NEGATIVE).isdisjoint(sentences(form, POSITIVE))


def test_reactions_are_the_narrators_own() -> None:
    assert "I would see it again." in sentences("reaction", POSITIVE)
    assert "I would not see it again." in sentences("reaction", NEGATIVE)
