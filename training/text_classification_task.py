"""Fitting classifiers of texts."""

import dataclasses

import numpy as np
import tensorflow as tf

from preprocessing.batches import untuned
from preprocessing.classification_batches import TextBatches
from preprocessing.special_tokens import PADDING_ID
from preprocessing.text_classification import TextClassificationPreprocessor
from summaries import AttentionSamples
from summaries import Side
from training.classification_task import ClassificationTask
from training.classification_task import EVALUATION_BATCH_SIZE
from training.pretraining import pretrain

_ROWS_AT_ONCE = 4096


@dataclasses.dataclass(frozen=True)
class Texts:
    """The texts of a split, in memory.

    Attributes:
        texts: List of strings.
        labels: `(num_texts,)`, the numbers of their classes in the data.
    """

    texts: list
    labels: np.ndarray

    def __len__(self):
        return len(self.texts)

    @property
    def contents(self):
        """What tells the examples apart."""
        return self.texts

    def describe(self, row):
        """What an evaluation says of an example."""
        return {"text": self.texts[row]}


class TextClassificationTask(ClassificationTask):
    """See `Task`; the splits are `Texts`."""

    examples = scored = "texts"

    def read(self, name):
        dataset = self.loaded.splits[name]
        texts, labels = [], [np.zeros(0, np.int32)]
        for batch in untuned(dataset.batch(_ROWS_AT_ONCE)):
            texts += [
                text.decode(errors="replace") for text in batch["text"].numpy()
            ]
            labels.append(batch["label"].numpy())
        return Texts(texts, np.concatenate(labels))

    def train_preprocessor(self, options):
        return TextClassificationPreprocessor.train(
            self.splits["train"].texts, self.loaded.class_names, **options
        )

    def sizes(self, preprocessor):
        return {
            **super().sizes(preprocessor),
            "vocabulary_size": preprocessor.vocabulary_size,
            "max_sequence_length": preprocessor.max_sequence_length,
        }

    def example_inputs(self, preprocessor):
        return {"tokens": np.zeros((1, 2), np.int32)}

    def training_batches(self, recipe, preprocessor):
        batches = self._batches(
            preprocessor,
            "train",
            recipe.batch_size,
            recipe.seed,
            self.class_weights(recipe, preprocessor),
        )
        print(f"vocabulary {preprocessor.vocabulary_size:,} tokens")
        print(self._describe_tokens(preprocessor, "train", batches.tokens))
        print(
            f"batches    {batches.steps_per_epoch:,} an epoch, lengths "
            f"{', '.join(map(str, batches.lengths))}"
        )
        return batches

    def pretrain(
        self,
        recipe,
        model,
        preprocessor,
        batches,
        directory,
        distribution,
        save_seconds,
    ):
        if recipe.pretrain == "none":
            return None
        validation = self.evaluation_batches(preprocessor, "validation")
        return pretrain(
            model,
            recipe,
            preprocessor,
            batches,
            validation,
            directory,
            distribution,
            save_seconds,
        )

    def report_validation(self, preprocessor):
        tokens = self._tokens(preprocessor, "validation")
        print(self._describe_tokens(preprocessor, "validation", tokens))

    def evaluation_batches(self, preprocessor, split):
        return self._batches(preprocessor, split, EVALUATION_BATCH_SIZE)

    def samples(self, model, preprocessor):
        texts = self.splits["validation"].texts
        chosen = tf.constant([texts[row] for row in self.watched()])
        tokens = preprocessor.encode(chosen).to_tensor()
        pieces = preprocessor.pieces(chosen).numpy().tolist()
        return AttentionSamples(
            inputs={"tokens": tokens},
            sides={
                "text": Side(
                    [[piece for piece in row if piece] for row in pieces],
                    tf.not_equal(tokens, PADDING_ID).numpy(),
                )
            },
        )

    def sources(self, count):
        return self.splits["validation"].texts[:count]

    @property
    def example(self):
        return self.splits["validation"].texts[0]

    def _batches(self, preprocessor, split, batch_size, *options):
        return TextBatches(
            self._tokens(preprocessor, split),
            self.labels(preprocessor, split),
            len(preprocessor.classes),
            batch_size,
            *options,
        )

    def _tokens(self, preprocessor, split):
        texts = self.splits[split].texts
        return tf.concat(
            [
                preprocessor.encode(
                    tf.constant(texts[start : start + _ROWS_AT_ONCE], tf.string)
                )
                for start in range(0, max(len(texts), 1), _ROWS_AT_ONCE)
            ],
            axis=0,
        )

    def _describe_tokens(self, preprocessor, name, tokens):
        lengths = tokens.row_lengths().numpy()
        limit = preprocessor.max_sequence_length
        unknown_id = preprocessor.tokenizer.unknown_id
        unknown = np.mean(tokens.flat_values.numpy() == unknown_id)
        longest = int(np.sum(lengths == limit))
        cut = f", {longest:,} of {limit} or more" if longest else ""
        return (
            f"{self.describe_split(name, self.splits[name].labels)}; "
            f"{lengths.mean():.1f} tokens (longest {lengths.max()}, unknown "
            f"{unknown:.2%}{cut})"
        )
