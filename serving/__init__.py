"""What leaves the house: exported models, and how programs use them."""

from serving import _as_command  # noqa: F401
from serving.connect import connect
from serving.endpoint import ServerError
from serving.export import export_pretrained
from serving.export import export_run
from serving.export import exported_version
from serving.image_classifier import ImageClassification
from serving.image_classifier import ImageClassifier
from serving.load import load
from serving.text_classifier import TextClassification
from serving.text_classifier import TextClassifier
from serving.text_classifier import TextEncoder
from serving.translator import Translation
from serving.translator import Translator

__all__ = [
    "ImageClassification",
    "ImageClassifier",
    "ServerError",
    "TextClassification",
    "TextClassifier",
    "TextEncoder",
    "Translation",
    "Translator",
    "connect",
    "export_pretrained",
    "export_run",
    "exported_version",
    "load",
]
