"""The Transformer of Vaswani et al. (2017) as a translator."""

import keras
from keras import ops

from layers import Dropout
from layers import SinusoidalPositionEncoding
from layers.masks import padding_mask
from zoo._registry import Preset
from zoo._registry import register
from zoo._transformer_decoder import TransformerDecoder
from zoo._transformer_encoder import TransformerEncoder
from zoo._translator import Translator


@keras.saving.register_keras_serializable(package="attention_zoo")
class TransformerTranslator(Translator):
    """Encoder and decoder of attention alone.

        x = drop(sqrt(hidden_dim) E[token] + sinusoid(position))
        memory = encoder(x_source)
        logits = decoder(x_target, memory) E_target^T

    Args:
        source_vocabulary_size: Number of source tokens, the four special
            ones included (0 padding, 1 unknown, 2 start, 3 end).
        target_vocabulary_size: Number of target tokens, likewise.
        num_layers: Number of blocks of the encoder, and of the decoder.
        num_decoder_layers: Number of blocks of the decoder, where it has
            another.
        num_heads: Number of heads of each attention.
        hidden_dim: Width of the states, a multiple of `num_heads`.
        intermediate_dim: Width inside the feed-forward networks.
        share_embeddings: Whether source and target have one embedding; their
            vocabulary must then be one, too.
        tie_embeddings: Whether the output matrix is the transposed target
            embedding (section 3.4).
        normalize_first: Pre-norm, which is easier to fit where there are
            many layers; else post-norm, as in the paper.
        activation: Activation inside the feed-forward networks.
        dropout: Fraction to drop of the embeddings and of the outputs of
            each branch.
        attention_dropout: Fraction of the attention weights to drop.
        layer_norm_epsilon: Added to the variance in the normalisation.
        **kwargs: Arguments of `keras.Model`.

    Call arguments:
        inputs: A dictionary of token ids, padded with 0: `source`
            `(batch_size, source_length)`, and `target`
            `(batch_size, target_length)`, START and then the tokens that
            stand before each one to be predicted.
        training: Whether dropout is active.

    Returns:
        Logits of the next token,
        `(batch_size, target_length, target_vocabulary_size)`, float32.

    Raises:
        ValueError: If the sizes do not fit, or embeddings are to be shared
            by vocabularies that differ.

    Reference:
        [Vaswani et al., 2017](https://arxiv.org/abs/1706.03762), section 3.
    """

    def __init__(
        self,
        source_vocabulary_size: int,
        target_vocabulary_size: int,
        num_layers: int = 4,
        num_decoder_layers: int | None = None,
        num_heads: int = 4,
        hidden_dim: int = 128,
        intermediate_dim: int = 256,
        share_embeddings: bool = False,
        tie_embeddings: bool = True,
        normalize_first: bool = True,
        activation: str = "relu",
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        layer_norm_epsilon: float = 1e-6,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if share_embeddings and (
            source_vocabulary_size != target_vocabulary_size
        ):
            raise ValueError(
                "With `share_embeddings`, both vocabularies must be one. "
                f"Received: source_vocabulary_size={source_vocabulary_size}, "
                f"target_vocabulary_size={target_vocabulary_size}"
            )
        self.source_vocabulary_size = source_vocabulary_size
        self.target_vocabulary_size = target_vocabulary_size
        self.num_layers = num_layers
        self.num_decoder_layers = num_decoder_layers
        self.num_heads = num_heads
        self.hidden_dim = hidden_dim
        self.intermediate_dim = intermediate_dim
        self.share_embeddings = share_embeddings
        self.tie_embeddings = tie_embeddings
        self.normalize_first = normalize_first
        self.activation = activation
        self.dropout = dropout
        self.attention_dropout = attention_dropout
        self.layer_norm_epsilon = layer_norm_epsilon
        self._make_layers(self.dtype_policy)

    def _make_layers(self, dtype):
        shared = {
            "num_heads": self.num_heads,
            "hidden_dim": self.hidden_dim,
            "intermediate_dim": self.intermediate_dim,
            "activation": self.activation,
            "normalize_first": self.normalize_first,
            "dropout": self.dropout,
            "attention_dropout": self.attention_dropout,
            "epsilon": self.layer_norm_epsilon,
            "dtype": dtype,
        }
        # First the encoder, which checks the sizes.
        self.encoder = TransformerEncoder(
            self.num_layers, name="encoder", **shared
        )
        num_decoder_layers = self.num_decoder_layers
        self.decoder = TransformerDecoder(
            self.num_layers
            if num_decoder_layers is None
            else num_decoder_layers,
            name="decoder",
            **shared,
        )
        # Called with `reverse=True` it is the output projection.
        self.target_embedding = keras.layers.ReversibleEmbedding(
            self.target_vocabulary_size,
            self.hidden_dim,
            tie_weights=self.tie_embeddings,
            embeddings_initializer=self._initializer(),
            dtype=dtype,
            name="target_embedding",
        )
        self.source_embedding = self.target_embedding
        if not self.share_embeddings:
            self.source_embedding = keras.layers.Embedding(
                self.source_vocabulary_size,
                self.hidden_dim,
                embeddings_initializer=self._initializer(),
                dtype=dtype,
                name="source_embedding",
            )
        self.positions = SinusoidalPositionEncoding(
            dtype=dtype, name="positions"
        )
        self.drop = Dropout(self.dropout, dtype=dtype, name="drop")

    def _initializer(self):
        # So that tied logits have a variance of about 1.
        return keras.initializers.RandomNormal(stddev=self.hidden_dim**-0.5)

    def build(self, inputs_shape=None):
        states_shape = (None, None, self.hidden_dim)
        self.target_embedding.build((None, None))
        if not self.share_embeddings:
            self.source_embedding.build((None, None))
        self.encoder.build(states_shape)
        self.decoder.build(states_shape, states_shape)

    def call(self, inputs, training=None):
        memory = self.encode(inputs["source"], training=training)
        target = inputs["target"]
        states = self.decoder(
            self._embed(self.target_embedding, target, training=training),
            memory["value"],
            mask=padding_mask(target),
            value_mask=memory["mask"],
            training=training,
        )
        return self._logits(states)

    def encode(self, source, training=None):
        """Read the source: all that the decoder needs of it.

        Args:
            source: Token ids `(batch_size, source_length)`, padded with 0.
            training: Whether dropout is active.

        Returns:
            A dictionary: `value` `(batch_size, source_length, hidden_dim)`
            and `mask`.
        """
        mask = padding_mask(source)
        embedded = self._embed(self.source_embedding, source, training=training)
        states = self.encoder(embedded, mask=mask, training=training)
        return {"value": states, "mask": mask}

    def start(self, memory, capacity=None):
        own, cross = self.decoder.start(
            memory["value"], value_mask=memory["mask"], capacity=capacity
        )
        step = ops.convert_to_tensor(0, dtype="int32")
        return {"states": {"self": own, "step": step}, "memory": cross}

    def step(self, tokens, state):
        states = state["states"]
        embedded = self._embed(
            self.target_embedding, tokens[:, None], states["step"]
        )
        outputs, own = self.decoder.step(
            embedded, states["self"], state["memory"]
        )
        states = {"self": own, "step": states["step"] + 1}
        return self._logits(outputs[:, 0]), {**state, "states": states}

    def _embed(self, embedding, tokens, first=0, training=None):
        embedded = embedding(tokens) * self.hidden_dim**0.5
        embedded = self.positions(embedded, start_index=first)
        return self.drop(embedded, training=training)

    def _logits(self, states):
        logits = self.target_embedding(states, reverse=True)
        return ops.cast(logits, "float32")


def _preset(size, architecture, vocabulary_size, parameters, **settings):
    return Preset(
        name=f"transformer_translator_{size}",
        model=TransformerTranslator,
        architecture=architecture,
        parameters=parameters,
        counted_with={
            "source_vocabulary_size": vocabulary_size,
            "target_vocabulary_size": vocabulary_size,
        },
        **settings,
    )


_RECIPE = {
    "schedule": "inverse_square_root",
    "label_smoothing": 0.1,
    "validation_metric": "bleu",
}
_SUBWORDS = {
    "tokenizer": "subword",
    "shared_vocabulary": True,
    "lowercase": True,
}

register(
    _preset(
        # Transformer-Tiny of Wu et al.
        "tiny",
        {
            "num_layers": 4,
            "num_heads": 4,
            "hidden_dim": 128,
            "intermediate_dim": 256,
            "share_embeddings": True,
            "dropout": 0.2,
        },
        vocabulary_size=4000,
        parameters=1_837_568,
        dataset="multi30k_en_de",
        recipe={
            **_RECIPE,
            "schedule": "cosine",
            "epochs": 60,
            "tokens_per_batch": 2048,
            "learning_rate": 3e-3,
            "warmup_steps": 1500,
            "average_decay": 0.999,
        },
        preprocessing={**_SUBWORDS, "vocabulary_size": 4000},
        expected_score="BLEU 39.3, lower-cased Moses tokens, on the test split",
        paper="Wu et al., 2021, https://arxiv.org/abs/2105.14462",
    ),
    _preset(
        "small",
        {
            "num_layers": 4,
            "num_heads": 4,
            "hidden_dim": 256,
            "intermediate_dim": 1024,
            "share_embeddings": True,
            "dropout": 0.2,
        },
        vocabulary_size=8000,
        parameters=9_421_824,
        dataset="tatoeba_en_fr",
        recipe={
            **_RECIPE,
            "epochs": 30,
            "tokens_per_batch": 4096,
            "learning_rate": 2e-3,
            "warmup_steps": 2000,
            "average_decay": 0.999,
        },
        preprocessing={**_SUBWORDS, "vocabulary_size": 8000},
        paper="Vaswani et al., 2017, https://arxiv.org/abs/1706.03762",
    ),
    *(
        _preset(
            size,
            {
                "num_layers": 6,
                "num_heads": num_heads,
                "hidden_dim": hidden_dim,
                "intermediate_dim": 4 * hidden_dim,
                "share_embeddings": True,
                "normalize_first": False,
                "dropout": dropout,
            },
            vocabulary_size=37_000,
            parameters=parameters,
            dataset="tatoeba_en_fr",
            recipe={
                **_RECIPE,
                "epochs": 20,
                "tokens_per_batch": 8192,
                "learning_rate": hidden_dim**-0.5 * 4000**-0.5,
                "warmup_steps": 4000,
            },
            preprocessing={**_SUBWORDS, "vocabulary_size": 37_000},
            paper="Vaswani et al., 2017, https://arxiv.org/abs/1706.03762",
        )
        for size, num_heads, hidden_dim, dropout, parameters in (
            ("base", 8, 512, 0.1, 63_082_496),
            ("large", 16, 1024, 0.3, 214_245_376),
        )
    ),
)
