"""Scripts: which pictures a plot, a matrix, a list or a loop asks for, and where they stand."""

from dataclasses import replace
from pathlib import Path
from random import Random, SystemRandom

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.plans import plan_of
from webui.jobs.plans import BLANK, Sheet
from webui.modules.errors import LimitError, RangeError, UnknownNameError
from webui.modules.types import GenerationPlan, InputPicture
from webui.services.axes import AXES, axes, find_axis
from webui.services.axis_values import numbers, texts, whole_numbers
from webui.services.requests import GenerationRequest, StartRequest
from webui.services.script_requests import (
    AxisRequest,
    ListRequest,
    LoopbackRequest,
    MatrixRequest,
    PlotRequest,
    ScriptRequest,
)
from webui.services.scripts import sheet

PICTURE = InputPicture(path=Path("x.png"), sha256="0" * 64, width=64, height=64)


def settled(request: GenerationRequest, _random: Random) -> GenerationPlan:
    """Settle what these tests look at."""
    count = request.batch_size * request.batch_count
    plan = plan_of(
        prompts=(request.prompt,) * count,
        negative_prompts=(request.negative_prompt,) * count,
        seeds=tuple(request.seed + place for place in range(count)),
        variation_seeds=(0,) * count,
        width=request.width,
        height=request.height,
        batch_size=request.batch_size,
    )
    return replace(
        plan, sampling=replace(plan.sampling, steps=request.steps, guidance=request.guidance)
    )


def drawn(script: ScriptRequest, **wish: object) -> Sheet:
    request = GenerationRequest(**{"prompt": "a cat", "seed": 5, **wish})  # pyright: ignore[reportArgumentType] - fields by name
    return sheet(request, script, settle=settled, random=SystemRandom())


# ------------------------------------------------------------------------------ values


@pytest.mark.parametrize(
    ("written", "values"),
    [
        ("1, 2,5", [1, 2, 5]),
        ("1-5", [1, 2, 3, 4, 5]),
        ("1-9 (+2)", [1, 3, 5, 7, 9]),
        ("10-4 (-3)", [10, 7, 4]),
        ("1-10 [4]", [1, 4, 7, 10]),
        ("3", [3]),
        ("-2", [-2]),
        ("-3--1", [-3, -2, -1]),
        ("1-3, 7", [1, 2, 3, 7]),
    ],
)
def test_whole_numbers_may_be_ranges(written: str, values: list[int]) -> None:
    assert whole_numbers(written) == values


@pytest.mark.parametrize(
    ("written", "values"),
    [
        ("0.5, 1", [0.5, 1.0]),
        ("0-1 (+0.25)", [0, 0.25, 0.5, 0.75, 1.0]),
        ("0-1 [3]", [0.0, 0.5, 1.0]),
        ("0-0.3 (+0.1)", [0, 0.1, 0.2, 0.3]),
    ],
)
def test_numbers_may_be_ranges(written: str, values: list[float]) -> None:
    assert numbers(written) == pytest.approx(values)


def test_quotes_keep_commas_together() -> None:
    assert texts('"a, b", c , "say ""hi"""') == ["a, b", "c", 'say "hi"']


@pytest.mark.parametrize(
    "written", ["many", "1-9 (-2)", "1-9 (+0)", "1-2 [0]", "0-1e9", "1-99999999"]
)
def test_what_is_no_number_is_named(written: str) -> None:
    with pytest.raises(RangeError):
        whole_numbers(written)


@given(start=st.integers(-50, 50), length=st.integers(0, 60), step=st.integers(1, 9))
def test_a_range_holds_what_python_would_count(start: int, length: int, step: int) -> None:
    end = start + length

    assert whole_numbers(f"{start}-{end} (+{step})") == list(range(start, end + 1, step))


# -------------------------------------------------------------------------------- axes


def test_axes_stand_at_the_places_that_a1111s_programs_name_them_by() -> None:
    assert [axis.label for axis in axes("txt2img")][:8] == [
        "Nothing", "Seed", "Var. seed", "Var. strength", "Steps", "Hires steps", "CFG Scale",
        "Prompt S/R",
    ]  # fmt: skip
    assert find_axis(4, "txt2img").label == find_axis("steps", "img2img").label == "Steps"
    assert find_axis(5, "img2img").label == "CFG Scale"
    assert len({axis.label for axis in AXES}) == len(AXES)


