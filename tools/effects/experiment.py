"""One study: train for real, draw without and with the file, and measure what has changed."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image

from tools.effects.features import Eye
from tools.effects.page import train_on_page
from tools.effects.program import STARTER, Program, serving, train
from tools.effects.studies import OTHERS, REGULAR, Lesson, Study

UNSEEN: Final = 10
"""So many of them are kept out of the training, to hold the result against."""

SEED: Final = 100
REGULAR_SEED: Final = 500
OTHERS_SEED: Final = 900


@dataclass(frozen=True, slots=True)
class Sights:
    """Pictures, what is said of each, and the seed of the first; the next has the next seed."""

    prompts: list[str]
    pictures: list[Image.Image]
    seed: int


@dataclass(frozen=True, slots=True)
class Walls:
    """Before and after, of what was learned and of other things."""

    own: tuple[list[Image.Image], list[Image.Image]]
    others: tuple[list[Image.Image], list[Image.Image]]


@dataclass(frozen=True, slots=True)
class Result:
    """What a study leaves: a data dir with the file in it, pictures, and what was measured."""

    home: Path
    shown: Walls
    figures: dict[str, float]


def sights(lesson: Lesson, program: Program) -> tuple[Sights, Sights]:
    """Return what is trained on, and what the result is held against, with plain prompts."""
    drawn = program.draw(list(lesson.asked), seed=SEED) or list(lesson.painted)
    made = [lesson.change(each) for each in drawn]
    split = len(made) - UNSEEN
    return (
        Sights(list(lesson.captions[:split]), made[:split], SEED),
        Sights(list((lesson.plain or lesson.captions)[split:]), made[split:], SEED + split),
    )


def lay_out(shown: Sights, folder: Path) -> Path:
    """Write pictures and captions as a training reads them."""
    folder.mkdir(parents=True)
    for number, (words, picture) in enumerate(zip(shown.prompts, shown.pictures, strict=True)):
        picture.save(folder / f"{number:03}.png")
        (folder / f"{number:03}.txt").write_text(words, "utf-8")
    return folder


def walls(study: Study, program: Program, unseen: Sights) -> Walls:
    """Draw everything without and with the file that was learned."""

    def both(prompts: list[str], seed: int) -> tuple[list[Image.Image], list[Image.Image]]:
        worn = [study.worn(prompt) for prompt in prompts]
        return program.draw(prompts, seed=seed), program.draw(worn, seed=seed, **study.wish)

    return Walls(both(unseen.prompts, unseen.seed), both(list(OTHERS), OTHERS_SEED))


def carry_out(study: Study, place: Path, *, on_page: bool = False) -> Result:
    """Train one kind, on the page or without it, draw with it, and measure.

    Args:
        study: Which.
        place: Folder for everything; what it holds is deleted first.
        on_page: Train in a browser.
    """
    shutil.rmtree(place, ignore_errors=True)
    home = place / "home"
    models = home / "models" / "Stable-diffusion"
    models.mkdir(parents=True)
    for file in STARTER.parent.glob("starter.*"):
        shutil.copyfile(file, models / file.name)
    with serving(home) as program:
        seen, unseen = sights(study.lesson, program)
        data, settings = lay_out(seen, place / "seen"), dict(study.settings)
        if study.regular:
            drawn = program.draw(list(REGULAR), seed=REGULAR_SEED)
            regular = lay_out(Sights(list(REGULAR), drawn, REGULAR_SEED), place / "regular")
            settings["data"] = {**settings["data"], "regular": str(regular)}
        if on_page:
            address = str(program.http.base_url)
            seconds = train_on_page(address, study.kind, study.name, data, settings)
        else:
            seconds = train(home, study.kind, study.name, data, settings)
            program.look_again()
        shown = walls(study, program, unseen)
    hung([unseen.pictures, *shown.own, *shown.others]).save(place / "wall.png")
    return Result(home, shown, {"seconds": round(seconds), **figures(shown, unseen)})


def figures(shown: Walls, unseen: Sights) -> dict[str, float]:
    """Return how far the pictures are from what they should be, and how far others moved."""
    eye = Eye(STARTER)
    before, after = (eye.apart(wall, unseen.pictures) for wall in shown.own)
    moved, others = eye.apart(*shown.own), eye.apart(*shown.others)
    return {
        "before": round(before, 3),
        "after": round(after, 3),
        "fall": round(1 - after / before, 3),
        "others": round(others / moved, 3),
    }


def hung(rows: list[list[Image.Image]]) -> Image.Image:
    """Return rows of pictures as one picture."""
    side = rows[0][0].width
    wall = Image.new("RGB", (side * max(len(row) for row in rows), side * len(rows)), "white")
    for down, row in enumerate(rows):
        for across, picture in enumerate(row):
            wall.paste(picture, (side * across, side * down))
    return wall
