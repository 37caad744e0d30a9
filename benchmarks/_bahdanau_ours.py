"""The translator of the zoo, compiled as `train.py fit` compiles it."""

import time

import keras
import numpy as np
import tensorflow as tf

import zoo
from benchmarks import _bahdanau_setting as common
from benchmarks._timing import time_steps
from training.fit import compile_model
from training.objective import translation_objective
from training.recipe import TranslationRecipe
from zoo._decoding import greedy_search


def create(preset, setting, jit=True, precision="float32"):
    """See `_workers`."""
    setting = common.Setting(**setting)
    tf.config.threading.set_intra_op_parallelism_threads(setting.threads)
    keras.config.set_dtype_policy(precision)
    return Ours(preset, setting, jit)


class Ours:
    """A preset with the sizes, weights and batch of the setting."""

    def __init__(self, preset, setting, jit):
        self.setting = setting
        self.batch = [tf.constant(a) for a in common.make_batch(setting)]
        self.model = zoo.create_model(
            preset,
            source_vocabulary_size=setting.vocabulary_size,
            target_vocabulary_size=setting.vocabulary_size,
            embedding_dim=setting.embedding_dim,
            hidden_dim=setting.hidden_dim,
            tie_embeddings=setting.tie_embeddings,
            input_in_query=setting.input_in_query,
        )
        source, target, _ = self.batch
        self.inputs = {"source": source, "target": target}
        self.model(self.inputs)
        for name, weight in common.make_weights(setting).items():
            self._assign(name, weight)
        recipe = TranslationRecipe(
            learning_rate=setting.learning_rate,
            schedule="constant",
            warmup_steps=0,
            weight_decay=setting.weight_decay,
            gradient_clip_norm=setting.gradient_clip_norm,
            label_smoothing=setting.label_smoothing,
            jit=jit,
        )
        objective = translation_objective(self.model, recipe)
        self.compiled = compile_model(objective, recipe, total_steps=10**6)
        self._translate = tf.function(self._greedy, jit_compile=jit)

    def _variables(self):
        """`{name: (variable, index)}`: where each weight of the setting is."""
        model, decoder = self.model, self.model.decoder
        attention = decoder.attention
        found = {
            "source_embedding": model.source_embedding.embeddings,
            "target_embedding": model.target_embedding.embeddings,
            "bridge_kernel": model.bridge.kernel,
            "bridge_bias": model.bridge.bias,
            "query_kernel": attention.query_kernel,
            "key_kernel": attention.key_kernel,
            "score_kernel": attention.score_kernel,
            "input_kernel": decoder.input_projection.kernel,
            "input_bias": decoder.input_projection.bias,
            "context_kernel": decoder.context_projection.kernel,
            "recurrent_kernel": decoder.cell.recurrent_kernel,
            "recurrent_bias": decoder.cell.recurrent_bias,
            "readout_kernel": model.readout.kernel,
            "readout_bias": model.readout.bias,
        }
        if not self.setting.tie_embeddings:
            found["output_kernel"] = model.output_projection.kernel
            found["output_bias"] = model.output_projection.bias
        found = {name: (weight, ...) for name, weight in found.items()}
        gates = 2 * self.setting.hidden_dim
        for direction in ("forward", "backward"):
            cell = getattr(model.encoder, f"{direction}_layer").cell
            found |= {
                f"{direction}_kernel": (cell.kernel, ...),
                f"{direction}_recurrent_kernel": (cell.recurrent_kernel, ...),
                f"{direction}_bias": (cell.bias, 0),
                f"{direction}_recurrent_bias": (
                    cell.bias,
                    (1, slice(gates, None)),
                ),
            }
        return found

    def _assign(self, name, weight):
        variable, index = self._variables()[name]
        value = np.array(keras.ops.convert_to_numpy(variable.value))
        value[index] = weight
        variable.assign(value)

    def loss_and_gradients(self, path):
        """Write the gradients of the loss to `path`; return the loss."""
        variables = self._variables()
        with tf.GradientTape() as tape:
            logits = self.model(self.inputs, training=True)
            loss = self.compiled.compute_loss(
                y=self.batch[2],
                y_pred=logits,
                sample_weight=tf.ones_like(self.batch[2], "float32"),
            )
        gradients = tape.gradient(
            loss, {name: found[0].value for name, found in variables.items()}
        )
        np.savez(
            path,
            **{
                name: np.asarray(tf.convert_to_tensor(gradient))[
                    variables[name][1]
                ]
                for name, gradient in gradients.items()
            },
        )
        return float(loss)

    def _step(self):
        weights = np.ones(self.batch[2].shape, "float32")
        return self.compiled.train_on_batch(self.inputs, self.batch[2], weights)

    def prepare(self):
        """Compile; return the seconds that it takes, for this shape."""
        started = time.perf_counter()
        self._step()
        return time.perf_counter() - started

    def train(self, steps):
        """Seconds of a training step."""
        return time_steps(self._step, steps)

    def _greedy(self, source):
        penalty = common.never_emitted(self.setting)

        def step(tokens, state):
            logits, state = self.model.step(tokens, state)
            return logits + penalty, state

        return greedy_search(
            step,
            self.model.start(self.model.encode(source)),
            self.setting.batch_size,
            self.setting.length,
        )

    def translate(self, path):
        """Write the greedy translation of the batch to `path`."""
        tokens, scores = self._translate(self.inputs["source"])
        np.savez(path, tokens=tokens, scores=scores)

    def decode(self, steps):
        """Seconds of decoding the batch."""
        return time_steps(
            lambda: self._translate(self.inputs["source"])[1].numpy(), steps
        )
