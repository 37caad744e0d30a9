"""The models. One file is one model; an underscore marks machinery."""

import importlib
import pkgutil

from zoo._decoding import Decoding
from zoo._pretrained import load_pretrained
from zoo._registry import create_model
from zoo._registry import get_preset
from zoo._registry import list_presets
from zoo._registry import Preset
from zoo._registry import register

__all__ = [
    "Decoding",
    "Preset",
    "create_model",
    "get_preset",
    "list_presets",
    "load_pretrained",
    "register",
]

for _module in pkgutil.iter_modules(__path__):
    if not _module.name.startswith("_"):
        importlib.import_module(f"zoo.{_module.name}")