def test_an_unknown_axis_is_named() -> None:
    with pytest.raises(UnknownNameError, match="Colour"):
        find_axis("Colour", "txt2img")


# -------------------------------------------------------------------------------- plot


def test_a_plot_has_a_picture_for_each_combination_in_its_place() -> None:
    plot = PlotRequest(
        x=AxisRequest(type="Steps", values="1-3"),
        y=AxisRequest(type="CFG Scale", values="5, 7"),
    )

    made = drawn(plot)

    grid = made.grid
    assert grid is not None
    assert grid.columns == ("Steps: 1", "Steps: 2", "Steps: 3")
    assert grid.rows == ("CFG Scale: 5", "CFG Scale: 7")
    shown = [made.plans[number] for number in grid.places]
    assert [plan.sampling.steps for plan in shown] == [1, 2, 3, 1, 2, 3]
    assert [plan.sampling.guidance for plan in shown] == [5, 5, 5, 7, 7, 7]
    assert dict(grid.told)["X Values"] == "1-3"


def test_what_is_costly_to_change_changes_least_often() -> None:
    plot = PlotRequest(
        x=AxisRequest(type="Checkpoint name", values="a, b"),
        y=AxisRequest(type="Steps", values="1, 2"),
    )
    asked: list[str | None] = []

    def noted(request: GenerationRequest, random: Random) -> GenerationPlan:
        asked.append(request.checkpoint)
        return settled(replace(request, checkpoint=None), random)

    made = sheet(GenerationRequest(prompt="a", seed=1), plot, settle=noted, random=SystemRandom())

    assert asked == ["a", "a", "b", "b"]
    assert made.grid is not None
    assert [made.plans[number].sampling.steps for number in made.grid.places] == [1, 1, 2, 2]


def test_words_are_searched_and_replaced() -> None:
    made = drawn(PlotRequest(x=AxisRequest(type="Prompt S/R", values="cat, dog, red hen")))

    assert [plan.prompts[0] for plan in made.plans] == ["a cat", "a dog", "a red hen"]


def test_words_that_are_not_there_are_named() -> None:
    with pytest.raises(RangeError, match="horse"):
        drawn(PlotRequest(x=AxisRequest(type="Prompt S/R", values="horse, dog")))


def test_words_change_their_order_wherever_they_stand() -> None:
    plot = PlotRequest(x=AxisRequest(type="Prompt order", values="red, big"))

    made = drawn(plot, prompt="a red and big cat")

    assert [plan.prompts[0] for plan in made.plans] == ["a red and big cat", "a big and red cat"]


def test_an_open_seed_is_drawn_once_for_all_pictures() -> None:
    plot = PlotRequest(x=AxisRequest(type="Steps", values="1-3"))

    seeds = {plan.seeds for plan in drawn(plot, seed=-1).plans}

    assert len(seeds) == 1
    assert seeds != {(-1,)}


def test_seeds_count_up_along_an_axis_if_asked() -> None:
    plot = PlotRequest(x=AxisRequest(type="Steps", values="1-3"), vary_seeds=("x",))

    assert [plan.seeds[0] for plan in drawn(plot).plans] == [5, 6, 7]


def test_a_plot_of_thousands_is_refused() -> None:
    plot = PlotRequest(
        x=AxisRequest(type="Seed", values="1-100"), y=AxisRequest(type="Steps", values="1-20")
    )
    with pytest.raises(LimitError, match="100 x 20"):
        drawn(plot)


def test_an_axis_without_values_is_named() -> None:
    with pytest.raises(RangeError, match="Steps"):
        drawn(PlotRequest(x=AxisRequest(type="Steps", values=" ")))


def test_hires_settings_cannot_vary_while_it_is_off() -> None:
    with pytest.raises(RangeError, match="hires fix is off"):
        drawn(PlotRequest(x=AxisRequest(type="Hires steps", values="1, 2")))


