"""Words for a scene, said in many ways."""

from typing import Final

from numpy.random import Generator

from tools.starter.scenes import Scene
from tools.starter.vocabulary import BACKGROUNDS, SUBJECTS

SIZE_WORDS: Final = {"small": ("small", "little", "tiny"), "": (), "big": ("big", "large")}

OPENINGS: Final = (
    "a picture of",
    "a picture of",
    "a photo of",
    "a drawing of",
    "an image of",
    "an icon of",
    "a painting of",
)

BACKGROUND_PHRASES: Final = (
    (0.60, " on {article} {colour} background"),
    (0.10, ", {colour} background"),
    (0.06, " on {colour}"),
    (0.06, " in front of {article} {colour} background"),
    (0.06, " with {article} {colour} background"),
    (0.12, ""),
)
"""Share of captions, and the phrase; the last leaves the background open."""


def caption(scene: Scene, random: Generator) -> str:
    """Describe a scene truly, in one of its many wordings."""
    return opening(random) + subject(scene, random) + background(scene, random)


def opening(random: Generator) -> str:
    """Say, one time in four, that this is a picture."""
    if random.random() < 0.75:
        return ""
    return OPENINGS[random.integers(len(OPENINGS))] + " "


def subject(scene: Scene, random: Generator) -> str:
    """Name the subject: usual word or another, with or without size, colour and article."""
    words = [pick(scene.subject.names, random)]
    if scene.subject.colours and random.random() < 0.45:
        words.insert(0, pick(scene.subject.colours, random))
    if SIZE_WORDS[scene.size] and random.random() < 0.3:
        words.insert(0, pick(SIZE_WORDS[scene.size], random))
    phrase = " ".join(words)
    return phrase if random.random() < 0.15 else f"{article(phrase)} {phrase}"


def background(scene: Scene, random: Generator) -> str:
    """Name the background's colour, or leave it open."""
    shares = [share for share, _ in BACKGROUND_PHRASES]
    phrase = BACKGROUND_PHRASES[random.choice(len(shares), p=shares)][1]
    colour = pick(scene.background.names, random)
    return phrase.format(article=article(colour), colour=colour)


def pick(words: tuple[str, ...], random: Generator) -> str:
    """Take the first word four times in five (or always, if it is alone), else any other."""
    if len(words) == 1 or random.random() < 0.75:
        return words[0]
    return words[1 + random.integers(len(words) - 1)]


def article(phrase: str) -> str:
    """Return ``a`` or ``an``."""
    return "an" if phrase[0] in "aeiou" else "a"


def every_word() -> str:
    """Return one text that contains every word any caption can have."""
    names = [name for thing in SUBJECTS for name in (*thing.names, *thing.colours)]
    colours = [name for colour in BACKGROUNDS for name in colour.names]
    sizes = [word for words in SIZE_WORDS.values() for word in words]
    phrases = [phrase.format(article="an a", colour="") for _, phrase in BACKGROUND_PHRASES]
    return " ".join([*names, *colours, *sizes, *OPENINGS, *phrases, "a an , ."])
