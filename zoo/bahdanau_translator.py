"""The recurrent translator with attention of Bahdanau et al. (2015)."""

from typing import Literal

import keras
from keras import ops

from layers import AdditiveAttention
from layers import AttentionDecoder
from layers import ConcatAttention
from layers import DotProductAttention
from layers import Dropout
from layers import MultiplicativeAttention
from layers.masks import padding_mask
from zoo._registry import Preset
from zoo._registry import register
from zoo._translator import Translator

# Given the width of the states, and what layers are given besides.
ATTENTIONS = {
    "additive": AdditiveAttention,
    "multiplicative": lambda units, **options: MultiplicativeAttention(
        score_mode="general", **options
    ),
    "concat": ConcatAttention,
    "scaled_dot": DotProductAttention,
    "none": None,
}

RECURRENT_LAYERS = {
    "gru": keras.layers.GRU,
    "lstm": keras.layers.LSTM,
    "simple_rnn": keras.layers.SimpleRNN,
}


@keras.saving.register_keras_serializable(package="attention_zoo")
class BahdanauTranslator(Translator):
    """Bidirectional recurrent encoder, recurrent decoder with attention.

    The readout is the paper's deep output (A.2.2) of state, context and
    previous token: a maxout layer, then a linear map to the vocabulary,
    which may share its matrix with the target embedding. It sees the new
    state s_t, where the paper has s_{t-1}.

    Args:
        source_vocabulary_size: Number of source tokens, the four special
            ones included (0 padding, 1 unknown, 2 start, 3 end).
        target_vocabulary_size: Number of target tokens, likewise.
        embedding_dim: Width of the embeddings, the paper's m.
        hidden_dim: Width of the recurrent states, of each direction of the
            encoder, and of the attention; the paper's n and n'.
        readout_dim: Width after the maxout, the paper's l;
            `embedding_dim` by default.
        attention: `"additive"` (Bahdanau), `"multiplicative"` or `"concat"`
            (Luong's "general" and "concat"), `"scaled_dot"` (Vaswani), or
            `"none"`: the final states of the encoder are the one context of
            all steps.
        cell: `"gru"`, `"lstm"` or `"simple_rnn"`.
        input_in_query: Whether the attention sees the previous token too,
            not only the state before it as in the paper.
        tie_embeddings: Whether the output matrix is the transposed target
            embedding; `readout_dim` must then be `embedding_dim`.
        embedding_dropout: Fraction of the embedded features to drop.
        dropout: Fraction of the encoder states and of the readout to drop.
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
        ValueError: If `attention` or `cell` is unknown, or `readout_dim`
            does not fit tied embeddings.

    Reference:
        [Bahdanau et al., 2015](https://arxiv.org/abs/1409.0473).
    """

    def __init__(
        self,
        source_vocabulary_size: int,
        target_vocabulary_size: int,
        embedding_dim: int = 128,
        hidden_dim: int = 256,
        readout_dim: int | None = None,
        attention: Literal[
            "additive", "multiplicative", "concat", "scaled_dot", "none"
        ] = "additive",
        cell: Literal["gru", "lstm", "simple_rnn"] = "gru",
        input_in_query: bool = False,
        tie_embeddings: bool = False,
        embedding_dropout: float = 0.0,
        dropout: float = 0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        for name, value, known in (
            ("attention", attention, ATTENTIONS),
            ("cell", cell, RECURRENT_LAYERS),
        ):
            if value not in known:
                raise ValueError(
                    f"`{name}` must be one of {', '.join(known)}. "
                    f"Received: {name}={value}"
                )
        if tie_embeddings and readout_dim not in (None, embedding_dim):
            raise ValueError(
                "With `tie_embeddings`, `readout_dim` must be "
                f"`embedding_dim`, {embedding_dim}. "
                f"Received: readout_dim={readout_dim}"
            )
        self.source_vocabulary_size = source_vocabulary_size
        self.target_vocabulary_size = target_vocabulary_size
        self.embedding_dim = embedding_dim
        self.hidden_dim = hidden_dim
        self.readout_dim = readout_dim
        self.attention = attention
        self.cell = cell
        self.input_in_query = input_in_query
        self.tie_embeddings = tie_embeddings
        self.embedding_dropout = embedding_dropout
        self.dropout = dropout
        self._make_layers(self.dtype_policy)

    def _make_layers(self, dtype):
        self.source_embedding = keras.layers.Embedding(
            self.source_vocabulary_size,
            self.embedding_dim,
            dtype=dtype,
            name="source_embedding",
        )
        # Called with `reverse=True` it is the output projection.
        self.target_embedding = keras.layers.ReversibleEmbedding(
            self.target_vocabulary_size,
            self.embedding_dim,
            tie_weights=True,
            dtype=dtype,
            name="target_embedding",
        )
        self.drop_embedding = Dropout(
            self.embedding_dropout, dtype=dtype, name="drop_embedding"
        )
        self.drop = Dropout(self.dropout, dtype=dtype, name="drop")
        # Under XLA the layer of Keras is faster than one loop for both
        # directions, and on a GPU without it uses cuDNN.
        self.encoder = keras.layers.Bidirectional(
            RECURRENT_LAYERS[self.cell](
                self.hidden_dim,
                return_sequences=True,
                return_state=True,
                dtype=dtype,
            ),
            dtype=dtype,
            name="encoder",
        )
        self.bridge = keras.layers.Dense(
            self.hidden_dim, activation="tanh", dtype=dtype, name="bridge"
        )
        attention = ATTENTIONS[self.attention]
        self.decoder = AttentionDecoder(
            self.hidden_dim,
            attention=attention
            and attention(units=self.hidden_dim, dtype=dtype, name="cross"),
            cell=self.cell,
            input_in_query=self.input_in_query,
            dtype=dtype,
            name="decoder",
        )
        readout_dim = self.readout_dim or self.embedding_dim
        self.readout = keras.layers.Dense(
            2 * readout_dim, dtype=dtype, name="readout"
        )
        self.output_projection = None
        if not self.tie_embeddings:
            self.output_projection = keras.layers.Dense(
                self.target_vocabulary_size,
                dtype=dtype,
                name="output_projection",
            )

    def call(self, inputs, training=None):
        memory = self.encode(inputs["source"], training=training)
        embedded = self._embed(
            self.target_embedding, inputs["target"], training
        )
        states, contexts = self.decoder(
            embedded,
            memory["value"],
            memory["initial_state"],
            value_mask=memory["mask"],
        )
        return self._logits(states, embedded, contexts, training)

    def encode(self, source, training=None):
        """Read the source: all that the decoder needs of it.

        Args:
            source: Token ids `(batch_size, source_length)`, padded with 0.
            training: Whether dropout is active.

        Returns:
            A dictionary: `value` `(batch_size, source_length,
            2 * hidden_dim)`, `mask`, and `initial_state`
            `(batch_size, hidden_dim)`.
        """
        mask = padding_mask(source)
        embedded = self._embed(self.source_embedding, source, training)
        outputs, *final = self.encoder(embedded, mask=mask)
        half = len(final) // 2  # an LSTM gives its carries too
        summary = ops.concatenate([final[0], final[half]], axis=-1)
        if self.attention == "none":
            outputs, mask = summary[:, None, :], mask[:, :1]
        return {
            "value": self.drop(outputs, training=training),
            "mask": mask,
            "initial_state": self.bridge(summary),
        }

    def start(self, memory, capacity=None):
        return {
            "states": self.decoder.start(memory["initial_state"]),
            "memory": self.decoder.project(
                memory["value"], value_mask=memory["mask"]
            ),
        }

    def step(self, tokens, state):
        embedded = self._embed(self.target_embedding, tokens, False)
        states, context = self.decoder.step(
            embedded, state["states"], state["memory"]
        )
        logits = self._logits(states[0], embedded, context, False)
        return logits, {**state, "states": states}

    def _embed(self, embedding, tokens, training):
        return self.drop_embedding(embedding(tokens), training=training)

    def _logits(self, states, embedded, contexts, training):
        features = ops.concatenate([states, embedded, contexts], axis=-1)
        first, second = ops.split(self.readout(features), 2, axis=-1)
        readout = self.drop(ops.maximum(first, second), training=training)
        if self.tie_embeddings:
            logits = self.target_embedding(readout, reverse=True)
        else:
            logits = self.output_projection(readout)
        return ops.cast(logits, "float32")


def _preset(size, architecture, vocabulary_size, parameters, **settings):
    return Preset(
        name=f"bahdanau_translator_{size}",
        model=BahdanauTranslator,
        architecture=architecture,
        parameters=parameters,
        counted_with={
            "source_vocabulary_size": vocabulary_size,
            "target_vocabulary_size": vocabulary_size,
        },
        paper="Bahdanau et al., 2015, https://arxiv.org/abs/1409.0473",
        **settings,
    )


# What Multi30k and other small sets of real sentences are fitted with.
_RECIPE = {
    "epochs": 30,
    "learning_rate": 2e-3,
    "warmup_steps": 500,
    "label_smoothing": 0.1,
    "average_decay": 0.999,
    "validation_metric": "bleu",
}
_SUBWORDS = {
    "tokenizer": "subword",
    "vocabulary_size": 8000,
    "lowercase": True,
}

register(
    _preset(
        "tiny",
        {"embedding_dim": 64, "hidden_dim": 128, "input_in_query": True},
        vocabulary_size=1000,
        parameters=662_376,
        dataset="phrases",
        recipe={
            "epochs": 8,
            "learning_rate": 4e-3,
            "validation_metric": "exact_match",
        },
        preprocessing={"tokenizer": "word"},
        expected_score="exact match 0.9975 on the test split",
    ),
    _preset(
        "small",
        {
            "embedding_dim": 256,
            "hidden_dim": 256,
            "input_in_query": True,
            "tie_embeddings": True,
            "embedding_dropout": 0.2,
            "dropout": 0.3,
        },
        vocabulary_size=4000,
        parameters=4_543_488,
        dataset="multi30k_en_fr",
        recipe={
            **_RECIPE,
            "epochs": 24,
            "tokens_per_batch": 1024,
            "learning_rate": 1.5e-3,
        },
        preprocessing={**_SUBWORDS, "vocabulary_size": 4000},
        expected_score="BLEU 60.0, lower-cased Moses tokens, on the test split",
    ),
    _preset(
        "base",
        {
            "embedding_dim": 256,
            "hidden_dim": 512,
            "input_in_query": True,
            "tie_embeddings": True,
            "embedding_dropout": 0.2,
            "dropout": 0.3,
        },
        vocabulary_size=8000,
        parameters=11_576_832,
        dataset="tatoeba_en_fr",
        recipe=_RECIPE,
        preprocessing=_SUBWORDS,
    ),
    _preset(
        # The sizes of RNNsearch-50: m 620, n and n' 1000, l 500.
        "large",
        {"embedding_dim": 620, "hidden_dim": 1000, "readout_dim": 500},
        vocabulary_size=30_000,
        parameters=81_449_000,
        dataset="tatoeba_en_fr",
        recipe={**_RECIPE, "learning_rate": 5e-4},
        preprocessing={
            "tokenizer": "word",
            "vocabulary_size": 30_000,
            "max_sequence_length": 51,
        },
    ),
)
