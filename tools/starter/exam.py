"""Asks a checkpoint 500 questions through the product and lets the judge mark the answers."""

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.random import Generator, default_rng
from PIL import Image
from torch import Tensor

from tools.starter.captions import one, with_article
from tools.starter.held_out import background_of, tint_of
from tools.starter.judge import HEADS, Judge, trained, truth, verdicts
from tools.starter.menu import SHOWN, any_of, two_things
from tools.starter.scenes import Scene, Thing
from tools.starter.vocabulary import SETTINGS, STYLES, SUBJECTS, Ground, Setting, Subject
from webui import app
from webui.services import headless
from webui.services.requests import GenerationRequest
from webui.settings import load

STEPS: Final = 20
GUIDANCE: Final = 2.5
SIDE: Final = 128


@dataclass(frozen=True, slots=True)
class Question:
    """One picture that is asked for.

    Attributes:
        kind: A key of ``KINDS``.
        scene: What it should show.
    """

    kind: str
    scene: Scene

    @property
    def prompt(self) -> str:
        """The plainest words for it."""
        first, *others = self.scene.things
        named = [(first, f"{first.style.name} {_named(first)}")]
        named += [(other, _named(other)) for other in others]
        said = " and ".join(with_article(name, thing.subject) for thing, name in named)
        return said + _behind(self.scene.ground)


def _named(thing: Thing) -> str:
    name = thing.subject.names[0]
    return name if thing.tint is None else f"{thing.tint.name} {name}"


def _behind(ground: Ground) -> str:
    if isinstance(ground, Setting):
        return f" {ground.phrases[0]}"
    return f" on {one(ground.names[0])} background"


def _known(subject: Subject, random: Generator) -> Scene:
    thing = Thing(subject=subject, style=any_of(STYLES, random))
    return Scene((thing,), any_of(SHOWN.backgrounds(subject), random))


def _new_background(subject: Subject, random: Generator) -> Scene:
    return Scene((Thing(subject=subject, style=any_of(STYLES, random)),), background_of(subject))


def _known_colour(subject: Subject, random: Generator) -> Scene:
    tint = any_of(SHOWN.tints(subject), random)
    thing = Thing(subject=subject, style=any_of(STYLES, random), tint=tint)
    return Scene((thing,), any_of(SHOWN.backgrounds(subject), random))


def _new_colour(subject: Subject, random: Generator) -> Scene:
    thing = Thing(subject=subject, style=any_of(STYLES, random), tint=tint_of(subject))
    return Scene((thing,), any_of(SHOWN.backgrounds(subject), random))


def _setting(subject: Subject, random: Generator) -> Scene:
    thing = Thing(subject=subject, style=any_of(STYLES, random))
    return Scene((thing,), any_of(SETTINGS, random))


def _pair(_subject: Subject, random: Generator) -> Scene:
    return two_things(SHOWN, random)


KINDS: Final[dict[str, tuple[int, Callable[[Subject, Generator], Scene]]]] = {
    "known": (150, _known),
    "held-out background": (75, _new_background),
    "known colour": (75, _known_colour),
    "held-out colour": (75, _new_colour),
    "setting": (50, _setting),
    "two things": (75, _pair),
}
"""How many questions of each kind, and how one is made for a subject."""


def questions(seed: int) -> Iterator[Question]:
    """Yield the questions; every subject's turn comes before any has its second."""
    for place, (kind, (count, make)) in enumerate(KINDS.items()):
        random = default_rng((seed, place))
        turns = (SUBJECTS[n] for _ in range(count) for n in random.permutation(len(SUBJECTS)))
        for subject in islice(turns, count):
            yield Question(kind, make(subject, random))


def answers(prompts: Iterable[str], home: Path, checkpoint: str, out: Path) -> list[Path]:
    """Let the product draw each prompt, seeds counting up from 1, and return the pictures."""
    asked = [wish(prompt, seed, checkpoint) for seed, prompt in enumerate(prompts, start=1)]
    return drawn(asked, home, out)


def wish(prompt: str, seed: int, checkpoint: str) -> GenerationRequest:
    """Return a wish for one picture with the settings that the starter's card suggests."""
    return GenerationRequest(
        prompt=prompt,
        seed=seed,
        steps=STEPS,
        guidance=GUIDANCE,
        sampler="DPM++ 2M",
        scheduler="SGM Uniform",
        width=SIDE,
        height=SIDE,
        checkpoint=checkpoint,
    )


def drawn(requests: list[GenerationRequest], home: Path, out: Path) -> list[Path]:
    """Let the product fulfil wishes on one thread, and return the pictures."""
    settings = load({"folders.data_dir": home, "device.threads": 1}, environment={})
    stock = app.inventory(settings)
    options = stock.options.current()
    pictures = headless.draw(
        requests, options=options, house=stock.house, device=settings.device, out=out
    )
    return [Path(picture.path) for picture in pictures]


def pixels(path: Path) -> Tensor:
    """Return a picture ``[3, side, side]`` in 0..1."""
    with Image.open(path) as picture:
        values = np.asarray(picture.convert("RGB"), dtype=np.float32) / 255
    return torch.from_numpy(values).permute(2, 0, 1)


@torch.no_grad()
def table(judge: Judge, asked: list[Question], pictures: list[Path]) -> Iterator[str]:
    """Yield the lines of the table: what share of each kind is right."""
    yield "| asked for | pictures | " + " | ".join(HEADS) + " |"
    yield "|---|--:|" + "--:|" * len(HEADS)
    for kind in KINDS:
        rows = [place for place, question in enumerate(asked) if question.kind == kind]
        if not rows:
            continue
        truths = [truth(asked[place].scene) for place in rows]
        found = verdicts(judge, torch.stack([pixels(pictures[place]) for place in rows]), truths)
        shares = [f"{np.mean(right):.0%}" if right else "" for right in found.values()]
        yield f"| {kind} | {len(rows)} | " + " | ".join(shares) + " |"


def main() -> None:
    """Run ``python -m tools.starter.exam --work DIR --home DIR --checkpoint NAME``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--home", type=Path, required=True, help="data dir that has the checkpoint")
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--kind", action="append", choices=KINDS, help="ask only these")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    kinds = chosen.kind or list(KINDS)
    asked = [question for question in questions(chosen.seed) if question.kind in kinds]
    out = chosen.work / "exam" / chosen.checkpoint
    prompts = [question.prompt for question in asked]
    pictures = answers(prompts, chosen.home, chosen.checkpoint, out)
    judge = trained(chosen.work, steps=6000, seed=7)
    for line in table(judge, asked, pictures):
        sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    main()
