"""Texts with two labels that were written to be hard: negations, contrasts, and reviews of other things than films.

They are rnnsent's own. They show what a network does, and are too few to compare networks that are close to each other.
"""

from __future__ import annotations

from itertools import product

Challenge = tuple[str, bool]  # a text, and whether it is positive

PRAISE = ("good", "great", "funny", "moving", "convincing", "worth watching", "well acted", "original")
BLAME = ("bad", "boring", "dull", "predictable", "a waste of time", "badly written", "confusing", "disappointing")
THINGS = ("The film is", "The story was", "I found the second half", "The ending is")


def negated() -> list[Challenge]:
    """Return sentences whose judging word is denied."""
    denied = [("not {}", False), ("never {}", False), ("not at all {}", False), ("anything but {}", False)]
    found = [
        (f"{thing} {pattern.format(word)}.", bool(positive))
        for thing, (pattern, _), (words, positive) in product(THINGS, denied, ((PRAISE, False), (BLAME, True)))
        for word in words
    ]
    return found


def contrasted() -> list[Challenge]:
    """Return sentences that say one thing, and after a turn the other, which decides."""
    turns = (
        "The first hour is {}, but then it becomes {} and stays so.",
        "Everybody told me that it was {}. It is {}.",
        "Although the beginning is {}, the whole is {}.",
        "I expected something {} and got something {}.",
    )
    return [
        (turn.format(first, second), positive)
        for turn in turns
        for one, other, positive in ((BLAME, PRAISE, True), (PRAISE, BLAME, False))
        for first, second in zip(one, other, strict=True)
    ]


_OTHERS: tuple[tuple[str, bool], ...] = (
    ("The soup came cold and the waiter shrugged when I said so.", False),
    ("Fresh bread, generous plates and a bill that made us smile. We will be back.", True),
    ("We waited an hour for a pizza that was burnt on one side and raw on the other.", False),
    ("Best noodles in town, and the cook remembers your name.", True),
    ("Overpriced, noisy, and my fish smelled as if it had been there all week.", False),
    ("A small place with honest cooking; every dish tasted of something.", True),
    ("The dessert alone is worth the trip.", True),
    ("I have had better sandwiches from a vending machine.", False),
    ("The battery is empty by noon and the screen flickers.", False),
    ("This phone is fast, light, and takes wonderful pictures at night.", True),
    ("It stopped charging after two weeks and nobody answers my mails.", False),
    ("Three years of daily use and it still works like on the first day.", True),
    ("The keyboard feels cheap and two keys are stuck already.", False),
    ("Setup took a minute, everything just works, and the sound is superb.", True),
    ("Crashes each time I open the camera. I sent it back.", False),
    ("Sturdy, quiet, and half the price of the others: highly recommended.", True),
    ("Our room was dirty and the air conditioning rattled all night.", False),
    ("Friendly staff, spotless bathroom and a view of the sea.", True),
    ("They lost our booking and made us pay twice.", False),
    ("The beds are soft, the breakfast is plentiful, and the station is around the corner.", True),
    ("Thin walls, stained sheets, and a receptionist who would not look up.", False),
    ("A lovely old house with a garden where one can read in peace.", True),
    ("We left a day early because of the smell.", False),
    ("The children did not want to go home, and neither did we.", True),
    ("The plot goes nowhere and the hero is a bore; I gave up after a hundred pages.", False),
    ("I read it in one night and cried at the end. A beautiful book.", True),
    ("Full of errors that an editor should have found.", False),
    ("Clear, witty, and never a word too much: the best introduction I know.", True),
    ("The translation is clumsy and the print so small that my eyes hurt.", False),
    ("Every chapter opens a new door. I have given it to all my friends.", True),
    ("A tired copy of the first volume, without its charm.", False),
    ("Wise and warm; I will read it again.", True),
    ("The update deleted my notes and support told me to buy the new version.", False),
    ("It does one thing and does it perfectly. Thank you to whoever made this.", True),
    ("Slow, full of advertisements, and it asks for my location to show a clock.", False),
    ("Installed it for my parents, and they have not called me for help since.", True),
    ("Half of the buttons do nothing.", False),
    ("Elegant, well documented and free. What more could one want?", True),
    ("They raised the price and took the features away.", False),
    ("Saved me hours every week; worth every cent.", True),
    ("The driver was rude and took the long way round.", False),
    ("The doctor listened, explained everything, and the pain was gone in a week.", True),
    ("My parcel arrived crushed, three weeks late.", False),
    ("They repaired my bike while I waited and would not take any money.", True),
    ("Nobody at the desk knew anything, and nobody cared.", False),
    ("The course is hard, the teacher is patient, and I have learned more than in years of school.", True),
    ("A broken ticket machine, a fine, and no apology.", False),
    ("Clean trains, on time, with polite people. A pleasure.", True),
)


def of_other_domains() -> list[Challenge]:
    """Return reviews of restaurants, devices, hotels, books, software and services, half of them positive."""
    return list(_OTHERS)
