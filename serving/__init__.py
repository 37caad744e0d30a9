"""What leaves the house: exported models, and how programs use them."""

from serving.export import export_run
from serving.load import load
from serving.load import Translation
from serving.load import Translator

__all__ = ["Translation", "Translator", "export_run", "load"]
