"""``python -m tools.effects [NAME ...] --work DIR``: what each training does, as a table."""

import argparse
import json
import logging
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from PIL import Image

from tools.effects.features import Eye
from tools.effects.page import train_on_page
from tools.effects.program import STARTER, Program, serving, train
from tools.effects.studies import NAME, OTHERS, REGULAR, STUDIES, Lesson, Study
from tools.effects.subjects import traffic_light

log = logging.getLogger(__name__)

PICTURES: Final = 30
"""So many pictures show what is to be learned."""

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


def article(words: str) -> str:
    """Return the words with ``a`` or ``an`` before them."""
    return f"an {words}" if words[0] in "aeiou" else f"a {words}"


def sights(lesson: Lesson, program: Program) -> tuple[Sights, Sights]:
    """Return what is trained on, and what the result is held against."""
    places = [(thing, behind) for behind in lesson.behind for thing in lesson.things]
    rounds = PICTURES // len(places)
    plain = [f"{article(thing)} on {article(behind)} background" for thing, behind in places]
    if lesson.change is None:
        made = [traffic_light(behind, turn) for turn in range(rounds) for _, behind in places]
    else:
        drawn = program.draw(plain * rounds, seed=SEED)
        made = [lesson.change(each) for each in drawn]
    said = [prompt + lesson.says for prompt in plain * rounds]
    split = len(said) - UNSEEN
    return Sights(said[:split], made[:split], SEED), Sights(
        said[split:], made[split:], SEED + split
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
    if study.kind == "vae":
        others = program.draw(list(OTHERS), seed=OTHERS_SEED)
        through = program.through_the_vae
        own = (through(unseen.pictures), through(unseen.pictures, **study.wish))
        return Walls(own, (through(others), through(others, **study.wish)))

    def both(prompts: list[str], seed: int) -> tuple[list[Image.Image], list[Image.Image]]:
        worn = [_worn(study, prompt) for prompt in prompts]
        return program.draw(prompts, seed=seed), program.draw(worn, seed=seed, **study.wish)

    asked = [prompt.replace(study.unsaid, "") for prompt in unseen.prompts]
    return Walls(both(asked, unseen.seed), both(list(OTHERS), OTHERS_SEED))


def _worn(study: Study, prompt: str) -> str:
    thing = article(study.lesson.things[0])
    return prompt.replace(thing, f"a {study.word}" if study.word else thing) + study.says


def carry_out(name: str, work: Path, *, on_page: bool) -> dict[str, Any]:
    """Train one kind, on the page or without it, draw with it, and return what was measured."""
    study, place = STUDIES[name], work / name
    shutil.rmtree(place, ignore_errors=True)
    home = place / "home"
    models = home / "models" / "Stable-diffusion"
    models.mkdir(parents=True)
    for file in STARTER.parent.glob("starter.*"):
        shutil.copyfile(file, models / file.name)
    with serving(home) as program:
        seen, unseen = sights(study.lesson, program)
        settings = dict(study.settings)
        if study.word:
            thing = f"{article(study.lesson.things[0])} "
            seen = replace(seen, prompts=[words.removeprefix(thing) for words in seen.prompts])
        data = lay_out(seen, place / "seen")
        if study.regular:
            drawn = program.draw(list(REGULAR), seed=REGULAR_SEED)
            regular = lay_out(Sights(list(REGULAR), drawn, REGULAR_SEED), place / "regular")
            settings["data"] = {**settings["data"], "regular": str(regular)}
        if on_page:
            address = str(program.http.base_url)
            seconds = train_on_page(address, study.kind, NAME, data, settings)
        else:
            seconds = train(home, study.kind, NAME, data, settings)
            program.look_again()
        shown = walls(study, program, unseen)
    hang(shown, unseen, place / "wall.png")
    return {"name": name, "seconds": round(seconds), **figures(shown, unseen)}


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


def hang(shown: Walls, unseen: Sights, path: Path) -> None:
    """Write one picture: wanted, before, after; and other things before and after."""
    rows = [unseen.pictures, *shown.own, *shown.others]
    side = rows[0][0].width
    wall = Image.new("RGB", (side * UNSEEN, side * len(rows)), "white")
    for down, row in enumerate(rows):
        for across, picture in enumerate(row):
            wall.paste(picture, (side * across, side * down))
    wall.save(path)


def main() -> None:
    """Carry out the studies that were named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(STUDIES), metavar="NAME")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--page", action="store_true", help="train in a browser")
    asked = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    log.setLevel(logging.INFO)
    for name in asked.names:
        log.info("%s", json.dumps(carry_out(name, asked.work.resolve(), on_page=asked.page)))


if __name__ == "__main__":
    main()
