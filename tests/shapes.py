"""Check the axes of tensors at run time, in tests only, where a signature states them.

Only annotations made of jaxtyping arrays are checked. Everything else is pyright's business, and
checking it here would ask every Protocol of the engine to be slow at run time for our sake.
"""

from __future__ import annotations

import types
import typing
from typing import TYPE_CHECKING, Any, TypeVar

from beartype import beartype
from jaxtyping import AbstractArray

if TYPE_CHECKING:
    from collections.abc import Callable

Checked = TypeVar("Checked", bound="Callable[..., Any]")

CONTAINERS = (typing.Union, types.UnionType, tuple, list)


def check_shapes(function: Checked) -> Checked:
    """Return the function, checking the tensors that go in and come out of it."""
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except NameError:  # a name that only the type checker imports
        return function
    tensors = {name: hint for name, hint in hints.items() if is_tensor(hint)}
    if not tensors:
        return function
    function.__annotations__ = tensors
    return beartype(function)


def is_tensor(hint: object) -> bool:
    """Tell whether an annotation is a tensor with named axes, or made of nothing but these."""
    if isinstance(hint, type) and issubclass(hint, AbstractArray):
        return True
    if typing.get_origin(hint) not in CONTAINERS:
        return False
    leaves = [leaf for leaf in typing.get_args(hint) if leaf is not ... and leaf is not type(None)]
    return bool(leaves) and all(map(is_tensor, leaves))
