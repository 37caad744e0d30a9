"""The classic tutorial form of the translator in Keras and TensorFlow.

The decoder is called one step at a time from a Python loop inside the
training step; each call projects the keys again, projects its own input and
its own output, and adds its part to the loss. It is the same function of
the same weights as the model of the zoo.
"""

import time

import keras
import numpy as np
import tensorflow as tf

from benchmarks import _bahdanau_setting as common
from benchmarks._timing import time_steps


def create(setting):
    """See `_workers`."""
    setting = common.Setting(**setting)
    tf.config.threading.set_intra_op_parallelism_threads(setting.threads)
    return Tutorial(setting)


class Encoder(keras.Model):
    """Embedding and a bidirectional GRU."""

    def __init__(self, setting):
        super().__init__()
        self.embedding = keras.layers.Embedding(
            setting.vocabulary_size, setting.embedding_dim, mask_zero=True
        )
        self.recurrent = keras.layers.Bidirectional(
            keras.layers.GRU(
                setting.hidden_dim, return_sequences=True, return_state=True
            )
        )
        self.bridge = keras.layers.Dense(setting.hidden_dim, activation="tanh")

    def call(self, source):
        embedded = self.embedding(source)
        outputs, forward, backward = self.recurrent(
            embedded, mask=self.embedding.compute_mask(source)
        )
        return outputs, self.bridge(tf.concat([forward, backward], axis=-1))


class Attention(keras.layers.Layer):
    """Additive attention that does all of its work at each step."""

    def __init__(self, units):
        super().__init__()
        self.query = keras.layers.Dense(units, use_bias=False)
        self.key = keras.layers.Dense(units, use_bias=False)
        self.score = keras.layers.Dense(1, use_bias=False)

    def call(self, query, outputs, padding):
        hidden = tf.tanh(self.query(query)[:, None, :] + self.key(outputs))
        logits = self.score(hidden) - 1e9 * padding[:, :, None]
        weights = tf.nn.softmax(logits, axis=1)
        return tf.reduce_sum(weights * outputs, axis=1)


class Decoder(keras.Model):
    """One step: attention, GRU, maxout and the map to the vocabulary."""

    def __init__(self, setting):
        super().__init__()
        self.input_in_query = setting.input_in_query
        self.embedding = keras.layers.Embedding(
            setting.vocabulary_size, setting.embedding_dim
        )
        self.attention = Attention(setting.hidden_dim)
        self.cell = keras.layers.GRUCell(setting.hidden_dim)
        self.readout = keras.layers.Dense(2 * setting.embedding_dim)
        self.output_layer = None
        if not setting.tie_embeddings:
            self.output_layer = keras.layers.Dense(setting.vocabulary_size)

    def call(self, tokens, state, outputs, padding):
        embedded = self.embedding(tokens)
        query = state
        if self.input_in_query:
            query = tf.concat([state, embedded], axis=-1)
        context = self.attention(query, outputs, padding)
        state, _ = self.cell(tf.concat([embedded, context], axis=-1), [state])
        features = tf.concat([state, embedded, context], axis=-1)
        readout = tf.maximum(*tf.split(self.readout(features), 2, axis=-1))
        if self.output_layer is None:
            kernel = tf.convert_to_tensor(self.embedding.embeddings)
            return tf.matmul(readout, kernel, transpose_b=True), state
        return self.output_layer(readout), state


