"""``python -m tools.effects [NAME ...] --work DIR``: what each training does, as a table."""

import argparse
import json
import logging
from pathlib import Path

from tools.effects.experiment import carry_out
from tools.effects.studies import STUDIES

log = logging.getLogger(__name__)


def main() -> None:
    """Carry out the studies that were named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(STUDIES), metavar="NAME")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--page", action="store_true", help="train in a browser")
    asked = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    log.setLevel(logging.INFO)
    for name in asked.names:
        result = carry_out(STUDIES[name], asked.work.resolve() / name, on_page=asked.page)
        log.info("%s: %s", name, json.dumps(result.figures))


if __name__ == "__main__":
    main()
