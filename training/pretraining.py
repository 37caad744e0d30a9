"""Pretraining of an encoder on the texts that it will classify."""

import dataclasses

import keras
import numpy as np
import tensorflow as tf

from training.fit import fit
from training.fit import SAVE_SECONDS
from training.model_file import load_keras_model
from training.objective import Objective
from training.one_process import OneProcess
from zoo.masked_language_model import MaskedLanguageModel

# Of the hidden tokens: shares that become another token or stay as they are.
_RANDOM, _KEPT = 0.1, 0.1


class TokenHider(keras.Model):
    """A masked language model that is fitted on texts.

    Which tokens are hidden is drawn anew in each training step. The state of
    that chance is among the variables of this model.

    Args:
        model: The `MaskedLanguageModel`; it owns all weights.
        mask_id: The token that stands where one is hidden.
        special_ids: Tokens that are no text, padding among them.
        mask_rate: Share of the tokens that are hidden, one at least.
        seed: Seed of the choice.

    Reference:
        [Devlin et al., 2019](https://arxiv.org/abs/1810.04805), section 3.1:
        of the chosen tokens 80 % are hidden, 10 % become a random token, and
        10 % stay.
    """

    def __init__(
        self, model, mask_id, special_ids, mask_rate, seed=0, **kwargs
    ):
        super().__init__(**kwargs)
        self.model = model
        self.mask_id = mask_id
        self.special_ids = tuple(special_ids)
        self.mask_rate = mask_rate
        self.generator = keras.random.SeedGenerator(seed)

    def build(self, inputs_shape=None):
        """The model is built before."""

    def call(self, inputs, training=None):
        return self.model(inputs, training=training)

    @property
    def trainable_weights(self):
        """Those of the model that take part."""
        return self.model.trainable_weights

    @property
    def trainable_variables(self):
        return self.trainable_weights

    def train_step(self, data):
        inputs, _, given = keras.utils.unpack_x_y_sample_weight(data)
        shape = (3, *tf.unstack(tf.shape(inputs["tokens"])))
        draws = keras.random.uniform(shape, seed=self.generator)
        inputs, targets, weights = self.hide(inputs["tokens"], draws)
        # A row that only fills up the part of a replica has the weight 0.
        counts = tf.cast(given > 0, tf.float32)[:, None]
        return super().train_step((inputs, targets, weights * counts))

    def hide(self, tokens, draws):
        """Hide some of the tokens.

        Args:
            tokens: Ids `(batch_size, length)`, padded with 0.
            draws: `(3, batch_size, length)`, from 0 to 1: which are chosen,
                what becomes of them, and what stands there instead.

        Returns:
            Inputs, targets and weights of the model, for the chosen
            positions `(batch_size, count)`; those that are too many for a
            short text have the weight 0.
        """
        special = tf.constant(self.special_ids, tokens.dtype)
        real = tf.reduce_all(tokens[..., None] != special, axis=-1)
        total = tf.reduce_sum(tf.cast(real, tf.float32), axis=1, keepdims=True)
        length = tf.cast(tf.shape(tokens)[1], tf.float32)
        most = tf.cast(
            tf.maximum(1.0, tf.round(self.mask_rate * length)), "int32"
        )
        ranked, positions = tf.math.top_k(tf.where(real, draws[0], -1.0), most)
        wanted = tf.maximum(1.0, tf.round(self.mask_rate * total))
        is_wanted = tf.range(most, dtype=tf.float32)[None] < wanted
        weights = tf.cast(is_wanted & (ranked >= 0.0), tf.float32)
        targets = tf.gather(tokens, positions, batch_dims=1)

        def drawn(index):
            return tf.gather(draws[index], positions, batch_dims=1)

        # Any token but padding.
        count = self.model.classifier.vocabulary_size - 1
        others = 1 + tf.cast(drawn(2) * count, tokens.dtype)
        fate = drawn(1)
        instead = tf.where(
            fate < _RANDOM,
            others,
            tf.where(fate < _RANDOM + _KEPT, targets, self.mask_id),
        )
        instead = tf.where(weights > 0, instead, targets)
        rows = tf.range(tf.shape(tokens)[0])[:, None]
        places = tf.stack(
            [tf.broadcast_to(rows, tf.shape(positions)), positions], axis=-1
        )
        hidden = tf.tensor_scatter_nd_update(tokens, places, instead)
        return {"tokens": hidden, "positions": positions}, targets, weights


