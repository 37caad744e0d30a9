"""Multi-head attention."""

import keras
from keras import ops

from layers._attention_layer import project_features
from layers._attention_scores import DotProduct
from layers._blockwise_attention import BlockwiseAttention
from layers._call_contract import CALL_ARGUMENTS
from layers._heads import fold_heads
from layers._heads import join_heads
from layers._heads import look_in_each_head
from layers._heads import split_heads
from layers._heads import unfold_heads
from layers._multi_head_arguments import check_parts
from layers._multi_head_arguments import check_sizes
from layers._nested import deserialize
from layers._nested import serialize
from layers.relative_position_bias import RelativePositionBias


@keras.saving.register_keras_serializable(package="attention_zoo")
class MultiHeadAttention(BlockwiseAttention):
    __doc__ = f"""Attention of several heads, each in a space of its own.

        head_n = attention(query W_q^n, key W_k^n, value W_v^n)
        output = [head_1; ...; head_N] W_o

    Self-attention where query and value are one tensor, cross-attention where
    they are two. Each head is scaled dot-product attention, unless
    `attention` gives another.

    With fewer heads of keys and values than of queries, some query heads share
    one (grouped-query attention; multi-query with 1), and a cache is that
    much smaller.

    Args:
        num_heads: Number of heads of the query, N.
        key_dim: Width of a head of query and key.
        value_dim: Width of a head of the value; `key_dim` by default.
        num_key_value_heads: Number of heads of key and value, a divisor of
            `num_heads`; `num_heads` by default.
        attention: A layer with a query, a key and a value that every head
            uses in place of the scaled dot product, such as
            `AdditiveAttention(units=32)`. Its weights are shared by the
            heads, whose spaces differ. Dropout, window and blocks are then
            its own.
        position: `RotaryEmbedding`, which turns queries and keys by their
            positions, or `RelativePositionBias`, which adds to the logits
            and needs all scores at once; None is neither.
        use_bias: Whether the four projections have a bias.
        output_dim: Width of the output; that of the query by default.
        window_size: Farthest distance between the positions of a query and a
            key that it sees (sliding window); None is any.
        blockwise: Whether to compute the scores in blocks and, for the
            gradient, again, in memory that grows with the length and not
            with its square; None does so where it pays, by the lengths that
            are known when the layer is called.
        dropout: Fraction of the attention weights to drop in training.
        seed: Seed of the dropout.
        kernel_initializer: Initializer of the projections.
        **kwargs: Arguments of `keras.layers.Layer`.
    {CALL_ARGUMENTS}
    Example:

    >>> layer = MultiHeadAttention(num_heads=4, key_dim=32)
    >>> outputs = layer(states, states, use_causal_mask=True)

    One step at a time, as a decoder in a loop does:

    >>> memory = layer.project(states[:, :1], capacity=50)
    >>> first = layer.attend(states[:, :1], memory)
    >>> memory = layer.append(memory, states[:, 1:2])
    >>> second = layer.attend(states[:, 1:2], memory)

    References:
        [Vaswani et al., 2017](https://arxiv.org/abs/1706.03762), section
        3.2.2; grouped queries: [Ainslie et al., 2023](
        https://arxiv.org/abs/2305.13245); one head of keys: [Shazeer, 2019](
        https://arxiv.org/abs/1911.02150); window: [Beltagy et al., 2020](
        https://arxiv.org/abs/2004.05150).
    """

    def __init__(
        self,
        num_heads,
        key_dim,
        value_dim=None,
        num_key_value_heads=None,
        attention=None,
        position=None,
        use_bias=True,
        output_dim=None,
        window_size=None,
        blockwise=None,
        dropout=0.0,
        seed=None,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(
            blockwise=blockwise,
            dropout=dropout,
            seed=seed,
            kernel_initializer=kernel_initializer,
            window_size=window_size,
            **kwargs,
        )
        self.num_heads = num_heads
        self.key_dim = key_dim
        self.value_dim = value_dim
        self.num_key_value_heads = num_key_value_heads
        self.attention = attention
        self.position = position
        self.use_bias = use_bias
        self.output_dim = output_dim
        check_sizes(self)
        check_parts(self)

    @property
    def groups(self):
        """Number of heads of keys and values, K."""
        return self.num_key_value_heads or self.num_heads

    @property
    def head_value_dim(self):
        """Width of a head of the value."""
        return self.value_dim or self.key_dim

    @property
    def score_heads(self):
        return self.num_heads

    def context_dim(self, query_dim, value_dim):
        return self.output_dim or query_dim

    @property
    def needs_positions(self):
        inner = self.attention
        return (
            super().needs_positions
            or self.position is not None
            or (inner is not None and inner.needs_positions)
        )

    def build(self, query_shape, value_shape, key_shape=None):
        key_shape = value_shape if key_shape is None else key_shape
        output_dim = self.output_dim or query_shape[-1]
        heads_dim = self.num_heads * self.head_value_dim
        for name, inputs_dim, outputs_dim in (
            ("query", query_shape[-1], self.num_heads * self.key_dim),
            ("key", key_shape[-1], self.groups * self.key_dim),
            ("value", value_shape[-1], self.groups * self.head_value_dim),
            ("output", heads_dim, output_dim),
        ):
            kernel = self.add_kernel(
                (inputs_dim, outputs_dim), name=f"{name}_kernel"
            )
            setattr(self, f"{name}_kernel", kernel)
            bias = None
            if self.use_bias:
                bias = self.add_weight(
                    shape=(outputs_dim,),
                    initializer="zeros",
                    name=f"{name}_bias",
                )
            setattr(self, f"{name}_bias", bias)
        if self.attention is not None and not self.attention.built:
            keys = (None, None, self.key_dim)
            values = (None, None, self.head_value_dim)
            self.attention.build(keys, values, keys)

    def project_pair(self, key, value, first_position=0):
        key = split_heads(self._dense("key", key), self.groups)
        if self.position is not None and not self.adds_bias:
            key = self.position(key, start_index=first_position)
        if self.attention is not None:
            folded = self.attention.project_key(fold_heads(key))
            key = unfold_heads(folded, self.num_heads)
        value = split_heads(self._dense("value", value), self.groups)
        return {"key": key, "value": value}

    @property
    def adds_bias(self):
        """Whether positions are a bias of the logits."""
        return isinstance(self.position, RelativePositionBias)

    def _dense(self, name, inputs):
        outputs = project_features(
            ops.cast(inputs, self.compute_dtype),
            getattr(self, f"{name}_kernel"),
        )
        bias = getattr(self, f"{name}_bias")
        return outputs if bias is None else outputs + bias

    def draw_dropout_seed(self, training):
        if self.attention is not None:
            return self.attention.draw_dropout_seed(training)
        return super().draw_dropout_seed(training)

    def look(self, query, memory, given, seed=None, asked=True):
        query = split_heads(self._dense("query", query), self.num_heads)
        lengths = ops.shape(query)[2], ops.shape(memory["key"])[2]
        bias = None
        if self.position is not None:
            first = given.first_position(*lengths)
            if self.adds_bias:
                bias = self.position(*lengths, first_position=first)
            else:
                query = self.position(query, start_index=first)
        if self.attention is None:
            context, scores = self.attend_heads(
                DotProduct(),
                query * self.key_dim**-0.5,
                memory,
                given,
                seed,
                asked,
                bias=bias,
            )
        else:
            context, scores = look_in_each_head(
                self.attention, query, memory, given, seed, asked
            )
        return self._dense("output", join_heads(context)), scores

    def get_config(self):
        config = super().get_config()
        for name in (
            "num_heads",
            "key_dim",
            "value_dim",
            "num_key_value_heads",
            "use_bias",
            "output_dim",
            "window_size",
        ):
            config[name] = getattr(self, name)
        for name in ("attention", "position"):
            config[name] = serialize(getattr(self, name))
        return config

    @classmethod
    def from_config(cls, config):
        return cls(**deserialize(config, ("attention", "position")))
