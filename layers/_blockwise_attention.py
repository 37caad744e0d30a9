"""Query-key attention that knows the memory-linear path."""

from keras import ops

from layers._attention_path import attend
from layers._query_key_attention import QueryKeyAttention


class BlockwiseAttention(QueryKeyAttention):
    """Base of the layers whose scores can be computed in blocks.

    Args:
        blockwise: Whether to compute the scores in blocks and, for the
            gradient, again; None decides by the lengths.
        **kwargs: Arguments of `QueryKeyAttention`.
    """

    def __init__(self, blockwise=None, **kwargs):
        super().__init__(**kwargs)
        self.blockwise = blockwise

    def attend_heads(self, score, query, memory, given, seed, asked, **more):
        """Context and scores of all heads.

        Args:
            score: One of the scores of `_attention_scores`.
            query: `(B, N, T, H)`.
            memory: `key` `(B, K, S, H)` and `value` `(B, K, S, D)`.
            given, seed, asked: As in `look`.
            **more: `weights` of the score, and a `bias` of its logits.

        Returns:
            The context `(B, N, T, D)`, and the scores or, if not asked for,
            anything.
        """
        return attend(
            score,
            query,
            memory["key"],
            memory["value"],
            more.pop("weights", ()),
            given,
            rate=self.dropout,
            seed=seed,
            blockwise=self.blockwise,
            asked=asked,
            **more,
        )

    def attend_one_head(self, score, query, memory, given, seed, asked, **more):
        """As `attend_heads`, without the axis of the heads but in the
        scores."""
        memory = {name: memory[name][:, None] for name in ("key", "value")}
        context, scores = self.attend_heads(
            score, query[:, None], memory, given, seed, asked, **more
        )
        return ops.squeeze(context, axis=1), scores

    def get_config(self):
        return {**super().get_config(), "blockwise": self.blockwise}