class HiddenTokenEvaluator:
    """How well hidden tokens of a split are found; always the same ones.

    Args:
        hider: The `TokenHider`.
        batches: The `TextBatches` of the split.
    """

    def __init__(self, hider, batches):
        self.hider = hider
        self.batches = batches
        self._compare = tf.function(
            self._compare_batch, autograph=False, reduce_retracing=True
        )

    def evaluate(self):
        """`loss` (cross-entropy of a hidden token, in nats) and `accuracy`."""
        sums = np.zeros(3)
        for number, (_, inputs, _) in enumerate(self.batches.with_rows()):
            sums += self._compare(inputs["tokens"], number).numpy()
        loss, right, count = sums
        return {"loss": float(loss / count), "accuracy": float(right / count)}

    def _compare_batch(self, tokens, number):
        shape = tf.concat([[3], tf.shape(tokens)], axis=0)
        draws = tf.random.stateless_uniform(shape, seed=[0, number])
        inputs, targets, weights = self.hider.hide(tokens, draws)
        logits = self.hider.model(inputs, training=False)
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
        best = tf.argmax(logits, axis=-1, output_type=targets.dtype)
        right = tf.cast(tf.equal(best, targets), tf.float32)
        return tf.stack(
            [tf.reduce_sum(x * weights) for x in (loss, right, 1.0)]
        )


def pretrain(
    classifier,
    recipe,
    preprocessor,
    batches,
    validation,
    directory,
    distribution=None,
    save_seconds=SAVE_SECONDS,
):
    """Fit a classifier's encoder to find hidden tokens.

    Args:
        classifier: The built `TransformerClassifier`; afterwards it has the
            weights of the best epoch. What is fitted is a twin of it, whose
            dropout is that of the recipe.
        recipe: The `TextClassificationRecipe`.
        preprocessor: The `TextClassificationPreprocessor`.
        batches: The `TextBatches` of the training data.
        validation: Those of the validation data.
        directory: Folder of the checkpoints.
        distribution, save_seconds: As in `training.fit.fit`.

    Returns:
        The scores of each epoch.
    """
    recipe = dataclasses.replace(
        recipe,
        epochs=recipe.pretrain_epochs,
        learning_rate=recipe.pretrain_learning_rate,
        validation_metric="loss",
        early_stop_patience=0,
    )
    distribution = distribution or OneProcess()
    tokenizer = preprocessor.tokenizer
    with distribution.scope():
        twin = type(classifier).from_config(
            {**classifier.get_config(), "dropout": recipe.pretrain_dropout}
        )
        model = MaskedLanguageModel(twin)
        model.build()
        hider = TokenHider(
            model,
            tokenizer.mask_id,
            tokenizer.special_ids,
            recipe.mask_rate,
            recipe.seed,
        )
    twin.set_weights(classifier.get_weights())
    loss = keras.losses.SparseCategoricalCrossentropy(
        from_logits=True, reduction="mean_with_sample_weight"
    )
    print(f"pretraining, {recipe.epochs} epochs: find hidden tokens")
    history = fit(
        Objective(model, hider, loss),
        recipe,
        batches,
        HiddenTokenEvaluator(hider, validation).evaluate,
        directory,
        save_seconds=save_seconds,
        distribution=distribution,
    )
    best = load_keras_model(directory / "best.keras")
    classifier.set_weights(best.classifier.get_weights())
    return history
