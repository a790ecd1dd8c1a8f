"""What the starter can draw: things, styles, colours and grounds, and the words for each.

What is here decides what was learned: new entries go to the end of their list, since what is held
out of an entry hangs on its place.
"""

from dataclasses import dataclass
from typing import Final

Rgb = tuple[int, int, int]
"""An sRGB colour."""


@dataclass(frozen=True, slots=True)
class Subject:
    """One drawable thing.

    Attributes:
        names: Words for it, the usual one first.
        pictogram: Short name in ``emoji-datasource``.
        colours: Adjectives that are true of its 3D picture, the most natural one first.
        counted: Whether there can be "a" or "an" before it.
    """

    names: tuple[str, ...]
    pictogram: str
    colours: tuple[str, ...] = ()
    counted: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Style:
    """One way to draw everything: a set of pictograms, and how a caption says so.

    Attributes:
        name: The word for it, which also is its adjective.
        openings: Said before the thing: "a flat icon of" a cat.
        endings: Said behind everything: a cat on blue, "flat style".
        said: Share of its captions that name it; a caption that names none means mostly 3D.
    """

    name: str
    openings: tuple[str, ...]
    endings: tuple[str, ...]
    said: float


@dataclass(frozen=True, slots=True)
class Background:
    """One plain colour behind the things."""

    names: tuple[str, ...]
    rgb: Rgb


@dataclass(frozen=True, slots=True)
class Setting:
    """One painted place behind the things: what it is called, and phrases that follow them."""

    name: str
    phrases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tint:
    """A colour in which any thing can be painted instead of its own."""

    name: str
    rgb: Rgb


Ground = Background | Setting

FIRST: Final[tuple[Subject, ...]] = (
    Subject(("apple",), "apple", ("red",)),
    Subject(("cat",), "cat", ("orange",)),
    Subject(("dog",), "dog", ("brown",)),
    Subject(("car",), "car", ("red",)),
    Subject(("rocket",), "rocket", ("white",)),
    Subject(("heart",), "heart", ("red",)),
    Subject(("house",), "house"),
    Subject(("frog",), "frog", ("green",)),
    Subject(("pizza", "slice of pizza"), "pizza"),
    Subject(("banana",), "banana", ("yellow",)),
    Subject(("fish",), "fish", ("blue",)),
    Subject(("penguin",), "penguin"),
    Subject(("donut", "doughnut"), "doughnut", ("chocolate", "brown")),
    Subject(("crown",), "crown", ("golden", "gold")),
    Subject(("tree",), "deciduous_tree", ("green",)),
    Subject(("bus",), "bus", ("orange",)),
    Subject(("panda",), "panda_face"),
    Subject(("mushroom",), "mushroom", ("red",)),
    Subject(("lion",), "lion_face", ("brown",)),
    Subject(("balloon",), "balloon", ("red",)),
    Subject(("sunflower", "flower"), "sunflower", ("yellow",)),
    Subject(("star",), "star", ("yellow",)),
    Subject(("snowman",), "snowman_without_snow", ("white",)),
    Subject(("butterfly",), "butterfly", ("red",)),
)
"""What the first painter learned, from nothing and in one style."""

