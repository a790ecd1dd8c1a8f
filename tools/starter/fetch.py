"""Downloads the pictogram packages with npm and unpacks what the other stages read."""

import argparse
import logging
import subprocess
import tarfile
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

PACKAGES: Final = {
    "emoji-datasource": "emoji-datasource@16.0.0",
    "emoji-datasource-google": "emoji-datasource-google@16.0.0",
    "emoji-datasource-twitter": "emoji-datasource-twitter@16.0.0",
    "fluent-emoji-3d": "@lobehub/fluent-emoji-3d@1.1.0",
}
"""Folder name to npm package: names (MIT), Noto (Apache-2.0), Twemoji (CC-BY-4.0), Fluent (MIT)."""

UNNEEDED: Final = ("/sheets", "/categories")


def fetch(work: Path) -> None:
    """Fill ``work/packages``; a package already there is left alone."""
    for folder, package in PACKAGES.items():
        target = work / "packages" / folder
        if target.exists():
            continue
        log.info("fetching %s", package)
        work.mkdir(parents=True, exist_ok=True)
        packed = subprocess.run(
            ["npm", "pack", "--silent", package],
            cwd=work,
            check=True,
            capture_output=True,
            text=True,
        )
        unpack(work / packed.stdout.split()[-1], target)


def unpack(archive: Path, target: Path) -> None:
    """Unpack an npm archive without its outermost folder, whole or not at all."""
    partial = target.with_name(target.name + ".partial")
    with tarfile.open(archive) as tar:
        wanted = [
            member
            for member in tar.getmembers()
            if not any(part in member.name for part in UNNEEDED)
        ]
        tar.extractall(partial, members=wanted, filter="data")
    (partial / "package").rename(target)
    partial.rmdir()


def main() -> None:
    """Run ``python -m tools.starter.fetch --work DIR``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    fetch(parser.parse_args().work)


if __name__ == "__main__":
    main()
