"""What all attention layers with a query, a key and a value share."""

import keras
from keras import ops

from layers import recording
from layers._attention_layer import AttentionLayer
from layers._cache import append_to
from layers._cache import make_cache
from layers._cache import memory_length
from layers._call_contract import check_inputs
from layers._call_masks import collect_masks
from layers.dropout import drop
from layers.masks import check_mask


class QueryKeyAttention(AttentionLayer):
    """Base of the layers in which a query looks at keys.

    A subclass says how keys are prepared (`project_key`) and how a query
    looks at them (`look`, or only `weigh`). Masks, softmax, dropout,
    recording and the weighted sum are here, once, so that any such layer can
    replace any other.

    `call` is `project` (all work on keys and values, done once) followed by
    `attend` (the work for a query), which a decoder calls separately.

    Args:
        window_size: Farthest distance between the positions of a query and a
            key that it sees; None is any.
        **kwargs: Arguments of `AttentionLayer`.
    """

    def __init__(self, window_size=None, **kwargs):
        super().__init__(**kwargs)
        if window_size is not None and window_size < 0:
            raise ValueError(
                "`window_size` must be at least 0, or None. "
                f"Received: window_size={window_size}"
            )
        self.window_size = window_size

    @property
    def needs_positions(self):
        """Whether it matters where the query stands among the keys."""
        return self.window_size is not None

    def project_key(self, key):
        """Prepare keys `(B, S, key_dim)` for `score`."""
        return key

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
        given = collect_masks(value_mask=value_mask, key_mask=key_mask)
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
        mask = check_mask(value_mask, "value_mask", rank=2)
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
        given = collect_masks(
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

    def look(self, query, memory, given, seed=None, asked=True):
        """Context and scores, the heart of `attend`.

        Args:
            query: `(batch_size, query_length, query_dim)`.
            memory: What `project` returned.
            given: `Masks`.
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

    def weigh(self, query, key, mask, given):
        """Scores `(B, N, T, S)` after mask and softmax.

        Args:
            query: `(batch_size, query_length, query_dim)`.
            key: What `project_key` returned.
            mask: All masks as one, or None.
            given: `Masks`, for positions.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must define `look` or `weigh`."
        )

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
        check_inputs(query, value, key)
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
        check_inputs(query, value, key)
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
