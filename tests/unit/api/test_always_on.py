"""Always-on scripts: an extension under A1111's title, its arguments in A1111's order."""

import pytest

from webui.api.always_on import described, extensions_asked, titles
from webui.modules.errors import RangeError, UnsupportedError

ARGUMENTS = [0.0002, 0.8, 7, "mood", True, "a dog", 0.3, True]
MEANT = {
    "learning_rate": 0.0002,
    "weight": 0.8,
    "steps": 7,
    "embedding": "mood",
    "slerp": True,
    "text": "a dog",
    "slerp_angle": 0.3,
    "text_negative": True,
}


@pytest.mark.parametrize("title", ["Aesthetic embeddings", "aesthetic embeddings "])
@pytest.mark.parametrize("rate", [0.0002, "0.0002"])
def test_arguments_come_in_the_order_of_a1111s_extension(title: str, rate: object) -> None:
    asked = {title: {"args": [rate, *ARGUMENTS[1:]]}}

    assert extensions_asked(asked) == {"aesthetic_gradients": MEANT}


@pytest.mark.parametrize("arguments", [[], [0.0001, 0.9, 5, "None"], [0.0001, 0.9, 5, ""]])
def test_without_a_file_nothing_is_asked(arguments: list[object]) -> None:
    assert extensions_asked({"Aesthetic embeddings": {"args": arguments}}) == {}


@pytest.mark.parametrize(
    "given", [{"args": [*ARGUMENTS, 1]}, {"args": ["fast"]}, {"args": "all"}, {"args": [[]]}]
)
def test_an_argument_that_does_not_fit_is_named(given: dict[str, object]) -> None:
    with pytest.raises(RangeError):
        extensions_asked({"Aesthetic embeddings": given})


def test_a_script_that_is_not_here_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedError, match="ControlNet") as told:
        extensions_asked({"ControlNet": {"args": []}})

    assert "Aesthetic embeddings" in told.value.hint


def test_what_is_listed_can_be_asked_for() -> None:
    assert titles() == ["aesthetic embeddings"]
    for script in described():
        assert script["is_alwayson"]
        arguments = [argument["value"] for argument in script["args"]]
        arguments[3] = "mood"
        assert extensions_asked({script["name"]: {"args": arguments}})
