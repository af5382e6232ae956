"""The built-in corpus: film reviews written by a seeded grammar, so that everything runs without any data.

A review mixes neutral sentences (plot, cast, how it was made) with opinion sentences. Its label is what the
*narrator* thinks, and every opinion sentence comes down on the label's side, however it gets there. Opinion words
alone do not tell the label, because the same words appear plain, negated, outweighed and attributed to others:

    form         example                                                 narrator's view
    plain        The score is lovely.                                    what the word says
    negated      The plot is not at all dull.                            the reverse
    contrast     The score is lovely, but the plot is a mess.            what follows "but"
    concession   Although the score is lovely, the plot is a mess.       the clause without "although"
    reported     Critics called it superb; I could not disagree more.    the reverse, unless the narrator agrees
    expectation  I expected something dull and got something witty.      what was got
    exception    The only dull thing about it is the poster.             the reverse
    question     Gripping? Not for a second.                             what is answered
    irony        Oh, how lovely, I paid for two hours of this.           the reverse
    reaction     I would not see it again.                               what is done, or not done

In the templates below `{+x}` is a phrase on the narrator's side and `{-x}` one of the opposite side, so one template
serves both labels. `{@x}` belongs to the aspect of the film (acting, story, …) that the clause is about; a review
never likes an aspect in one sentence and dislikes it in another.

Of `random.Random` only `random()` is used, and only multiplied and compared: Python guarantees its sequence for a
seed, but not that of `choice` or `shuffle`. The corpus is therefore the same bytes everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from random import Random
from typing import Final, NamedTuple, TypeVar

TRAIN_REVIEWS: Final = 6000
TEST_REVIEWS: Final = 2000
TRAIN_SEED: Final = 1
TEST_SEED: Final = 2

# How often each form is used. Opinion words side with the label only a little more often than against it, so that a
# linear model of single words stays far below a network that reads them in order.
FORMS: Final[dict[str, float]] = {
    "plain": 0.30,
    "negated": 0.18,
    "contrast": 0.12,
    "concession": 0.10,
    "reported": 0.10,
    "expectation": 0.05,
    "exception": 0.04,
    "question": 0.04,
    "irony": 0.03,
    "reaction": 0.04,
}


class Review(NamedTuple):
    """One labeled review; `label` is 1 for positive and 0 for negative, an index into `LABELS`."""

    text: str
    label: int


_Option = TypeVar("_Option")
_Views = tuple[Sequence[str], Sequence[str]]  # the aspects that the narrator dislikes, and those that they like

_OPINION_SHARE: Final = 0.6
_CONCEDED: Final = 2  # aspects on which the narrator thinks the opposite of the verdict

# A review has as many words as a random point of one of these equally likely ranges, and then its last sentences.
_LENGTHS: Final = ((15, 24), (24, 48), (48, 80), (80, 120), (120, 320))

# aspect: singular nouns / plural nouns / negative adjectives / positive adjectives; in each list common words first
_ASPECTS: Final = {
    "acting": """acting cast lead_performance supporting_cast ensemble leading_man lead_actress chemistry
        / performances actors supporting_roles leads child_actors cameos
        / wooden stiff unconvincing hammy robotic stilted charmless listless expressionless mannered grotesque
        / convincing natural charismatic believable subtle nuanced heartfelt expressive magnetic spirited warm""",
    "story": """plot story script screenplay ending premise final_act storyline mystery finale
        / twists subplots revelations character_arcs themes flashbacks
        / predictable confusing silly muddled contrived thin incoherent formulaic implausible illogical senseless
        / gripping intelligent surprising suspenseful coherent riveting ingenious intriguing profound layered wise""",
    "sound": """music score soundtrack theme_song sound_design sound_mix orchestration
        / songs melodies arrangements musical_numbers sound_effects
        / repetitive shrill monotonous deafening syrupy intrusive harsh overbearing jarring bombastic tuneless
        / haunting melodic rousing soaring lush evocative catchy tuneful sublime beguiling sonorous""",
    "image": """photography cinematography lighting camera_work production_design animation color_palette makeup
        / visuals images special_effects costumes sets landscapes close_ups
        / ugly drab murky cheap dated blurry garish dingy hideous gaudy unfocused
        / beautiful gorgeous stunning vivid striking dazzling breathtaking crisp luminous sumptuous radiant""",
    "talk": """dialogue writing humor comedy banter narration satire wordplay
        / jokes lines conversations one_liners monologues speeches arguments
        / unfunny corny cheesy clunky cringeworthy preachy vulgar juvenile labored tacky witless
        / funny witty hilarious sharp amusing playful sparkling quotable perceptive tender literate""",
    "pace": """pacing direction first_half second_half editing middle_section opening_hour structure rhythm climax
        / scenes action_sequences chases fight_scenes transitions set_pieces
        / boring slow dull sluggish plodding sleepy meandering choppy lethargic aimless jerky
        / exciting thrilling lively brisk taut energetic electrifying tight nimble fluid propulsive""",
}

# name: negative words / positive words, for every aspect
_OPINIONS: Final = {
    "general": """bad terrible awful poor horrible disappointing tedious dreadful annoying pointless forgettable dismal
        lazy mediocre clumsy irritating lifeless bland stale frustrating sloppy shallow ridiculous tiresome pitiful
        lousy abysmal dire atrocious wretched careless crude shoddy amateurish hollow cynical insulting grating
        exhausting unbearable tasteless feeble uninspired embarrassing laughable
        / good wonderful great brilliant excellent superb delightful lovely terrific enjoyable memorable impressive
        charming clever splendid moving original smart fresh remarkable compelling satisfying engaging inventive
        imaginative marvelous captivating rewarding inspired masterful magnificent elegant graceful polished
        thoughtful sincere touching absorbing stirring uplifting refreshing admirable outstanding exquisite glorious
        enchanting""",
    "noun": """mess bore disaster chore failure letdown mistake flop dud nightmare nuisance shambles misfire bungle
        ordeal
        / triumph delight gem treat masterpiece joy success marvel wonder pleasure winner treasure knockout
        revelation""",
    "liked": """hated disliked loathed despised resented endured regretted detested dreaded
        / loved enjoyed admired adored appreciated savored relished cherished treasured""",
    "like": """hate dislike loathe despise resent regret detest
        / love enjoy admire adore appreciate savor relish cherish""",
    "works": """fails drags disappoints stumbles bores sags annoys collapses fizzles flounders misfires
        / works succeeds shines delights soars sparkles thrills charms dazzles sings triumphs""",
    "well": """badly poorly terribly clumsily lazily stiffly carelessly dreadfully awkwardly feebly
        / beautifully brilliantly wonderfully superbly gracefully splendidly skillfully movingly perfectly elegantly""",
    "irony": """i paid for two hours of this|another hour of the same|one more chase in the rain|now i have to sit
        through the same speech again|i could have stayed at home for that|two hours of my life are gone
        / i wanted it to last all night|two hours were gone in a moment|i missed my bus because i stayed for the
        names|now nothing else will do for weeks|there is no more of it to see|i have to wait a year for the next
        one""",
    "reaction": """i would not see it again|i wanted it to end|i was not sorry when it ended|i looked at my watch again
        and again|i wished that i had stayed at home|i could hardly wait for the end|i will not tell my friends to
        see it
        / i would see it again|i did not want it to end|i was sorry when it ended|i never looked at my watch|i was
        glad that i had not stayed at home|i could hardly wait to see it again|i will tell my friends to see it""",
}

_TEMPLATES: Final = {
    # Clauses, each about one aspect.
    "plain": """the {@one} {is} {+@adj}
        the {@many} {are} {+@adj}
        i {+liked} the {@any}
        the {@one} {+works}
        the {@one} {is a} {+noun}
        there is something {+@adj} about the {@any}
        i would call the {@one} {+@adj}
        i found the {@one} {+@adj}
        {name} {plays} the {role} {+well}
        {name} gives us {+@adj} {@many}""",
    "negated": """the {@one} {is not} {-@adj}
        the {@many} {are not} {-@adj}
        i {did not} {-like} the {@any}
        the {@one} never {-works}
        the {@one} {is not a} {-noun}
        there is nothing {-@adj} about the {@any}
        i would not call the {@one} {-@adj}
        nobody could call the {@one} {-@adj}
        {name} never {plays} the {role} {-well}
        i did not once find the {@one} {-@adj}""",
    "clause": "{+plain}|{+plain}|{+negated}",
    # Sentences, one set for each of FORMS.
    "plain sentence": """{+plain}.
        {+plain}.
        {+plain}, and {+plain}.
        {+plain} and {+plain}.
        just what i needed: another hour of {+@adj} {@many}.
        what a {+@adj} {film}!
        it is a {+general} and {+@adj} {film}.
        this is a {film} with {+@adj} {@many}.
        i told {person} that {+plain}.""",
    "negated sentence": """{+negated}.
        {+negated}.
        {+negated}, and {+negated}.
        {+plain}, and {+negated}.
        it is a {film} with hardly one {-@adj} moment.
        this {is not a} {-@adj} {film}.
        i told {person} that {+negated}.""",
    "contrast sentence": """{-clause}, but {+clause}.
        {-clause}, but {overall} {+clause}.
        {-clause}, yet {+clause}.
        {-clause}. however, {+clause}.
        yes, {-clause}, but {+clause}.""",
    "concession sentence": """{although} {-clause}, {+clause}.
        {although} {-clause}, {+clause}, and {this counts}.
        {+clause}, {although} {-clause}.""",
    "reported sentence": """{critics} called it {-general}; {rejected}.
        {critics} called it a {-noun}; {rejected}.
        {critics} told me that the {@one} was {-@adj}. {rejected}.
        anyone who calls the {@one} {-@adj} was not watching.
        {critics} called it {+general}, and {accepted}.
        {critics} told me that the {@one} was {+@adj}, and {accepted}.""",
    "expectation sentence": """i expected something {-@adj} and got something {+@adj}.
        i expected a {-noun} and got a {+noun}.
        i went in expecting something {-@adj}; i was wrong.
        i went in expecting something {+@adj}; i was right.
        the trailer promised something {-@adj}, but {+clause}.""",
    "exception sentence": """the only {-general} thing about it is {trifle}.
        the only {-general} part of the evening was {trifle}.
        if you want something {-@adj}, look at {trifle} instead.""",
    "question sentence": """{-@adj}? {no}.
        was the {@one} {-@adj}? {no}.
        {+@adj}? {yes}.
        was the {@one} {+@adj}? {yes}.""",
    "irony sentence": "oh, how {-general}, {+irony}.|how {-general}: {+irony}.",
    "reaction sentence": "{+reaction}.",
    # An LSTM forgets within some ten words at first: only an often plain last sentence lets it start to learn.
    "verdict": "{closing}, {+last sentence}",
    "last sentence": """{+plain sentence}|{+plain sentence}|{+plain sentence}|{+negated sentence}|{+contrast sentence}|
        {+concession sentence}""",
}

# Neutral sentences, whose opinion words are about people and not the film, and their parts.
_NEUTRAL: Final = {
    "opening": """i saw {title} {where} {when}.|{title} is the {nth} film by {name}.|{when}, i finally watched {title}
        {where}.|{title} stars {name} as a {trait} {job}, with {name} as the {role}.|{person} and i went to see
        {title} {when}.|so this is {title}, the new {genre} with {name}.""",
    "neutral": "{plot}|{plot}|{plot}|{making}",
    "plot": """{first}, a {job} from {town}, {finds} {object} {place}.|the story follows {first}, a {job} who travels
        with a {relative} to {town} in search of {object}.|{later}, {first} {finds} {object} {place}.|a {weather}
        forces them to spend {time} {place}.|{first} must {goal} before {deadline}.|meanwhile, a {job} named {first}
        {acts} {place}.|we learn that {first} had once {past} with a {job} in {town}.|much of it takes place
        {place}, where a {job} {acts}.|{first} meets a {trait} {job} {place}, and together they {goal}.|when a
        {trait} {job} {finds} {object}, {first} decides to {goal}.|{later}, the {job} and the {relative} {goal}
        while a {weather} passes over {town}.|in one scene {first} {acts} while a {trait} {relative} {finds}
        {object}.|by now {first} lives {place} and {acts}.""",
    "making": """it was shot in {town} in {number} weeks by {name}.|{name} plays {first}, and {name} plays the {trait}
        {role}.|it runs for about {minutes} minutes and is set in {town} during the {era}.|it is adapted from a
        {pages} page novel by {name}.|{name} also wrote it, together with {name}.|{name} appears in {number} scenes
        as a {job}.|the {era} are shown through {object} and {object}.""",
    "title": "The {title word} {title noun}|{title word} {title noun}|A {title noun} in {town}",
    "name": "{first} {last}",
    "person": "{relation} {first}|my {relative}",
    "critics": "critics|most critics|my {relative}|everyone at work|some newspapers|the posters|a {job} i know",
    "is": "is was feels felt seemed remains",
    "are": "are were feel felt seemed remain",
    "is not": """is not at all|was never|is hardly|is far from|was anything but|was not at all|is by no means|feels
        anything but|was hardly|is not remotely|was not in the least|is not for a moment|never felt|does not
        feel|did not seem""",
    "are not": """are not at all|were never|are hardly|are far from|were anything but|were not at all|are by no
        means|feel anything but|were hardly|are not remotely|were not in the least|are not for a moment|never
        felt|do not feel|did not seem""",
    "is a": "is a|was a|is truly a|is really a|was quite a|is simply a|remains a|is nothing if not a",
    "is not a": "is not a|was not a|is never a|is hardly a|is by no means a|was anything but a|is far from a",
    "did not": "did not|could not|did not once|did not for a moment|never came to|saw no reason to|found no reason to",
    "film": "film movie picture feature",
    "overall": "overall|on the whole|as a whole|all the same",
    "this counts": "that decides it|that is what counts|that matters more|that stays with me",
    "although": "although|though|even though|while it is true that|even if",
    "rejected": """i did not see why|i could not disagree more|that is not the film i saw|i saw nothing of the kind|i
        beg to differ|i think not|i do not believe a word of it|that is simply wrong""",
    "accepted": """i can see why|i could not agree more|that is the film i saw|i saw just that|i have to agree|i think
        so too|i believe every word of it|that is simply right""",
    "no": "not for a second|not once|not at all|never|quite the reverse|no, not in a single scene",
    "yes": "for every second|very much so|always|quite so|yes, in every single scene|from start to finish",
    "trifle": "the poster|the popcorn|the trailer|the walk home|my seat|the bus ride|the parking lot|the carpet",
    "closing": "in the end|all in all|on balance|to sum up|taken together|looking back|when the lights came on",
    "plays": "plays portrays handles tackles",
    "role": "detective villain hero stranger neighbor sergeant prisoner boxer captain mayor thief narrator",
    "relative": "brother sister uncle aunt cousin grandmother grandfather nephew niece twin godmother stepson",
    "relation": "my_friend my_colleague my_roommate my_dentist my_old_teacher my_neighbor my_boss",
    "trait": """young retired elderly charming lonely clumsy ambitious brilliant dull penniless beautiful nervous
        terrible wealthy lovely careless silent ugly stubborn elegant boring clever lazy homesick graceful awful
        curious crude witty slow smart""",
    "job": """baker sailor teacher plumber doctor nurse pilot farmer painter clerk gardener librarian locksmith tailor
        surgeon lawyer reporter waiter dancer carpenter miner soldier banker barber butcher chemist drummer gambler
        hunter jeweler judge mechanic merchant musician photographer porter priest professor ranger singer spy""",
    "genre": "thriller drama western war_film family_film crime_story mystery musical road_movie",
    "nth": "first second third fourth fifth sixth tenth",
    "number": "two three four five six seven eight nine ten eleven twelve",
    "minutes": "ninety a_hundred eighty ninety_five eighty_five seventy",
    "pages": "two_hundred three_hundred four_hundred six_hundred thousand",
    "era": "twenties thirties forties fifties sixties seventies eighties nineties war_years",
    "weather": "storm blizzard flood heat_wave snowfall fog strike thunderstorm power_cut landslide",
    "time": "a_week three_days a_month one_night a_summer the_winter an_afternoon two_years a_weekend the_holidays",
    "first": """Ada Boris Clara Dmitri Edith Felix Greta Hugo Irene Jonas Karin Leo Mabel Nadia Oscar Petra Quentin Rosa
        Simon Tilda Ulrich Vera Walter Yusuf Zelda Amos Bettina Cyrus Delia Elias Flora Gideon Hattie Ivan Josefa
        Kenji Lotte""",
    "last": """Abernathy Birk Calloway Dunmore Ellery Farrow Grundy Halloran Ingram Jessop Kowal Lindqvist Marchetti
        Norwood Okafor Pemberton Quill Rasmussen Sorel Tanaka Underhill Vance Whitlock Yarrow Zeller Ashdown""",
    "town": "Marlow_Bay Port_Ansel Greywick Tallow_Creek Saint_Orrin Hollowell Kestrel_Point Brannock Oldhaven",
    "title word": "Glass Crimson Silent Winter Paper Northern Broken Hidden Distant Borrowed Copper Salt Hollow Velvet",
    "title noun": "Harbor Orchard Letter Station Garden Window River Promise Lantern Stranger Bridge Kingdom Mirror",
    "where": "at the old cinema|at home|at a festival|on a plane|on a train|in an empty theater|on my laptop",
    "when": "last night|over the weekend|last month|on a rainy Tuesday|after work|this morning|on my birthday",
    "later": """ten years later|the next morning|one evening|after the funeral|before the trial|at the wedding|at
        midnight|halfway through|after the harvest|during the election""",
    "finds": "finds steals buys hides inherits discovers sells borrows repairs delivers loses buries receives carries",
    "object": """a map|a locked trunk|an unsigned letter|a box of photographs|a stolen violin|a silver key|an old
        radio|a bag of coins|a torn diary|a crate of oranges|a telescope|a wooden horse|a passport|a goat""",
    "place": """near the harbor|in a lighthouse|on a farm|behind the church|in an attic|at the station|under the
        bridge|in a hotel|in the desert|aboard a ferry|on the roof|at the border|inside the bank|by the lake|on an
        island""",
    "goal": """cross the border|rob the bank|save the orchard|return the letter|win the race|rebuild the bridge|find the
        heir|stop the train|open a restaurant|hide the witness|pay the debt|sell the house|solve the case""",
    "deadline": "sunrise|the boat leaves|the snow melts|the police arrive|noon|the first frost|the money runs out",
    "acts": """waits for a telephone call|counts the money|writes letters|sleeps|sharpens knives|follows the mayor|plays
        cards|feeds the horses|listens at the door|packs a bag|digs a tunnel|practices the piano""",
    "past": "fought|traveled|worked|studied|quarreled|lived|danced|sailed|been in prison|gone into business",
}


def _options(text: str) -> tuple[str, ...]:
    """Split at bars, else templates at line ends, else at white space, where `_` stands for a space within a word."""
    if "|" in text:
        return tuple(" ".join(option.split()) for option in text.split("|"))
    if "{" in text:
        return tuple(line.strip() for line in text.splitlines())
    return tuple(word.replace("_", " ") for word in text.split())


def _rules() -> dict[str, tuple[str, ...]]:
    """Name every list: opinions by their polarity ("noun 1"), those of an aspect after it too ("story adj 0")."""
    rules = {name: _options(text) for name, text in (_TEMPLATES | _NEUTRAL).items()}
    for name, text in _OPINIONS.items():
        for polarity, words in enumerate(text.split("/")):
            rules[f"{name} {polarity}"] = _options(words)
    for aspect, text in _ASPECTS.items():
        one, many, *adjectives = map(_options, text.split("/"))
        rules |= {f"{aspect} one": one, f"{aspect} many": many, f"{aspect} any": one + many}
        for polarity, own in enumerate(adjectives):
            rules[f"{aspect} adj {polarity}"] = own + rules[f"general {polarity}"]
    return rules


_RULES: Final = _rules()
_SLOT: Final = re.compile(r"\{([+-]?)(@?)([a-z ]+)\}")


def generate_reviews(count: int, seed: int) -> list[Review]:
    """Return `count` different reviews, half of them positive, in an order that carries no information.

    The same `count` and `seed` give the same reviews on every machine. Raises `ValueError` for an odd or negative
    `count`, which could not be balanced.
    """
    if count < 0 or count % 2:
        raise ValueError(f"count must be even and not negative, to be balanced; got {count}")
    rng = Random(seed)
    labels: dict[str, int] = {}
    while len(labels) < count:
        # The label follows from how many there are, so a text written twice leaves the balance as it is.
        label = len(labels) % 2
        labels.setdefault(_review(rng, label), label)
    return [Review(text, label) for text, label in _shuffled(rng, tuple(labels.items()))]


def opinion_sentence(rng: Random, polarity: int, form: str) -> str:
    """Return a sentence, in one of `FORMS`, by a narrator who likes the film (`polarity` 1) or does not (0)."""
    return _polish(_write(rng, f"{form} sentence", polarity, _views(rng, polarity)))


def _review(rng: Random, label: int) -> str:
    views = _views(rng, label)
    low, high = _pick(rng, _LENGTHS)
    wanted = low + rng.random() * (high - low)
    sentences = [_write(rng, "opening", label, views)]
    length = len(sentences[0].split())
    while length < wanted:
        rule = f"{_pick_form(rng)} sentence" if rng.random() < _OPINION_SHARE else "neutral"
        sentences.append(_write(rng, rule, label, views))
        length += len(sentences[-1].split())
    sentences.append(_write(rng, "verdict", label, views))
    return _polish(" ".join(sentences))


def _views(rng: Random, label: int) -> _Views:
    """Deal the aspects into disliked and liked ones, once for a review, so that it does not contradict itself."""
    aspects = _shuffled(rng, tuple(_ASPECTS))
    conceded, decisive = aspects[:_CONCEDED], aspects[_CONCEDED:]
    return (conceded, decisive) if label else (decisive, conceded)


def _write(rng: Random, rule: str, polarity: int, views: _Views) -> str:
    """Expand a rule of the grammar for a narrator who likes (1) or dislikes (0) what the phrase is about."""
    options = _RULES[rule]
    point = rng.random()
    if "{" not in options[0]:
        # Few words are common and many rare, as in any language; evenly spread ones take a network far longer.
        point *= point
    template = options[int(point * len(options))]
    if "{" not in template:
        return template
    aspect = _pick(rng, views[polarity])
    pieces = []
    for literal, sign, scope, name in _parse(template):
        pieces.append(literal)
        if name:
            side = 1 - polarity if sign == "-" else polarity
            key = f"{aspect} {name}" if scope else name
            sided = f"{key} {side}"
            pieces.append(_write(rng, sided if sided in _RULES else key, side, views))
    return "".join(pieces)


@cache
def _parse(template: str) -> tuple[tuple[str, str, str, str], ...]:
    """Cut a template into (text before the slot, sign, scope, name of the slot's rule); the last has no slot."""
    cuts = [*_SLOT.split(template), "", "", ""]
    return tuple((cuts[i], cuts[i + 1], cuts[i + 2], cuts[i + 3]) for i in range(0, len(cuts), 4))


def _pick(rng: Random, options: Sequence[_Option]) -> _Option:
    return options[int(rng.random() * len(options))]


def _pick_form(rng: Random) -> str:
    point = rng.random()
    for form, share in FORMS.items():
        point -= share
        if point < 0:
            return form
    return "plain"  # the shares are floats, whose sum may fall short of 1 by a rounding error


def _shuffled(rng: Random, options: Sequence[_Option]) -> list[_Option]:
    deck = list(options)
    for last in range(len(deck) - 1, 0, -1):
        other = int(rng.random() * (last + 1))
        deck[last], deck[other] = deck[other], deck[last]
    return deck


def _polish(text: str) -> str:
    text = re.sub(r"\b([Aa]) (?=[aeiouAEIOU])", r"\1n ", text)
    text = re.sub(r"\bi\b", "I", text)
    return re.sub(r"(?:^|[.?!] )[a-z]", lambda match: match[0].upper(), text)
