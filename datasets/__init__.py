"""Data sources. One file is one source; each yields raw examples as tf.data.

A new source is a new file in this folder, whose loader carries
`@register("its_name")`. Files that begin with an underscore are machinery.
"""

import importlib
import pkgutil

from datasets._errors import DataError
from datasets._registry import list_datasets
from datasets._registry import load
from datasets._registry import LoadedDataset
from datasets._registry import loader
from datasets._registry import register
from datasets._registry import summary

__all__ = [
    "DataError",
    "LoadedDataset",
    "list_datasets",
    "load",
    "loader",
    "register",
    "summary",
]

# Importing a source registers it.
for _module in pkgutil.iter_modules(__path__):
    if not _module.name.startswith("_"):
        importlib.import_module(f"{__name__}.{_module.name}")
