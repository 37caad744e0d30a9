"""What all attention layers with a query, a key and a value share."""

import keras
from keras import ops

from layers import masks
from layers import recording
from layers._attention_path import attend
from layers._cache import append_to
from layers._cache import make_cache
from layers._cache import memory_length
from layers._random_bits import draw_seed
from layers.dropout import drop


def project_features(inputs, kernel):
    """`inputs @ kernel` on the last axis, as one product of two matrices.

    On TensorFlow the general product finds its axes at run time, which XLA
    cannot compile inside a loop.
    """
    width = inputs.shape[-1]
    sizes = ops.shape(inputs)[:-1]
    flat = ops.matmul(ops.reshape(inputs, (-1, width)), kernel)
    return ops.reshape(flat, (*sizes, kernel.shape[-1]))


class QueryKeyAttention(keras.layers.Layer):
    """Base of the layers in which a query looks at keys.

    A subclass says how keys are prepared (`project_key`) and how a query is
    scored against them (`score`). Masks, softmax, dropout, recording and the
    weighted sum are here, once, so that any such layer can replace any other.

    `call` is `project` (all work on keys and values, done once) followed by
    `attend` (the work for a query), which a decoder calls separately.

    Args:
        dropout: Fraction of the attention weights to drop in training.
        seed: Seed of the dropout.
        kernel_initializer: Initializer of the learned matrices.
        window_size: Farthest distance between the positions of a query and a
            key that it sees; None is any.
    """

    def __init__(
        self,
        dropout=0.0,
        seed=None,
        kernel_initializer="glorot_uniform",
        window_size=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not 0.0 <= dropout < 1.0:
            raise ValueError(
                "`dropout` must be in the range [0, 1). "
                f"Received: dropout={dropout}"
            )
        if window_size is not None and window_size < 0:
            raise ValueError(
                "`window_size` must be at least 0, or None. "
                f"Received: window_size={window_size}"
            )
        self.dropout = dropout
        self.window_size = window_size
        self.seed = seed
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.supports_masking = True
        if dropout:
            self.seed_generator = keras.random.SeedGenerator(seed)

    def add_kernel(self, shape, name):
        """A learned matrix, with numbers of its own.

        One Keras initializer gives two weights of one shape the same values,
        so each weight has a copy.
        """
        initializer = keras.initializers.get(
            keras.initializers.serialize(self.kernel_initializer)
        )
        return self.add_weight(shape=shape, initializer=initializer, name=name)

    def project_key(self, key):
        """Prepare keys `(B, S, key_dim)` for `score`."""
        return key

    def score(self, query, key):
        """Logits `(B, N, T, S)` of `query` `(B, T, D)` on projected keys."""
        raise NotImplementedError(
            f"{type(self).__name__} must define `score(query, key)`."
        )

    def project(
        self, value, key=None, *, value_mask=None, key_mask=None, capacity=None
    ):
        """Do all the work on keys and values, once.

        Args:
            value: `(batch_size, key_length, value_dim)`.
            key: `(batch_size, key_length, key_dim)`; `value` by default.
            value_mask: Boolean `(batch_size, key_length)`.
            key_mask: Boolean `(batch_size, key_length)`.
            capacity: Most keys that `append` may bring this memory to; then
                its tensors keep one shape, as loops in a graph need. None
                makes it as long as its keys.

        Returns:
            The memory for `attend`: a dictionary of tensors.
        """
        given = masks.collect_masks(value_mask=value_mask, key_mask=key_mask)
        memory = self.project_pair(value if key is None else key, value)
        if given.key_mask is not None:
            memory["mask"] = given.key_mask
        return memory if capacity is None else make_cache(memory, capacity)

    def project_pair(self, key, value, first_position=0):
        """What a memory keeps of keys and values.

        Args:
            key: `(batch_size, key_length, key_dim)`.
            value: `(batch_size, key_length, value_dim)`.
            first_position: Position of the first key.
        """
        return {"key": self.project_key(key), "value": value}

    def append(self, memory, value, key=None, *, value_mask=None):
        """A memory with more keys and values behind its own.

        Args:
            memory: What `project` or `append` returned.
            value: `(batch_size, new_length, value_dim)`.
            key: `(batch_size, new_length, key_dim)`; `value` by default.
            value_mask: Boolean `(batch_size, new_length)`.

        Returns:
            A new memory; the one given is as it was.

        Raises:
            ValueError: If more keys come than the memory has room for, where
                their number can be known (not inside a graph).
        """
        new = self.project_pair(
            value if key is None else key, value, memory_length(memory)
        )
        mask = masks.check_mask(value_mask, "value_mask", rank=2)
        return append_to(memory, new, mask)

    def attend(
        self,
        query,
        memory,
        *,
        query_mask=None,
        attention_mask=None,
        use_causal_mask=False,
        return_attention_scores=False,
        training=None,
    ):
        """Look at a memory that `project` made.

        Args:
            query: `(batch_size, query_length, query_dim)`.
            memory: What `project` returned.
            query_mask, attention_mask, use_causal_mask: As in `call`.
            return_attention_scores: As in `call`.
            training: Whether dropout is active.

        Returns:
            As `call`.
        """
        given = masks.collect_masks(
            query_mask=query_mask,
            value_mask=memory.get("mask"),
            attention_mask=attention_mask,
            use_causal_mask=use_causal_mask,
            window_size=self.window_size,
            length=memory.get("length"),
        )
        asked = return_attention_scores or recording.is_recording()
        lengths = ops.shape(query)[1], ops.shape(memory["value"])[-2]
        given.check_sizes(ops.shape(query)[0], self.score_heads, *lengths)
        seed = self.draw_dropout_seed(training)
        context, scores = self.look(query, memory, given, seed, asked)
        if asked:
            recording.record(self, scores)
        return (context, scores) if return_attention_scores else context

    def draw_dropout_seed(self, training):
        """A seed for this call, or None where nothing is dropped."""
        if training and self.dropout:
            return draw_seed(self.seed_generator)
        return None

    def look(self, query, memory, given, seed=None, asked=True):
        """Context and scores, the heart of `attend`.

        Args:
            query: `(batch_size, query_length, query_dim)`.
            memory: What `project` returned.
            given: `masks.Masks`.
            seed: Seed of the dropout of this call; None drops nothing.
            asked: Whether the scores are wanted.

        Returns:
            The context, and the scores or, if not asked for, anything.
        """
        value = memory["value"]
        lengths = ops.shape(query)[1], ops.shape(value)[1]
        scores = self.weigh(query, memory["key"], given.whole(*lengths), given)
        weights = ops.cast(scores, self.compute_dtype)
        if seed is not None:
            weights = drop(weights, self.dropout, seed)
        # These layers have one head: BTS,BSD->BTD.
        return ops.matmul(ops.squeeze(weights, axis=1), value), scores

    def look_by(self, score, query, memory, given, seed, asked, weights=()):
        """`look` with one of the scores that know blocks."""
        context, scores = attend(
            score,
            query[:, None],
            memory["key"][:, None],
            memory["value"][:, None],
            weights,
            given,
            rate=self.dropout,
            seed=seed,
            blockwise=self.blockwise,
            asked=asked,
        )
        return ops.squeeze(context, axis=1), scores

    def weigh(self, query, key, mask, given):
        """Scores `(B, N, T, S)` after mask and softmax.

        Args:
            query: `(batch_size, query_length, query_dim)`.
            key: What `project_key` returned.
            mask: All masks as one, or None.
            given: `masks.Masks`, for positions.
        """
        return masks.masked_softmax(self.score(query, key), mask)

    def call(
        self,
        query,
        value,
        key=None,
        *,
        query_mask=None,
        value_mask=None,
        key_mask=None,
        attention_mask=None,
        use_causal_mask=False,
        return_attention_scores=False,
        training=None,
    ):
        """See the class."""
        _check_inputs(query, value, key)
        memory = self.project(
            value, key, value_mask=value_mask, key_mask=key_mask
        )
        return self.attend(
            query,
            memory,
            query_mask=query_mask,
            attention_mask=attention_mask,
            use_causal_mask=use_causal_mask,
            return_attention_scores=return_attention_scores,
            training=training,
        )

    @property
    def score_heads(self):
        """Number of heads of the scores, N."""
        return 1

    def context_dim(self, query_dim, value_dim):
        """Width of the output."""
        return value_dim

    def compute_output_spec(
        self, query, value, key=None, *, return_attention_scores=False, **_
    ):
        # Said here, not found by a trial call, which on some backends stands
        # in for unknown lengths with numbers that no mask would fit.
        _check_inputs(query, value, key)
        shape = query.shape[:-1]
        context = keras.KerasTensor(
            (*shape, self.context_dim(query.shape[-1], value.shape[-1])),
            dtype=self.compute_dtype,
        )
        if not return_attention_scores:
            return context
        scores = keras.KerasTensor(
            (shape[0], self.score_heads, shape[1], value.shape[1]),
            dtype=keras.backend.result_type(self.compute_dtype, "float32"),
        )
        return context, scores

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "dropout": self.dropout,
                "seed": self.seed,
                "kernel_initializer": keras.initializers.serialize(
                    self.kernel_initializer
                ),
            }
        )
        return config


