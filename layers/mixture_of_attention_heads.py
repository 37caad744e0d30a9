"""Mixture of attention heads."""

import keras
from keras import ops

from layers._attention_layer import project_features
from layers._attention_scores import DotProduct
from layers._blockwise_attention import BlockwiseAttention
from layers._call_contract import CALL_ARGUMENTS
from layers._router import route
from layers._router import router_losses


@keras.saving.register_keras_serializable(package="attention_zoo")
class MixtureOfAttentionHeads(BlockwiseAttention):
    __doc__ = f"""Attention whose heads are experts, picked by a router.

        p = softmax(query W_g)
        output = sum over the k largest p_i of
                 w_i attention(query W_q^i, key W_k, value W_v) W_o^i
        w_i = p_i / sum of the k largest p

    Each expert has its own query and output projection; key and value are
    projected once for all. Only the k chosen heads of a token are computed.

    The sum in w_i has no gradient, as in the paper. In training the layer
    adds two losses: `load_balancing` times E sum_i f_i P_i, with f_i the share
    of the choices that went to expert i and P_i its mean probability (1 when
    all experts are chosen alike), and `router_z` times the mean of
    (log sum_i exp(query W_g)_i)^2, which keeps the router's logits small.

    Args:
        num_experts: Number of experts, E.
        experts_per_token: Experts that a query uses, k.
        key_dim: Width of a head of query and key.
        value_dim: Width of a head of the value; `key_dim` by default.
        output_dim: Width of the output; that of the query by default.
        load_balancing: Weight of the load-balancing loss.
        router_z: Weight of the loss on the router's logits.
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
    The scores have one head for each expert. Rows of queries that the router
    sent elsewhere are 0.

    Example:

    >>> layer = MixtureOfAttentionHeads(8, experts_per_token=2, key_dim=32)
    >>> outputs = layer(states, states, training=True)
    >>> layer.losses

    Reference:
        [Zhang et al., 2022](https://arxiv.org/abs/2210.05144), section 3,
        equations 4 to 8.
    """

    def __init__(
        self,
        num_experts,
        experts_per_token,
        key_dim,
        value_dim=None,
        output_dim=None,
        load_balancing=0.01,
        router_z=0.001,
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
        if not 1 <= experts_per_token <= num_experts:
            raise ValueError(
                "`experts_per_token` must be from 1 to `num_experts`. "
                f"Received: experts_per_token={experts_per_token}, "
                f"num_experts={num_experts}"
            )
        self.num_experts = num_experts
        self.experts_per_token = experts_per_token
        self.key_dim = key_dim
        self.value_dim = value_dim
        self.output_dim = output_dim
        self.load_balancing = load_balancing
        self.router_z = router_z

    @property
    def score_heads(self):
        return self.num_experts

    def context_dim(self, query_dim, value_dim):
        return self.output_dim or query_dim

    def build(self, query_shape, value_shape, key_shape=None):
        key_shape = value_shape if key_shape is None else key_shape
        value_dim = self.value_dim or self.key_dim
        output_dim = self.output_dim or query_shape[-1]
        experts = self.num_experts
        self.router_kernel = self.add_kernel(
            (query_shape[-1], experts), name="router_kernel"
        )
        self.query_kernel = self.add_kernel(
            (query_shape[-1], experts * self.key_dim), name="query_kernel"
        )
        self.key_kernel = self.add_kernel(
            (key_shape[-1], self.key_dim), name="key_kernel"
        )
        self.value_kernel = self.add_kernel(
            (value_shape[-1], value_dim), name="value_kernel"
        )
        self.output_kernel = self.add_kernel(
            (experts * value_dim, output_dim), name="output_kernel"
        )

    def project_pair(self, key, value, first_position=0):
        # One head for all experts: (B, S, H) -> (B, 1, S, H)
        return {
            "key": project_features(key, self.key_kernel)[:, None],
            "value": project_features(value, self.value_kernel)[:, None],
        }

    def attend(self, query, memory, *, query_mask=None, training=None, **more):
        if training and (self.load_balancing or self.router_z):
            self.add_loss(self.router_loss(query, query_mask))
        return super().attend(
            query, memory, query_mask=query_mask, training=training, **more
        )

    def router_loss(self, query, query_mask=None):
        """The two losses of the router, weighted: a scalar.

        Args:
            query: `(batch_size, query_length, query_dim)`.
            query_mask: Boolean `(batch_size, query_length)`; queries that are
                False do not count.
        """
        balance, size = router_losses(self._route(query), query_mask)
        return self.load_balancing * balance + self.router_z * size

    def _route(self, query):
        return route(query, self.router_kernel, self.experts_per_token)

    def look(self, query, memory, given, seed=None, asked=True):
        batch_size, length = ops.shape(query)[:2]
        _, weights, choices = self._route(query)
        chosen = ops.cast(choices, self.compute_dtype)
        projected = ops.reshape(
            project_features(query, self.query_kernel),
            (batch_size, length, self.num_experts, self.key_dim),
        )
        # BTKE,BTEH->BTKH, then BKTH
        projected = ops.transpose(ops.matmul(chosen, projected), (0, 2, 1, 3))
        context, scores = self.attend_heads(
            DotProduct(),
            projected * self.key_dim**-0.5,
            memory,
            given,
            seed,
            asked,
        )
        # To the experts' places, weighted: BTKE,BKTH->BTEH
        weighted = chosen * ops.cast(weights, chosen.dtype)[..., None]
        context = ops.einsum("btke,bkth->bteh", weighted, context)
        width = self.num_experts * (self.value_dim or self.key_dim)
        context = ops.reshape(context, (batch_size, length, width))
        if asked:
            scores = ops.einsum(
                "btke,bkts->bets", ops.cast(choices, scores.dtype), scores
            )
        return project_features(context, self.output_kernel), scores

    def get_config(self):
        config = super().get_config()
        for name in (
            "num_experts",
            "experts_per_token",
            "key_dim",
            "value_dim",
            "output_dim",
            "load_balancing",
            "router_z",
            "window_size",
        ):
            config[name] = getattr(self, name)
        return config
