"""Preprocessors out of folders of Hugging Face."""

import pathlib

from preprocessing.pretrained_images import image_preprocessor
from preprocessing.pretrained_tokenizer import tokenizer_and_length
from preprocessing.settings_file import SettingsFile
from preprocessing.text_classification import TextClassificationPreprocessor

_CLASSIFIERS = (
    ["BertForSequenceClassification"],
    ["ViTForImageClassification"],
)


def load_pretrained_preprocessor(
    directory, class_names=None, max_sequence_length=None
):
    """What brings texts or pictures into the form that a model was fitted to.

    The counterpart of `zoo.load_pretrained`: for BERT (`"model_type":
    "bert"`) the WordPiece tokenizer of `vocab.txt` or `tokenizer.json`, for
    ViT (`"vit"`) the size, range and interpolation in
    `preprocessor_config.json`. What has no counterpart here is refused.

    Args:
        directory: The folder, with `config.json`.
        class_names: Names of the classes, in the order of the labels; None
            for those in the folder (`id2label`). If it has none, or they are
            not those of a classifier (`architectures`), neither has
            the preprocessor, which then serves for sentence embeddings and
            features. A name that the folder gives to several classes is
            followed by their numbers: "crane (134)", "crane (517)".
        max_sequence_length: Most tokens of a text; None for the number that
            the folder states.

    Returns:
        A `TextClassificationPreprocessor` or an `ImagePreprocessor`.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: A file is damaged, or a setting has no counterpart here;
            file and setting are named.

    Example:

    >>> preprocessor = load_pretrained_preprocessor("all-MiniLM-L6-v2")
    >>> tokens = preprocessor.encode(tf.constant(["A dog runs."])).to_tensor()
    >>> model = zoo.load_pretrained("all-MiniLM-L6-v2")
    >>> vectors = model.sentence_embeddings({"tokens": tokens})
    """
    folder = pathlib.Path(directory)
    config = SettingsFile(folder / "config.json")
    if not config.exists:
        raise FileNotFoundError(
            "A folder with config.json is needed. "
            f"Received: directory={directory}"
        )
    family = config.expect("model_type", known=("bert", "vit"))
    if class_names is None:
        class_names = _labels(config)
    if family == "bert":
        tokenizer, length = tokenizer_and_length(
            folder, config, max_sequence_length
        )
        return TextClassificationPreprocessor(tokenizer, class_names, length)
    if max_sequence_length is not None:
        raise ValueError(
            "Pictures have no length. "
            f"Received: max_sequence_length={max_sequence_length}"
        )
    return image_preprocessor(folder, config, class_names)


def _labels(config):
    """The names of the classes in `id2label`, all different, or None."""
    labels = config.get("id2label")
    model = config.get("architectures")
    # Of other heads they are kinds of tokens, or nothing but a default.
    if labels is None or model not in (None, *_CLASSIFIERS):
        return None
    try:
        names = [labels[str(label)] for label in range(len(labels))]
    except (KeyError, TypeError) as error:
        raise config.refusal(
            "must name the classes 0, 1, 2, ...", "id2label"
        ) from error
    if len(names) < 2:
        raise config.refusal(
            "names fewer than two classes; give `class_names`", "id2label"
        )
    return [
        name if names.count(name) == 1 else f"{name} ({label})"
        for label, name in enumerate(names)
    ]
