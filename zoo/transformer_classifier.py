"""The Transformer encoder as a classifier of texts; BERT is one."""

from typing import Literal

import keras
from keras import ops

from layers import Dropout
from layers import PositionEmbedding
from layers._normalization import make_normalization
from layers._random_bits import draw_seed
from layers._random_bits import random_fractions
from layers.masks import check_mask
from layers.masks import padding_mask
from zoo._encoder_classifier import EncoderClassifier
from zoo._encoder_classifier import mean_over
from zoo._registry import Preset
from zoo._registry import register


@keras.saving.register_keras_serializable(package="attention_zoo")
class TransformerClassifier(EncoderClassifier):
    """Token and position embeddings, encoder blocks, pooling, head.

        x = drop(E[token] + P[position] + S[segment])
        states = encoder(x)
        logits = head(drop(pool(states)))

    Post-norm is BERT: the sum of the embeddings is normalised, and so is
    each sum of a branch and what is carried around it. Pre-norm, which is
    easier to fit from scratch, normalises what goes into the branches, and
    the last states.

    Args:
        vocabulary_size: Number of tokens, padding (0) included.
        num_classes: Number of classes; None for no head, so that the model
            gives what was pooled.
        num_layers: Number of encoder blocks.
        num_heads: Number of heads of each.
        hidden_dim: Width of the states.
        intermediate_dim: Width inside the feed-forward networks.
        max_sequence_length: Most tokens of a text.
        num_segments: Number of kinds of token that the text may be divided
            into (BERT's token types, 2); 0 for none.
        pooling: `"class_token"`: the state of the first token, which the
            preprocessing puts there for this; `"mean"` of the real tokens;
            or `"attention"`, a weighted mean whose weights are learned.
        pooler: Whether a dense layer with tanh follows the pooling, as in
            BERT.
        normalize_first: Pre-norm, else post-norm.
        activation: Activation inside the feed-forward networks.
        dropout: Fraction to drop of the embeddings, of the outputs of each
            branch, and of what was pooled.
        attention_dropout: Fraction of the attention weights to drop.
        token_dropout: Fraction of the tokens that nothing attends to in
            training (Iyyer et al., 2015); those after them keep their
            positions, and the first, which may stand for the text, is kept.
        stochastic_depth: Fraction of the samples that skip the last block;
            those before it are skipped less often.
        layer_norm_epsilon: Added to the variance in the normalisation.
        embedding_pooling: What `sentence_embeddings` are: `"mean"` of the
            real tokens, or `"class_token"`, the state of the first.
        normalize_embeddings: Whether they have the length 1.
        **kwargs: Arguments of `keras.Model`.

    Call arguments:
        inputs: A dictionary: `tokens`, ids padded with 0
            `(batch_size, length)`, and, if there are segments, `segments`, of
            the same shape; all are of segment 0 without it.
        token_mask: Boolean `(batch_size, length)`: False leaves a token out
            as if it were not there, to see what depends on it.
        training: Whether dropout is active.

    Returns:
        Logits `(batch_size, num_classes)`, float32 or wider; without a head
        what was pooled, `(batch_size, hidden_dim)`.

    Raises:
        ValueError: If a pooling is unknown, a size does not fit, or a text
            has more than `max_sequence_length` tokens, where that is known.

    Example:

    >>> model = TransformerClassifier(vocabulary_size=4000, num_classes=2)
    >>> logits = model({"tokens": token_ids})
    >>> model.attention_scores({"tokens": token_ids})["encoder/0/self"]

    References:
        [Vaswani et al., 2017](https://arxiv.org/abs/1706.03762), section 3;
        [Devlin et al., 2019](https://arxiv.org/abs/1810.04805), section 3;
        [Iyyer et al., 2015](https://aclanthology.org/P15-1162), section 3.1.
    """

    task = "text_classification"

    def __init__(
        self,
        vocabulary_size: int,
        num_classes: int | None,
        num_layers: int = 2,
        num_heads: int = 4,
        hidden_dim: int = 128,
        intermediate_dim: int = 512,
        max_sequence_length: int = 128,
        num_segments: int = 0,
        pooling: Literal["class_token", "mean", "attention"] = "mean",
        pooler: bool = False,
        normalize_first: bool = True,
        activation: str = "gelu",
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        token_dropout: float = 0.0,
        stochastic_depth: float = 0.0,
        layer_norm_epsilon: float = 1e-6,
        embedding_pooling: Literal["mean", "class_token"] = "mean",
        normalize_embeddings: bool = True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.vocabulary_size = vocabulary_size
        self.num_classes = num_classes
        self.num_layers = num_layers
        self.num_heads = num_heads
        self.hidden_dim = hidden_dim
        self.intermediate_dim = intermediate_dim
        self.max_sequence_length = max_sequence_length
        self.num_segments = num_segments
        self.pooling = pooling
        self.pooler = pooler
        self.normalize_first = normalize_first
        self.activation = activation
        self.dropout = dropout
        self.attention_dropout = attention_dropout
        self.token_dropout = token_dropout
        self.stochastic_depth = stochastic_depth
        self.layer_norm_epsilon = layer_norm_epsilon
        self.embedding_pooling = embedding_pooling
        self.normalize_embeddings = normalize_embeddings
        if embedding_pooling not in ("mean", "class_token"):
            raise ValueError(
                "`embedding_pooling` must be mean or class_token. "
                f"Received: embedding_pooling={embedding_pooling}"
            )
        if not 0 <= token_dropout < 1:
            raise ValueError(
                "`token_dropout` must be at least 0 and below 1. "
                f"Received: token_dropout={token_dropout}"
            )
        self._make_layers(normalize_first)
        self._make_embeddings(self.dtype_policy)
        if token_dropout:
            self.token_seed = keras.random.SeedGenerator()

    def _make_embeddings(self, dtype):
        self.token_embedding = keras.layers.Embedding(
            self.vocabulary_size,
            self.hidden_dim,
            embeddings_initializer=_small_numbers(),
            dtype=dtype,
            name="token_embedding",
        )
        self.position_embedding = PositionEmbedding(
            self.max_sequence_length,
            initializer=_small_numbers(),
            dtype=dtype,
            name="position_embedding",
        )
        self.segment_embedding = self.embedding_normalization = None
        if self.num_segments:
            self.segment_embedding = keras.layers.Embedding(
                self.num_segments,
                self.hidden_dim,
                embeddings_initializer=_small_numbers(),
                dtype=dtype,
                name="segment_embedding",
            )
        if not self.normalize_first:
            self.embedding_normalization = make_normalization(
                "layer",
                epsilon=self.layer_norm_epsilon,
                name="embedding_normalization",
                dtype=dtype,
            )
        self.drop_embedding = Dropout(
            self.dropout, dtype=dtype, name="drop_embedding"
        )

    def build(self, inputs_shape=None):
        states_shape = (None, None, self.hidden_dim)
        self.token_embedding.build((None, None))
        self.position_embedding.build(states_shape)
        if self.segment_embedding is not None:
            self.segment_embedding.build((None, None))
        if self.embedding_normalization is not None:
            self.embedding_normalization.build(states_shape)
        self._build_layers()

    def embed(self, inputs, training=None):
        embedded = self.token_embedding(inputs["tokens"])
        embedded = self.position_embedding(embedded)
        if self.segment_embedding is not None:
            if "segments" in inputs:
                segments = self.segment_embedding(inputs["segments"])
            else:
                segments = self.segment_embedding.embeddings[0]
            embedded = embedded + ops.cast(segments, embedded.dtype)
        elif "segments" in inputs:
            raise ValueError(
                "This model knows no segments. "
                f"Received: num_segments={self.num_segments}, inputs with "
                f"{', '.join(inputs)}"
            )
        if self.embedding_normalization is not None:
            embedded = self.embedding_normalization(embedded)
        return self.drop_embedding(embedded, training=training)

    def features(self, inputs, token_mask=None, training=None):
        if training and self.token_dropout:
            kept = self._draw_kept_tokens(ops.shape(inputs["tokens"]))
            token_mask = check_mask(token_mask, "token_mask", rank=2)
            if token_mask is not None:
                kept = ops.logical_and(kept, token_mask)
            token_mask = kept
        return super().features(inputs, token_mask, training=training)

    def _draw_kept_tokens(self, shape):
        fractions = random_fractions(shape, draw_seed(self.token_seed))
        is_first = ops.arange(shape[1]) == 0
        return ops.logical_or(fractions >= self.token_dropout, is_first)

    def padding_of(self, inputs):
        return padding_mask(inputs["tokens"])

    def sentence_embeddings(self, inputs):
        """A vector for each text, out of the last states.

        They are the mean over the real tokens, or the state of the first
        token, as `embedding_pooling` says. With `normalize_embeddings` their
        length is 1, so a dot product of two of them is their cosine. Whatever
        `pooling` is, and without the head.

        Returns:
            `(batch_size, hidden_dim)`, float32 or wider. The mean of a text
            without tokens is zeros.

        Reference:
            [Reimers and Gurevych, 2019](https://arxiv.org/abs/1908.10084),
            section 3.
        """
        if not self.built:
            self.build()
        pooled = self.encode(inputs)
        if self.embedding_pooling == "mean":
            pooled = mean_over(pooled, self.padding_of(inputs))
        else:
            pooled = pooled[:, 0]
        wide = keras.backend.result_type(pooled.dtype, "float32")
        pooled = ops.cast(pooled, wide)
        if not self.normalize_embeddings:
            return pooled
        return ops.normalize(pooled, axis=-1, order=2)


def _small_numbers():
    return keras.initializers.TruncatedNormal(stddev=0.02)


def _preset(size, architecture, preprocessing, **settings):
    return Preset(
        name=f"transformer_classifier_{size}",
        model=TransformerClassifier,
        architecture=architecture,
        preprocessing=preprocessing,
        counted_with={
            "vocabulary_size": preprocessing["vocabulary_size"],
            "max_sequence_length": preprocessing["max_sequence_length"],
            "num_classes": None,
        },
        **settings,
    )


def _bert(size, num_layers, num_heads, hidden_dim, parameters):
    """BERT uncased: embeddings, encoder and pooler; no head."""
    return _preset(
        size,
        {
            "num_layers": num_layers,
            "num_heads": num_heads,
            "hidden_dim": hidden_dim,
            "intermediate_dim": 4 * hidden_dim,
            "num_segments": 2,
            "pooling": "class_token",
            "pooler": True,
            "normalize_first": False,
            "dropout": 0.1,
            "attention_dropout": 0.1,
            "layer_norm_epsilon": 1e-12,
        },
        {"vocabulary_size": 30_522, "max_sequence_length": 512},
        parameters=parameters,
        dataset="sst2",
        recipe={"epochs": 3, "learning_rate": 3e-5, "weight_decay": 0.01},
        paper="Devlin et al., 2019, https://arxiv.org/abs/1810.04805",
    )


register(
    _preset(
        "tiny",
        {
            "num_layers": 2,
            "num_heads": 4,
            "hidden_dim": 64,
            "intermediate_dim": 128,
            "pooling": "attention",
            "dropout": 0.1,
        },
        {"vocabulary_size": 2000, "max_sequence_length": 64},
        parameters=199_232,
        dataset="language_id",
        recipe={
            "epochs": 6,
            "batch_size": 128,
            "learning_rate": 2e-3,
            "jit": False,
        },
        paper="Vaswani et al., 2017, https://arxiv.org/abs/1706.03762",
    ),
    _preset(
        "small",
        {
            "num_layers": 2,
            "num_heads": 4,
            "hidden_dim": 256,
            "intermediate_dim": 256,
            "pooling": "attention",
            "dropout": 0.3,
            "attention_dropout": 0.1,
            "token_dropout": 0.5,
            "stochastic_depth": 0.1,
        },
        {
            "tokenizer": "word",
            "vocabulary_size": 16_000,
            "max_sequence_length": 128,
            "lowercase": True,
        },
        parameters=4_921_088,
        dataset="sst2",
        recipe={
            "epochs": 8,
            "learning_rate": 5e-4,
            "weight_decay": 0.05,
            "label_smoothing": 0.1,
            "average_decay": 0.995,
            # Of 872 sentences it says more than the accuracy.
            "validation_metric": "loss",
            "jit": False,
        },
        paper="Vaswani et al., 2017, https://arxiv.org/abs/1706.03762",
        expected_score="accuracy 0.8116 on the test split",
    ),
    _bert("base", 12, 12, 768, parameters=109_482_240),
    _bert("large", 24, 16, 1024, parameters=335_141_888),
)
