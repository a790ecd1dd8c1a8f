"""A1111's scripts, as its clients send them: titles, positional arguments, defaults."""

import pytest

from webui.api.script_args import SCRIPTS, described, script_request, titles
from webui.modules.errors import RangeError, UnknownNameError
from webui.services.script_requests import (
    AxisRequest,
    ListRequest,
    LoopbackRequest,
    MatrixRequest,
    PlotRequest,
)


def test_a_plot_is_read_as_a1111_writes_it() -> None:
    arguments = [4, "1-3", [], 9, "", ["Euler", "Heun, odd"], 0, "", [], True, False, True, False,
                 True, False, False, 8, False]  # fmt: skip

    plot = script_request("x/y/z plot", arguments, "txt2img")

    assert plot == PlotRequest(
        x=AxisRequest(type=4, values="1-3"),
        y=AxisRequest(type=9, values='"Euler", "Heun, odd"'),
        z=AxisRequest(type=0, values=""),
        blocks_alone=True,
        vary_seeds=("x",),
        margin=8,
    )


@pytest.mark.parametrize(
    ("title", "arguments", "expected"),
    [
        ("prompt matrix", [], MatrixRequest()),
        (
            "Prompt Matrix",
            [True, True, "negative", "space", 4],
            MatrixRequest(
                at_start=True, different_seeds=True, negative=True, comma=False, margin=4
            ),
        ),
        (
            "prompts from file or textbox",
            [True, False, "end", "a\nb"],
            ListRequest(lines="a\nb", count_seeds=True, position="end"),
        ),
        (
            "loopback",
            [3, 0.25, "lazy", "None"],
            LoopbackRequest(loops=3, final_denoising=0.25, curve="Lazy"),
        ),
        ("loopback", ["3"], LoopbackRequest(loops=3)),
    ],
)
def test_scripts_are_found_by_title_and_filled_up_with_defaults(title, arguments, expected) -> None:
    assert script_request(title, arguments, "img2img") == expected


@pytest.mark.parametrize("title", ["custom code", "", "loopback"])
def test_a_script_that_is_not_offered_here_is_named(title: str) -> None:
    with pytest.raises(UnknownNameError):
        script_request(title, [], "txt2img")


@pytest.mark.parametrize(
    "arguments", [["many"], [3, 0.5, "Wild", "None"], [3, 0.5, "Linear", "None", 1], [[]]]
)
def test_an_argument_of_another_type_is_named(arguments) -> None:
    with pytest.raises(RangeError):
        script_request("Loopback", arguments, "img2img")


def test_what_is_listed_can_be_asked_for() -> None:
    for script in described():
        way = "img2img" if script["is_img2img"] else "txt2img"
        assert script["name"] in titles(way)
        script_request(script["name"], [argument["value"] for argument in script["args"]], way)
    assert len(described()) == sum(len(script.ways) for script in SCRIPTS)