def _check_inputs(query, value, key):
    """Ranks, and sizes that are known.

    Raises:
        ValueError: If they do not fit.
    """
    tensors = {"query": query, "value": value}
    if key is not None:
        tensors["key"] = key
    for name, tensor in tensors.items():
        if len(tensor.shape) != 3:
            raise ValueError(
                f"`{name}` must have 3 axes, (batch_size, length, dim). "
                f"Received: {name}.shape={tuple(tensor.shape)}"
            )
    for name, other, axis, what in (
        ("query", "value", 0, "batch_size"),
        ("key", "value", 0, "batch_size"),
        ("key", "value", 1, "length"),
    ):
        if name in tensors:
            left, right = tensors[name].shape, tensors[other].shape
            if not masks.may_equal(left[axis], right[axis]):
                raise ValueError(
                    f"`{name}` and `{other}` must have the same {what}. "
                    f"Received: {name}.shape={tuple(left)}, "
                    f"{other}.shape={tuple(right)}"
                )


CALL_ARGUMENTS = """
    Call arguments:
        query: `(batch_size, query_length, query_dim)`.
        value: `(batch_size, key_length, value_dim)`.
        key: `(batch_size, key_length, key_dim)`; `value` by default.
        query_mask: Boolean `(batch_size, query_length)`; a False row attends
            to nothing.
        value_mask: Boolean `(batch_size, key_length)`, True = may attend.
        key_mask: Boolean `(batch_size, key_length)`, True = may attend.
        attention_mask: Boolean `(T, S)`, `(B, T, S)` or `(B, N, T, S)`.
        use_causal_mask: Whether query row `t` sees only the keys up to
            position `key_length - query_length + t`.
        return_attention_scores: Whether to return the scores too. Asking
            never changes the output.
        training: Whether dropout is active.

    Returns:
        The context `(batch_size, query_length, value_dim)`, or
        `(context, scores)`. Scores have the shape
        `(batch_size, 1, query_length, key_length)`, float32, after mask and
        softmax, before dropout. Rows sum to 1 over the allowed keys; a query
        with no allowed key has scores 0 and context 0.

    Raises:
        ValueError: If a mask is not boolean.
"""
