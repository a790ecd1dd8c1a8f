"""Captions from the prompts that drawn pictures carry: no weights, nothing to guess.

Most programs that draw write the prompt into the file. Whoever trains on such pictures need not
describe them again. ``worker.py`` reads the prompt out of the settings text.
"""

from typing import Final

from webui.hooks.spec import Said

API: Final = 1
WORKER: Final = f"{__name__}.worker"


def captions() -> Said:
    """Say where the captions come from."""
    return {"en": "Prompts inside the pictures", "zh": "图片内保存的提示词"}
