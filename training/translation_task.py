"""Fitting translators on sentence pairs."""

import numpy as np
import tensorflow as tf

from preprocessing.pair_batches import PairBatches
from preprocessing.special_tokens import PADDING_ID
from preprocessing.special_tokens import START
from preprocessing.special_tokens import START_ID
from preprocessing.translation import TranslationPreprocessor
from summaries import AttentionSamples
from summaries import Side
from training.configuration import ConfigurationError
from training.evaluation import TranslationEvaluator
from training.objective import translation_objective
from training.task import Task
from training.translation import describe
from training.translation import read_pairs
from training.translation import tokenize_pairs
from training.translation import training_rows

# Validation sentences whose attention TensorBoard shows.
_WATCHED = 6


class TranslationTask(Task):
    """See `Task`; the splits are `Pairs`."""

    examples, scored = "pairs", "sentences"

    def read(self, name):
        return read_pairs(self.loaded.splits[name])

    def columns(self, name):
        pairs = self.splits[name]
        return pairs.sources, pairs.targets

    def train_preprocessor(self, options):
        train = self.splits["train"]
        return TranslationPreprocessor.train(
            train.sources, train.targets, **options
        )

    def sizes(self, preprocessor):
        source = preprocessor.source_tokenizer
        target = preprocessor.target_tokenizer
        return {
            "source_vocabulary_size": source.vocabulary_size,
            "target_vocabulary_size": target.vocabulary_size,
        }

    def example_inputs(self, preprocessor):
        return {
            side: np.zeros((1, 2), np.int32) for side in ("source", "target")
        }

    def training_batches(self, recipe, preprocessor):
        train = self.splits["train"]
        guided = recipe.guided_alignment > 0
        if guided and train.alignments is None:
            raise ConfigurationError(
                "This data set has no gold alignments to guide the attention. "
                f"Received: guided_alignment={recipe.guided_alignment}"
            )
        tokenized, lengths = tokenize_pairs(
            preprocessor, train, with_links=guided
        )
        rows, dropped = training_rows(
            train, lengths, preprocessor.max_sequence_length
        )
        if not len(rows):
            raise ConfigurationError(
                f"None of the {len(train)} pairs can be trained on: {dropped}."
            )
        tokenized = tokenized.select(rows)
        sizes = self.sizes(preprocessor).values()
        print("vocabulary {:,} source and {:,} target tokens".format(*sizes))
        print(describe("train", tokenized, lengths, dropped))
        batches = PairBatches(tokenized, recipe.tokens_per_batch, recipe.seed)
        padded = int(np.dot(batches.counts, batches.lengths))
        real = int(tokenized.lengths.sum())
        print(
            f"batches    {batches.steps_per_epoch:,} an epoch, lengths "
            f"{', '.join(map(str, batches.lengths))}; "
            f"{1 - real / padded:.0%} padding"
        )
        return batches

    def report_validation(self, preprocessor):
        tokenized, lengths = tokenize_pairs(
            preprocessor, self.splits["validation"]
        )
        limit = preprocessor.max_sequence_length
        longer = int((lengths > limit).any(axis=1).sum())
        print(describe("validation", tokenized, lengths))
        if longer:
            print(f"           {longer} longer than {limit} tokens were cut")

    def check_model(self, recipe, model):
        if recipe.guided_alignment and not model.attention_scores(
            self.example_inputs(None)
        ):
            raise ConfigurationError(
                "Guided alignment needs a model with attention. "
                f"Received: guided_alignment={recipe.guided_alignment}"
            )

    def objective(self, recipe, model, preprocessor):
        return translation_objective(model, recipe)

    def evaluator(self, model, preprocessor, split, decoding=None, chosen=None):
        return TranslationEvaluator(
            model,
            preprocessor,
            self.splits[split],
            self.loaded.target_language,
            decoding=decoding,
            alignment_head=(chosen or {}).get("alignment_head"),
        )

    def samples(self, model, preprocessor):
        validation = self.splits["validation"]
        rows = np.linspace(0, len(validation) - 1, _WATCHED).astype(int)
        pairs = validation.select(np.unique(rows))
        source = preprocessor.encode_source(tf.constant(pairs.sources))
        target = preprocessor.encode_target(tf.constant(pairs.targets))
        source = source.to_tensor()
        target = preprocessor.cut(target).to_tensor()
        start = tf.fill([tf.shape(target)[0], 1], START_ID)
        before = tf.concat([start, target[:, :-1]], axis=1)
        written = _side(preprocessor.target_tokenizer, target)
        alignments = None
        if pairs.alignments is not None:
            tokenized, _ = tokenize_pairs(preprocessor, pairs, with_links=True)
            alignments = tokenized.links.to_list()
        return AttentionSamples(
            inputs={"source": source, "target": before},
            sides={
                "source": _side(preprocessor.source_tokenizer, source),
                "target": written,
                # What the decoder reads: each token one step later.
                "before": Side(
                    [[START, *row[:-1]] for row in written.tokens],
                    tf.not_equal(before, PADDING_ID).numpy(),
                ),
            },
            layer_sides={"decoder/*/self": ("target", "before")},
            alignments=alignments,
        )

    def describe(self):
        return {
            **super().describe(),
            "source_language": self.loaded.source_language,
            "target_language": self.loaded.target_language,
            "pairs": {name: len(pairs) for name, pairs in self.splits.items()},
        }

    def sources(self, count):
        return self.splits["validation"].sources[:count]

    @property
    def example(self):
        return self.splits["validation"].sources[0]


def _side(tokenizer, token_ids):
    strings = tokenizer.token_strings(token_ids).numpy().tolist()
    tokens = [[token for token in row if token] for row in strings]
    return Side(tokens, tf.not_equal(token_ids, PADDING_ID).numpy())
