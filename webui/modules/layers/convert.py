"""One model file in another container: the same tensors, to the last bit."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from webui.modules.types import ConvertPlan, Tell
from webui.modules.weights.header import TensorFacts, read_header
from webui.modules.weights.read import DTYPES, open_tensors
from webui.modules.weights.write import Slot, stream_safetensors


def convert(plan: ConvertPlan, tell: Tell) -> dict[str, object]:
    """Write the file anew; the old one stays.

    Returns:
        ``kind`` and ``name`` of the new file.

    Raises:
        ModelFileError: If it is missing, cut off or damaged.
        UnsafeModelError: If it is a pickle that asks for more than tensors.
        StorageError: If the new file cannot be written.
    """
    header = read_header(plan.source.path)
    slots = {name: slot_of(facts) for name, facts in header.tensors.items()}
    with open_tensors(plan.source.path) as file:
        texts = {**header.metadata, **as_texts(header.values)}
        given = iter(range(1, len(slots) + 1))

        def read(name: str) -> Any:
            tell(next(given), len(slots), name)
            return file.read(name)

        stream_safetensors(plan.target, slots, read, texts)
    return {"kind": str(plan.source.kind), "name": plan.target.name}


def slot_of(facts: TensorFacts) -> Slot:
    """Return the place that a tensor needs as it is."""
    return Slot(DTYPES[facts.dtype], tuple(facts.shape))


def as_texts(values: Mapping[str, Any]) -> dict[str, str]:
    """Return what a pickle holds besides tensors as texts; others than texts as JSON."""
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in values.items()
        if value is None or isinstance(value, str | int | float | bool | list | tuple)
    }


def free_name(path: Path) -> Path:
    """Return the path, or one with a number behind its name if there is a file already."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return free
