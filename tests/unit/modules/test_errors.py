"""The tree of errors is as its file draws it, and every error explains itself."""

from __future__ import annotations

import re

import pytest

from webui.modules import errors
from webui.modules.errors import WebuiError


def family(error: type[WebuiError]) -> list[type[WebuiError]]:
    return [error, *(found for child in error.__subclasses__() for found in family(child))]


TREE = family(WebuiError)


def test_the_tree_is_drawn_in_order_and_whole() -> None:
    drawn = re.findall(r"(\w+Error)\s", (errors.__doc__ or "").split("::")[1])

    assert sorted(drawn) == sorted({error.__name__ for error in TREE})


def test_each_code_belongs_to_one_error() -> None:
    codes = [error.code for error in TREE]

    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize("error", TREE[1:], ids=lambda error: error.__name__)
def test_a_code_begins_with_the_name_of_its_branch(error: type[WebuiError]) -> None:
    branch = next(parent for parent in error.__mro__ if WebuiError in parent.__bases__)

    assert error.code.split(".")[0] == branch.code


def test_an_error_carries_its_value_and_the_way_out() -> None:
    error = errors.SizeError("width is 7 pixels", hint="Use 8.", value=7)

    assert (str(error), error.hint, error.value) == ("width is 7 pixels", "Use 8.", "7")
