"""The same model in CTranslate2, which can only translate."""

import ctranslate2
import numpy as np

from benchmarks import _decoding_setting as common
from benchmarks._timing import time_steps


def create(setting, folder):
    """See `_workers`.

    Args:
        setting: Fields of a `Setting`.
        folder: Of the converted model.
    """
    return Converted(common.Setting(**setting), folder)


class Converted:
    """The model and its searches."""

    def __init__(self, setting, folder):
        self.setting = setting
        self.translator = ctranslate2.Translator(
            folder,
            device="cpu",
            compute_type="float32",
            inter_threads=1,
            intra_threads=setting.threads,
        )
        source, _, _ = common.make_batch(setting)
        # Words, as its interface wants them: our ids.
        self.source = [[str(token) for token in row] for row in source]
        self.widths = {"greedy": 1, "beam": setting.beam_width}

    def _search(self, kind):
        return self.translator.translate_batch(
            self.source,
            beam_size=self.widths[kind],
            max_decoding_length=self.setting.target_length,
        )

    def first_step(self, path):
        """Write the log-probabilities of all first tokens to `path`."""
        answers = self.translator.translate_batch(
            self.source,
            beam_size=1,
            max_decoding_length=1,
            return_logits_vocab=True,
        )
        logits = np.stack([np.array(answer.logits[0][0]) for answer in answers])
        logits = logits.astype("float64")
        shape = (self.setting.batch_size, self.setting.vocabulary_size)
        found = np.full(shape, -np.inf)
        # What starts a translation is not in its vocabulary.
        ids = common.marian_ids(self.setting)[:-1]
        found[:, ids] = logits - np.logaddexp.reduce(
            logits, axis=-1, keepdims=True
        )
        np.save(path, found)

    def translate(self, kind, path):
        """Write the translation of the batch to `path`."""
        rows = [answer.hypotheses[0] for answer in self._search(kind)]
        np.save(path, np.array(rows, dtype="int32"))

    def time(self, kind, steps):
        """Seconds of a search of that kind."""
        return time_steps(lambda: self._search(kind)[0].hypotheses, steps)