class Tutorial:
    """Encoder, decoder and the training step written by hand."""

    def __init__(self, setting):
        self.setting = setting
        self.batch = [tf.constant(a) for a in common.make_batch(setting)]
        self.encoder = Encoder(setting)
        self.decoder = Decoder(setting)
        self._loss(*self.batch)
        self._assign(common.make_weights(setting))
        self.variables = [
            *self.encoder.trainable_variables,
            *self.decoder.trainable_variables,
        ]
        self.optimizer = keras.optimizers.AdamW(
            learning_rate=setting.learning_rate,
            weight_decay=setting.weight_decay,
            beta_1=setting.beta_1,
            beta_2=setting.beta_2,
            epsilon=setting.epsilon,
            global_clipnorm=setting.gradient_clip_norm,
        )
        self.optimizer.exclude_from_weight_decay(var_names=["bias"])
        self.optimizer.build(self.variables)
        self._step = tf.function(self._train_step)
        self._translate = tf.function(self._greedy)

    def _variables(self):
        """`{name: (variable, index)}`: where each weight of the setting is."""
        encoder, decoder = self.encoder, self.decoder
        attention = decoder.attention
        embedding, hidden = self.setting.embedding_dim, self.setting.hidden_dim
        candidate = (1, slice(2 * hidden, None))
        found = {
            "source_embedding": (encoder.embedding.embeddings, ...),
            "target_embedding": (decoder.embedding.embeddings, ...),
            "bridge_kernel": (encoder.bridge.kernel, ...),
            "bridge_bias": (encoder.bridge.bias, ...),
            "query_kernel": (attention.query.kernel, ...),
            "key_kernel": (attention.key.kernel, ...),
            "score_kernel": (attention.score.kernel, ...),
            "input_kernel": (decoder.cell.kernel, slice(embedding)),
            "context_kernel": (decoder.cell.kernel, slice(embedding, None)),
            "input_bias": (decoder.cell.bias, 0),
            "recurrent_kernel": (decoder.cell.recurrent_kernel, ...),
            "recurrent_bias": (decoder.cell.bias, candidate),
            "readout_kernel": (decoder.readout.kernel, ...),
            "readout_bias": (decoder.readout.bias, ...),
        }
        if not self.setting.tie_embeddings:
            found["output_kernel"] = (decoder.output_layer.kernel, ...)
            found["output_bias"] = (decoder.output_layer.bias, ...)
        for direction in ("forward", "backward"):
            cell = getattr(encoder.recurrent, f"{direction}_layer").cell
            found[f"{direction}_kernel"] = (cell.kernel, ...)
            found[f"{direction}_recurrent_kernel"] = (
                cell.recurrent_kernel,
                ...,
            )
            found[f"{direction}_bias"] = (cell.bias, 0)
            found[f"{direction}_recurrent_bias"] = (cell.bias, candidate)
        return found

    def _assign(self, weights):
        for name, (variable, index) in self._variables().items():
            value = np.array(keras.ops.convert_to_numpy(variable.value))
            value[index] = weights[name]
            variable.assign(value)

    def _token_losses(self, predicted, logits):
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits(
            labels=predicted, logits=logits
        )
        uniform = tf.reduce_logsumexp(logits, axis=-1) - tf.reduce_mean(
            logits, axis=-1
        )
        loss += self.setting.label_smoothing * (uniform - loss)
        return loss * tf.cast(predicted != 0, "float32")

    def _loss(self, source, target, predicted):
        outputs, state = self.encoder(source)
        padding = tf.cast(source == 0, "float32")
        loss = 0.0
        for index in range(self.setting.length):
            logits, state = self.decoder(
                target[:, index], state, outputs, padding
            )
            losses = self._token_losses(predicted[:, index], logits)
            loss += tf.reduce_sum(losses)
        return loss / tf.reduce_sum(tf.cast(predicted != 0, "float32"))

    def _train_step(self, source, target, predicted):
        with tf.GradientTape() as tape:
            loss = self._loss(source, target, predicted)
        gradients = tape.gradient(
            loss, [variable.value for variable in self.variables]
        )
        self.optimizer.apply_gradients(
            zip(gradients, self.variables, strict=True)
        )
        return loss

    def loss_and_gradients(self, path):
        """Write the gradients of the loss to `path`; return the loss."""
        variables = self._variables()
        with tf.GradientTape() as tape:
            loss = self._loss(*self.batch)
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

    def prepare(self):
        """Trace; return the seconds that it takes, for this shape."""
        started = time.perf_counter()
        self._step(*self.batch).numpy()
        return time.perf_counter() - started

    def train(self, steps):
        """Seconds of a training step."""
        return time_steps(lambda: self._step(*self.batch).numpy(), steps)

    def _greedy(self, source):
        outputs, state = self.encoder(source)
        padding = tf.cast(source == 0, "float32")
        tokens = tf.fill([self.setting.batch_size], common.START_ID)
        translation, scores = [], 0.0
        for _ in range(self.setting.length):
            logits, state = self.decoder(tokens, state, outputs, padding)
            logits += common.never_emitted(self.setting)
            scores += tf.reduce_max(tf.nn.log_softmax(logits), axis=-1)
            tokens = tf.argmax(logits, axis=-1, output_type="int32")
            translation.append(tokens)
        return tf.stack(translation, axis=1), scores

    def translate(self, path):
        """Write the greedy translation of the batch to `path`."""
        tokens, scores = self._translate(self.batch[0])
        np.savez(path, tokens=tokens, scores=scores)

    def decode(self, steps):
        """Seconds of decoding the batch."""
        return time_steps(
            lambda: self._translate(self.batch[0])[1].numpy(), steps
        )
