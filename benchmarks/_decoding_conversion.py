"""From a Marian model of transformers to CTranslate2."""

import tempfile

from ctranslate2.converters import TransformersConverter


def convert(model, names, folder):
    """Write a model in CTranslate2's form.

    Args:
        model: A `MarianMTModel`.
        names: The tokens of its vocabulary, in their order.
        folder: Where to.
    """
    with tempfile.TemporaryDirectory() as saved:
        model.save_pretrained(saved)
        converter = _Converter(saved)
        converter.names = names
        converter.convert(folder, force=True)


class _Converter(TransformersConverter):
    """CTranslate2's own, for a model that has no tokenizer."""

    def load_tokenizer(self, tokenizer_class, model_name_or_path, **kwargs):
        return _Vocabulary(self.names)


class _Vocabulary:
    """What the converter asks of a tokenizer of Marian's."""

    def __init__(self, names):
        self.names = names
        self.eos_token, self.unk_token = names[:2]

    def get_vocab(self):
        return {name: number for number, name in enumerate(self.names)}
