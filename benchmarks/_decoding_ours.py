"""The Transformer translator of the zoo."""

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from benchmarks import _decoding_setting as common
from benchmarks._timing import time_steps
from training.fit import compile_model
from training.objective import translation_objective
from training.recipe import TranslationRecipe
from zoo._decoding import decode
from zoo._decoding import Decoding
from zoo.transformer_translator import TransformerTranslator


def create(setting, jit=True):
    """See `_workers`.

    Args:
        setting: Fields of a `Setting`.
        jit: Whether XLA compiles.
    """
    setting = common.Setting(**setting)
    tf.config.threading.set_intra_op_parallelism_threads(setting.threads)
    keras.config.set_dtype_policy("float32")
    return Ours(setting, jit)


class Translator(TransformerTranslator):
    """One that can be called with a source that it has read before."""

    def encode(self, source, training=None):
        if isinstance(source, dict):
            return source
        return super().encode(source, training=training)


class Ours:
    """The model with the sizes, weights and batch of the setting."""

    def __init__(self, setting, jit):
        self.setting = setting
        self.jit = jit
        self.batch = [tf.constant(a) for a in common.make_batch(setting)]
        self.penalty = tf.constant(common.never_emitted(setting))
        self.model = Translator(
            setting.vocabulary_size,
            setting.vocabulary_size,
            num_layers=setting.num_layers,
            num_heads=setting.num_heads,
            hidden_dim=setting.hidden_dim,
            intermediate_dim=setting.intermediate_dim,
            share_embeddings=True,
            normalize_first=False,
            activation="relu",
            layer_norm_epsilon=setting.layer_norm_epsilon,
        )
        self.model.build()
        for name, weight in common.make_weights(setting).items():
            self._variable(name).assign(weight)
        recipe = TranslationRecipe(
            learning_rate=setting.learning_rate,
            schedule="constant",
            warmup_steps=0,
            weight_decay=setting.weight_decay,
            gradient_clip_norm=0.0,
            jit=jit,
        )
        objective = translation_objective(self.model, recipe)
        self.compiled = compile_model(objective, recipe, total_steps=10**6)
        self.searches = {
            "greedy": self._compile(self._search, Decoding()),
            "beam": self._compile(
                self._search, Decoding("beam", beam_width=setting.beam_width)
            ),
            "whole prefix": self._compile(self._search_without_cache),
        }

    def _compile(self, search, *arguments):
        @tf.function(jit_compile=self.jit)
        def compiled(source):
            return search(source, *arguments)

        return compiled

    def _variable(self, name):
        """Where a weight of the setting is."""
        if name == "embedding":
            return self.model.target_embedding.embeddings
        side, place, branch, kind = name.split("/")
        block = getattr(self.model, side).blocks[int(place)]
        if kind in ("gamma", "beta"):
            return getattr(getattr(block, f"{branch}_normalization"), kind)
        layer = getattr(block, branch)
        if branch == "feed_forward":
            part, kind = kind.split("_")
            layer = getattr(layer, f"{part}_projection")
        return getattr(layer, kind)

    def _step(self, tokens, state):
        logits, state = self.model.step(tokens, state)
        return logits + self.penalty, state

    def _start(self, source):
        memory = self.model.encode(source)
        return self.model.start(memory, capacity=self.setting.target_length)

    def _search(self, source, decoding):
        found = decode(
            decoding,
            self._step,
            self._start(source),
            self.setting.batch_size,
            self.setting.target_length,
        )
        return found.tokens[:, 0]

    def _search_without_cache(self, source):
        """Greedy, by a call of the model with all tokens so far.

        XLA needs one shape, so there the prefix is padded to full length; the
        causal mask makes that no difference.
        """
        length = self.setting.target_length
        positions = ops.arange(length + 1, dtype="int32")
        memory = self.model.encode(source)

        def extend(index, tokens):
            prefix = tokens[:, : length if self.jit else index + 1]
            logits = self.model.call({"source": memory, "target": prefix})
            best = ops.argmax(logits[:, index] + self.penalty, axis=-1)
            best = ops.cast(best, "int32")[:, None]
            return index + 1, ops.where(positions == index + 1, best, tokens)

        start = ops.full((self.setting.batch_size, 1), common.START_ID, "int32")
        _, tokens = ops.while_loop(
            lambda index, tokens: index < length,
            extend,
            (0, ops.pad(start, [[0, 0], [0, length]])),
        )
        return tokens[:, 1:]

    def first_step(self, path):
        """Write the log-probabilities of all first tokens to `path`."""
        source = self.batch[0]
        start = tf.fill([self.setting.batch_size], common.START_ID)
        logits, _ = self._step(start, self._start(source))
        np.save(path, ops.log_softmax(logits, axis=-1))

    def translate(self, kind, path):
        """Write the translation of the batch to `path`."""
        np.save(path, self.searches[kind](self.batch[0]))

    def _train(self):
        source, target, predicted = self.batch
        return float(
            self.compiled.train_on_batch(
                {"source": source, "target": target}, predicted
            )
        )

    def losses(self, steps):
        """Losses of so many training steps."""
        return [self._train() for _ in range(steps)]

    def time(self, kind, steps):
        """Seconds of a search of that kind, or of one step to `"train"`."""
        if kind == "train":
            return time_steps(self._train, steps)
        search = self.searches[kind]
        return time_steps(lambda: search(self.batch[0]).numpy(), steps)