SUBJECTS: Final[tuple[Subject, ...]] = (
    *FIRST,
    Subject(("rabbit", "bunny"), "rabbit"),
    Subject(("fox",), "fox_face", ("orange",)),
    Subject(("koala",), "koala", ("gray",)),
    Subject(("cow",), "cow"),
    Subject(("pig",), "pig", ("pink",)),
    Subject(("monkey",), "monkey_face", ("brown",)),
    Subject(("bird",), "bird"),
    Subject(("chick",), "hatched_chick", ("yellow",)),
    Subject(("duck",), "duck"),
    Subject(("owl",), "owl", ("brown",)),
    Subject(("horse",), "horse", ("brown",)),
    Subject(("bee",), "bee", ("yellow",)),
    Subject(("ladybug", "ladybird"), "ladybug", ("red",)),
    Subject(("spider",), "spider"),
    Subject(("turtle", "tortoise"), "turtle", ("green",)),
    Subject(("snake",), "snake", ("green",)),
    Subject(("octopus",), "octopus"),
    Subject(("crab",), "crab", ("red",)),
    Subject(("whale",), "whale", ("blue",)),
    Subject(("elephant",), "elephant", ("gray",)),
    Subject(("giraffe",), "giraffe_face"),
    Subject(("sheep",), "sheep", ("white",)),
    Subject(("dinosaur",), "sauropod", ("green",)),
    Subject(("flamingo",), "flamingo", ("pink",)),
    Subject(("parrot",), "parrot"),
    Subject(("watermelon", "slice of watermelon"), "watermelon"),
    Subject(("grapes",), "grapes", ("purple",), counted=False),
    Subject(("strawberry",), "strawberry", ("red",)),
    Subject(("cherries",), "cherries", ("red",), counted=False),
    Subject(("pineapple",), "pineapple", ("yellow",)),
    Subject(("corn",), "corn", ("yellow",), counted=False),
    Subject(("carrot",), "carrot", ("orange",)),
    Subject(("eggplant", "aubergine"), "eggplant", ("purple",)),
    Subject(("cheese",), "cheese_wedge", ("yellow",), counted=False),
    Subject(("hamburger", "burger"), "hamburger"),
    Subject(("fries", "french fries"), "fries", counted=False),
    Subject(("popcorn",), "popcorn", counted=False),
    Subject(("ice cream", "ice cream cone"), "icecream"),
    Subject(("cake", "birthday cake"), "birthday"),
    Subject(("lollipop",), "lollipop"),
    Subject(("coffee", "cup of coffee"), "coffee"),
    Subject(("teapot",), "teapot", ("red",)),
    Subject(("tractor",), "tractor", ("green",)),
    Subject(("bicycle", "bike"), "bike"),
    Subject(("train",), "train2"),
    Subject(("airplane", "plane"), "airplane"),
    Subject(("helicopter",), "helicopter"),
    Subject(("sailboat", "boat"), "boat"),
    Subject(("ufo", "flying saucer"), "flying_saucer"),
    Subject(("castle",), "european_castle"),
    Subject(("tent",), "tent"),
    Subject(("volcano",), "volcano"),
    Subject(("rainbow",), "rainbow"),
    Subject(("sun",), "sun_with_face", ("yellow",)),
    Subject(("moon",), "crescent_moon", ("yellow",)),
    Subject(("fire", "flame"), "fire", ("orange",)),
    Subject(("snowflake",), "snowflake", ("blue",)),
    Subject(("planet",), "ringed_planet", ("orange",)),
    Subject(("palm tree", "palm"), "palm_tree", ("green",)),
    Subject(("cactus",), "cactus", ("green",)),
    Subject(("rose",), "rose", ("red",)),
    Subject(("soccer ball",), "soccer"),
    Subject(("basketball",), "basketball", ("orange",)),
    Subject(("trophy",), "trophy", ("golden", "gold")),
    Subject(("guitar",), "guitar", ("red",)),
    Subject(("gift", "present"), "gift"),
    Subject(("umbrella",), "umbrella", ("purple",)),
    Subject(("key",), "key", ("golden", "gold")),
    Subject(("bell",), "bell", ("golden", "gold")),
    Subject(("light bulb",), "bulb", ("yellow",)),
    Subject(("camera",), "camera"),
    Subject(("television", "tv"), "tv"),
    Subject(("alarm clock", "clock"), "alarm_clock"),
    Subject(("book",), "closed_book", ("red",)),
    Subject(("pencil",), "pencil2"),
    Subject(("hammer",), "hammer"),
    Subject(("magnet",), "magnet", ("red",)),
    Subject(("anchor",), "anchor", ("blue",)),
    Subject(("skull",), "skull", ("white",)),
    Subject(("alien",), "alien"),
    Subject(("diamond", "gem"), "gem", ("blue",)),
)
"""All that the starter learns; look-alikes of one another are left out."""

UNSEEN: Final[tuple[Subject, ...]] = (
    Subject(("robot",), "robot_face"),
    Subject(("teddy bear",), "teddy_bear"),
    Subject(("pumpkin",), "jack_o_lantern"),
    Subject(("unicorn",), "unicorn_face"),
    Subject(("ghost",), "ghost"),
)
"""Never shown to it, so that tests and demonstrations have something to teach it."""

THREE_D: Final = Style(
    name="3d",
    openings=("a 3d render of", "a 3d icon of", "a 3d picture of"),
    endings=(", 3d style", ", 3d render", ", 3d"),
    said=0.6,
)
FLAT: Final = Style(
    name="flat",
    openings=("a flat icon of", "a flat drawing of", "a flat picture of"),
    endings=(", flat style", ", flat design", ", flat"),
    said=0.92,
)
CARTOON: Final = Style(
    name="cartoon",
    openings=("a cartoon of", "a cartoon drawing of", "a cartoon picture of"),
    endings=(", cartoon style", ", cartoon drawing", ", cartoon"),
    said=0.92,
)
STYLES: Final = (THREE_D, FLAT, CARTOON)

BACKGROUNDS: Final[tuple[Background, ...]] = (
    Background(("red",), (222, 40, 44)),
    Background(("blue",), (47, 104, 222)),
    Background(("green",), (66, 158, 66)),
    Background(("yellow",), (252, 216, 56)),
    Background(("orange",), (248, 146, 40)),
    Background(("purple",), (130, 58, 178)),
    Background(("pink",), (250, 160, 196)),
    Background(("white",), (250, 250, 250)),
    Background(("black",), (14, 14, 16)),
    Background(("gray", "grey"), (140, 140, 146)),
    Background(("brown",), (124, 78, 44)),
    Background(("teal",), (40, 166, 166)),
)

SETTINGS: Final[tuple[Setting, ...]] = (
    Setting("grass", ("on the grass", "on grass", "on a meadow")),
    Setting("night", ("at night", "under the stars", "in the night sky")),
    Setting("beach", ("on the beach", "on a beach", "by the sea")),
    Setting("snow", ("in the snow", "in winter", "on the snow")),
)

GROUNDS: Final[tuple[Ground, ...]] = (*BACKGROUNDS, *SETTINGS)

TINTS: Final[tuple[Tint, ...]] = (
    Tint("red", (214, 44, 44)),
    Tint("orange", (240, 138, 36)),
    Tint("yellow", (246, 210, 52)),
    Tint("green", (62, 160, 62)),
    Tint("blue", (52, 104, 220)),
    Tint("purple", (134, 64, 184)),
    Tint("pink", (244, 140, 186)),
)

SIZE_WORDS: Final = {"small": ("small", "little", "tiny"), "": (), "big": ("big", "large")}
"""Words for each size; the usual one has none."""

PLACE_WORDS: Final = {
    "": (),
    "left": ("on the left", "on the left side"),
    "right": ("on the right", "on the right side"),
    "top": ("at the top",),
    "bottom": ("at the bottom",),
}
"""Words for each place; the middle has none."""
