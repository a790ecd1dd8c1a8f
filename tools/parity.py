"""Draw every golden case again and write how far each feature is from A1111's pictures.

    python tools/parity.py            draw all cases and write docs/a1111-parity.md
    python tools/parity.py --only X   print the figures of one group without writing

A case is a request to one of A1111's routes, the settings texts that came back, and the pictures
in ``tests/golden/pictures``. A request names a file of ``tests/golden/inputs`` as ``@name``.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from random import SystemRandom
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from PIL import Image

ROOT: Final = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.tiny import add_to, furnish  # noqa: E402 - the root must be on the path first
from webui.api.a1111 import picture_request_of, request_of  # noqa: E402 - likewise
from webui.api.schemas import Img2ImgBody, Txt2ImgBody  # noqa: E402 - likewise
from webui.app import Inventory, inventory  # noqa: E402 - likewise
from webui.jobs.worker import build_engine  # noqa: E402 - likewise
from webui.library import infotext  # noqa: E402 - likewise
from webui.modules.errors import WebuiError  # noqa: E402 - likewise
from webui.services.resolve import resolve  # noqa: E402 - likewise
from webui.settings import DeviceSettings, load  # noqa: E402 - likewise

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from webui.modules.pipeline.engine import Engine
    from webui.modules.types import Picture

GOLDEN: Final = ROOT / "tests" / "golden"
TABLE: Final = ROOT / "docs" / "a1111-parity.md"
TOLERANCE: Final = 1

NOTES: Final[Mapping[str, str]] = {
    "hires": "hires-resize: enlarged as pixels, the small picture is cut off to 8 bits half-"
    "way, so three values are two apart.",
    "img2img": "img2img-colorcorr: one level of its histogram lies on exactly 197.0, where "
    "rounding decides for all its pixels.",
    "inpaint": "inpaint-no-overlay: A1111 encoded with what the job before left in its "
    "generator; with that seed it is 1.",
    "samplers": "DPM adaptive chooses its steps by the last bits, so rounding alone moves it; "
    "its rule is held against an exact solution instead.",
}
"""What a reader of the table should know about a group."""

HEAD: Final = """# How near the pictures are to A1111's

Each case is a request that A1111 1.10.1 answered on a CPU in 32 bits with the tiny checkpoint of
the tests. The same request is drawn here in exact precision, and every value of every pixel is
compared. "Texts" counts the settings texts that are A1111's letter for letter but for the version;
the others say more, see [Differences](a1111-differences.md). `make parity` writes this page; the
tests in `tests/golden` hold the bounds.

| feature | pictures | within 1 of 255 | largest difference | texts | note |
|---|--:|--:|--:|--:|---|
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """What one picture came to; ``furthest`` is None if it could not be drawn."""

    case: str
    furthest: int | None
    same_text: bool
    problem: str = ""


def main() -> int:
    """Draw and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="one group, printed")
    only = parser.parse_args().only
    found: dict[str, list[Figure]] = defaultdict(list)
    with TemporaryDirectory(prefix="atelier-parity-") as folder:
        stock = inventory(load({}, environment={}, home=add_to(furnish(Path(folder)))))
        engine, _ = build_engine(DeviceSettings(device="cpu", precision="exact", threads=1))
        for case in golden_cases():
            if only in (None, case["group"]):
                found[case["group"]] += figures(case, stock, engine)
    rows = "".join(row(group, found[group]) for group in sorted(found))
    sys.stdout.write(rows)
    for figure in (figure for group in found.values() for figure in group):
        if figure.furthest is None or figure.furthest > TOLERANCE:
            sys.stdout.write(f"{figure.case}: {figure.furthest} {figure.problem}\n")
    if only is None:
        TABLE.write_text(HEAD + rows, encoding="utf-8")
    return 0


def golden_cases() -> Iterator[dict[str, Any]]:
    """Yield every case of every file of golden cases."""
    for path in sorted(GOLDEN.glob("*.json")):
        yield from json.loads(path.read_text(encoding="utf-8")).get("cases", [])


def figures(case: Mapping[str, Any], stock: Inventory, engine: Engine) -> Iterator[Figure]:
    """Yield how far the pictures of a case are from A1111's."""
    try:
        plan = resolve(
            asked(case, stock),
            options=stock.options.current(),
            house=stock.house,
            random=SystemRandom(),
        )
        drawn = list(engine.draw(plan, lambda _: None))
    except WebuiError as problem:
        yield Figure(case=case["id"], furthest=None, same_text=False, problem=str(problem))
        return
    for picture in drawn:
        expected = Image.open(GOLDEN / "pictures" / f"{case['id']}-{picture.index}.png")
        text = infotext.write(plan, picture.index, version="1.10.1")
        yield Figure(
            case=case["id"],
            furthest=furthest(picture, expected),
            same_text=text == case["infotexts"][picture.index],
        )


def asked(case: Mapping[str, Any], stock: Inventory) -> Any:
    """Return the request of a case, its files filled in."""
    told = filled(case["request"])
    if case.get("endpoint", "").endswith("img2img"):
        return picture_request_of(Img2ImgBody(**told), stock.inputs)
    return request_of(Txt2ImgBody(**told))


def filled(value: Any) -> Any:
    """Put the content of files where a request names them."""
    if isinstance(value, dict):
        return {key: filled(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner) for inner in value]
    if isinstance(value, str) and value.startswith("@"):
        return base64.b64encode((GOLDEN / "inputs" / Path(value[1:]).name).read_bytes()).decode()
    return value


def furthest(picture: Picture, expected: Image.Image) -> int:
    """Return the largest difference of any value of any pixel; 255 for another size."""
    theirs = np.asarray(expected.convert("RGB")).astype(int)
    if theirs.shape[:2] != (picture.height, picture.width):
        return 255
    ours = np.frombuffer(picture.rgb, np.uint8).reshape(theirs.shape)
    return int(np.abs(ours - theirs).max())


def row(group: str, found: Iterable[Figure]) -> str:
    """Return one line of the table."""
    told = list(found)
    drawn = [figure.furthest for figure in told if figure.furthest is not None]
    within = sum(value <= TOLERANCE for value in drawn)
    failed = [f"not drawn: {figure.case}" for figure in told if figure.furthest is None]
    note = "; ".join([NOTES.get(group, ""), *failed]).strip("; ")
    same = sum(figure.same_text for figure in told)
    largest = max(drawn, default="-")
    return f"| {group} | {len(told)} | {within} | {largest} | {same} | {note} |\n"


if __name__ == "__main__":
    raise SystemExit(main())