def test_several_pictures_in_a_cell_show_the_first() -> None:
    made = drawn(PlotRequest(x=AxisRequest(type="Steps", values="1, 2")), batch_count=3)

    assert made.grid is not None
    assert made.grid.places == (0, 3)
    assert BLANK not in made.grid.places


# ------------------------------------------------------------------------------ matrix


def test_a_matrix_has_every_combination() -> None:
    made = drawn(MatrixRequest(), prompt="a cat|red|at night")

    assert [plan.prompts[0] for plan in made.plans] == [
        "a cat",
        "a cat, red",
        "a cat, at night",
        "a cat, red, at night",
    ]
    assert made.grid is not None
    assert made.grid.columns == ("", "red")
    assert made.grid.rows == ("", "at night")


@given(parts=st.lists(st.text("abc", min_size=1, max_size=3), max_size=6), negative=st.booleans())
def test_each_part_is_in_half_of_the_pictures(parts: list[str], negative) -> None:
    text = "|".join(["x", *parts])
    wish = {"negative_prompt": text} if negative else {"prompt": text}

    made = drawn(MatrixRequest(negative=negative), **wish)

    assert len(made.plans) == 2 ** len(parts)
    grid = made.grid
    assert grid is not None
    assert len(grid.columns) * len(grid.rows) == len(made.plans)
    for bit, part in enumerate(parts):
        with_it = [number for number in range(len(made.plans)) if number & 2**bit]
        for number in with_it:
            plan = made.plans[number]
            assert part in (plan.negative_prompts if negative else plan.prompts)[0]


# -------------------------------------------------------------------------------- list


def test_each_line_is_a_wish() -> None:
    lines = 'a dog\n\n--prompt "a hen" --steps 3 --cfg_scale 2\n--prompt a fox --seed 9'

    made = drawn(ListRequest(lines=lines, count_seeds=True), prompt="")

    assert [plan.prompts[0] for plan in made.plans] == ["a dog", "a hen", "a fox"]
    assert [plan.sampling.steps for plan in made.plans] == [20, 3, 20]
    assert [plan.seeds[0] for plan in made.plans] == [5, 6, 9]
    assert made.grid is None


@pytest.mark.parametrize(
    ("position", "prompt"), [("start", "a dog best quality"), ("end", "best quality a dog")]
)
def test_a_line_joins_the_prompt_of_the_form(position, prompt: str) -> None:
    made = drawn(ListRequest(lines="a dog", position=position), prompt="best quality")

    assert made.plans[0].prompts == (prompt,)


@pytest.mark.parametrize("line", ['--prompt "a', "--colour red", "--steps many", "a --steps"])
def test_a_line_that_cannot_be_read_is_named(line: str) -> None:
    with pytest.raises(RangeError):
        drawn(ListRequest(lines=line))


def test_an_empty_list_is_refused() -> None:
    with pytest.raises(LimitError):
        drawn(ListRequest(lines="\n \n"))


# ---------------------------------------------------------------------------- loopback


@pytest.mark.parametrize("curve", ["Aggressive", "Linear", "Lazy"])
def test_a_loop_goes_from_the_first_strength_to_the_last(curve) -> None:
    strengths: list[float] = []

    def noted(request: GenerationRequest, random: Random) -> GenerationPlan:
        assert request.start is not None
        strengths.append(request.start.denoising)
        return settled(request, random)

    wish = GenerationRequest(seed=5, start=StartRequest(pictures=(PICTURE,), denoising=0.8))
    script = LoopbackRequest(loops=5, final_denoising=0.2, curve=curve)
    made = sheet(wish, script, settle=noted, random=SystemRandom())

    assert made.chained
    assert strengths == sorted(strengths, reverse=True)
    assert strengths[0] == pytest.approx(0.8)
    assert strengths[-1] == pytest.approx(0.2)
    assert [plan.seeds[0] for plan in made.plans] == [5, 6, 7, 8, 9]


def test_a_loop_needs_a_picture() -> None:
    with pytest.raises(RangeError, match="starts from a picture"):
        drawn(LoopbackRequest())
