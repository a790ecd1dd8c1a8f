"""What the starter learns from: every picture is said truly, and what is held out stays out."""

import re

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as some
from numpy.random import default_rng
from PIL import Image

from tools.starter.captions import caption, every_word
from tools.starter.exam import KINDS, questions
from tools.starter.grounds import PIXELS, paint
from tools.starter.held_out import background_of, foreign_tints, tint_of
from tools.starter.judge import HALVES
from tools.starter.menu import ALL, COMBINATIONS, COUNTS, one_thing, scene, two_things
from tools.starter.scenes import RED_GREEN_BLUE, Scene, Thing, compose, tinted
from tools.starter.strangers import among_strangers, strange_words
from tools.starter.vocabulary import (
    BACKGROUNDS,
    FLAT,
    GROUNDS,
    STYLES,
    SUBJECTS,
    TINTS,
    UNSEEN,
)

STAGES = some.sampled_from(sorted(COUNTS))
NUMBERS = some.integers(0, 100_000)
SEEDS = some.integers(0, 2**32)
AN_ARTICLE_TOO_MANY = re.compile(
    r"\ban? ((?!of |and |next |beside )\w+ )*(grapes|cherries|fries|cheese)\b"
)


def test_the_first_stage_shows_every_thing_in_every_style_on_all_backgrounds_but_one() -> None:
    shown = {(each.things[0].subject, each.things[0].style.name) for each in COMBINATIONS}
    assert len(shown) == len(SUBJECTS) * len(STYLES)
    assert len(COMBINATIONS) == len(shown) * (len(BACKGROUNDS) - 1)


def test_no_thing_that_is_never_shown_is_in_the_vocabulary() -> None:
    names = {name for subject in SUBJECTS for name in subject.names}
    assert not names & {name for subject in UNSEEN for name in subject.names}
    assert len({subject.pictogram for subject in (*SUBJECTS, *UNSEEN)}) == len(SUBJECTS) + 5


@settings(max_examples=60, deadline=None)
@given(stage=STAGES, number=NUMBERS, seed=SEEDS)
def test_no_stage_shows_what_is_held_out(stage: int, number: int, seed: int) -> None:
    shown = scene(stage, number, seed)
    assert shown == scene(stage, number, seed)
    for thing in shown.things:
        assert shown.ground != background_of(thing.subject)
        assert thing.tint != tint_of(thing.subject)


@settings(max_examples=60, deadline=None)
@given(stage=STAGES, number=NUMBERS, seed=SEEDS)
def test_a_caption_names_the_things_and_says_nothing_that_is_not_a_known_word(
    stage: int, number: int, seed: int
) -> None:
    shown = scene(stage, number, seed)
    said = caption(shown, default_rng(seed))
    assert set(said.replace(",", " ").split()) <= set(every_word().replace(",", " ").split())
    for thing in shown.things:
        assert any(name in said for name in thing.subject.names)
        assert thing.tint is None or thing.tint.name in said
    assert not AN_ARTICLE_TOO_MANY.search(said)
    named = [style for style in STYLES if f"{style.name} " in f"{said} ".replace(",", " ")]
    assert named in ([], [shown.things[0].style])


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS)
def test_strange_words_come_around_a_caption_and_never_into_it(seed: int) -> None:
    said = among_strangers("a cat", default_rng(seed))
    strange = said.replace("a cat", "").replace(",", " ").split()
    assert "a cat" in said or len(strange) >= 1
    assert set(strange) <= set(strange_words())
    assert "cat" not in strange_words()


def test_a_tinted_thing_keeps_its_outline_and_its_light_and_shade() -> None:
    levels = np.linspace(0, 255, 32, dtype=np.uint8)
    pixels = np.zeros((32, 32, 4), dtype=np.uint8)
    pixels[..., :3] = levels[:, None, None]
    pixels[..., 3] = levels[None, :]
    for tint in TINTS:
        painted = np.asarray(tinted(Image.fromarray(pixels, "RGBA"), tint.rgb))
        assert np.array_equal(painted[..., 3], pixels[..., 3])
        light = painted[..., :3].astype(np.float32) @ RED_GREEN_BLUE
        assert (np.diff(light[:, 0]) >= -1).all()
        middle = painted[np.abs(light[:, 0] - tint.rgb @ RED_GREEN_BLUE).argmin(), 0, :3]
        assert np.abs(middle.astype(int) - tint.rgb).max() < 16


def test_grounds_can_be_told_apart() -> None:
    painted = [paint(ground, default_rng(1)).astype(np.float32) for ground in GROUNDS]
    for place, one in enumerate(painted):
        for other in painted[place + 1 :]:
            assert np.abs(one - other).mean() > 8


def test_two_things_stand_side_by_side_inside_the_picture() -> None:
    square = Image.new("RGBA", (128, 128), (0, 255, 0, 255))
    disc = Image.new("RGBA", (128, 128), (255, 0, 255, 255))
    both = tuple(
        Thing(subject=subject, style=FLAT, place=place)
        for subject, place in zip(SUBJECTS, ("left", "right"), strict=False)
    )
    painted = compose([square, disc], Scene(both, BACKGROUNDS[8]), default_rng(2))
    assert painted.shape == (PIXELS, PIXELS, 3)
    green = painted[..., 1] > 200
    pink = (painted[..., 0] > 200) & (painted[..., 2] > 200)
    left, right = (float(np.argwhere(shown)[:, 1].mean()) for shown in (green, pink))
    assert left < 50
    assert right > 78
    assert min(green.sum(), pink.sum()) > 50 * 50


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS)
def test_the_judge_looks_at_each_of_two_things_alone(seed: int) -> None:
    colours = ((0, 255, 0, 255), (255, 0, 255, 255))
    squares = [Image.new("RGBA", (128, 128), colour) for colour in colours]
    both = (Thing(subject=SUBJECTS[0], place="left"), Thing(subject=SUBJECTS[1], place="right"))
    painted = compose(squares, Scene(both, BACKGROUNDS[8]), default_rng(seed))
    for half, own, other in zip(HALVES, colours, reversed(colours), strict=True):
        seen = painted[*half].reshape(-1, 3)
        assert seen.shape == (64 * 64, 3)
        assert (np.abs(seen - np.array(own[:3])).sum(1) < 60).mean() > 0.6
        assert (np.abs(seen - np.array(other[:3])).sum(1) < 60).mean() < 0.3


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS)
def test_the_judge_sees_held_out_combinations_too(seed: int) -> None:
    random = default_rng(seed)
    for made in (one_thing(ALL, random), two_things(ALL, random)):
        for thing in made.things:
            assert thing.tint is None or thing.tint in foreign_tints(thing.subject)


def test_the_exam_asks_500_questions_in_plain_words() -> None:
    asked = list(questions(11))
    assert len(asked) == 500
    assert asked == list(questions(11))
    for question in asked:
        held_out = question.kind.startswith("held-out")
        first = question.scene.things[0]
        kept = (background_of(first.subject), tint_of(first.subject))
        assert held_out == bool({question.scene.ground, first.tint} & set(kept))
        assert all(thing.subject.names[0] in question.prompt for thing in question.scene.things)
    assert {question.kind for question in asked} == set(KINDS)
