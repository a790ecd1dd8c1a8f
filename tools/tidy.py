"""Say what does not belong in a commit: weights, large files, a missing end of line.

python tools/tidy.py [FILE ...]     all files that git knows, if none is named
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).resolve().parent.parent
LARGEST: Final = 2 << 20
"""Bytes. The largest text that ships, the vocabulary of CLIP, has about half of that."""
WEIGHTS: Final = frozenset({".safetensors", ".ckpt", ".pt", ".pth", ".bin"})
SHIPPED: Final = (
    "embeddings/starter/",
    "models/Lora/starter/",
    "models/Stable-diffusion/starter",
    "models/VAE/starter/",
    "models/hypernetworks/starter/",
    "tests/golden/models/tiny-sd1",
    "tests/golden/add_ons/",
    "tests/judge.safetensors",
)
"""What comes with a clone, what marks its pictures, and tiny models for tests."""
SMALL_WEIGHTS: Final = "tests/"
"""Tests keep tiny models of every format, as large as a small picture."""
LARGEST_IN_TESTS: Final = 512 << 10


def faults(path: Path) -> Iterator[str]:
    """Yield what is wrong with one file, named relative to the root of the repository."""
    name, size = path.as_posix(), (ROOT / path).stat().st_size
    if name.startswith(SHIPPED):
        return
    in_tests = name.startswith(SMALL_WEIGHTS)
    if path.suffix in WEIGHTS and not (in_tests and size <= LARGEST_IN_TESTS):
        yield f"{name}: weights do not belong in git"
    elif size > LARGEST:
        yield f"{name}: {size / (1 << 20):.1f} MiB are too much for git"
    content = (ROOT / path).read_bytes()
    copied = path.suffix == ".json" or in_tests  # byte for byte from somewhere else
    if content and not copied and b"\0" not in content and not content.endswith(b"\n"):
        yield f"{name}: the last line does not end"


def known_files() -> list[Path]:
    """Return the files that git knows or would add, without those that are deleted."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.check_output(command, cwd=ROOT, text=True).split("\0")
    return [Path(name) for name in listed if name and (ROOT / name).is_file()]


def main() -> int:
    """Print every fault; return 1 if there is one."""
    named = [Path(name) for name in sys.argv[1:]]
    found = [fault for path in named or known_files() for fault in faults(path)]
    for fault in found:
        print(fault)
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
