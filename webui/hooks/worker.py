"""What the worker part of an extension is given and returns; beside ``spec.py``, with torch."""

from webui.hooks.spec import ExtensionUse, ModelKind, SettingValue
from webui.modules.conditioning import Reworked, TextChunk, TextCopy

__all__ = ["ExtensionUse", "ModelKind", "Reworked", "SettingValue", "TextChunk", "TextCopy"]
