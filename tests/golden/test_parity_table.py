"""The table of features in the documents names every group of golden cases."""

import json
from pathlib import Path

HERE = Path(__file__).parent
TABLE = HERE.parents[1] / "docs" / "a1111-parity.md"


def test_the_table_names_every_group() -> None:
    rows = {
        line.split("|")[1].strip() for line in TABLE.read_text("utf-8").splitlines() if "|" in line
    }
    cases = [
        case
        for path in HERE.glob("*.json")
        for case in json.loads(path.read_text(encoding="utf-8")).get("cases", [])
    ]

    assert {case["group"] for case in cases} - rows == set()
