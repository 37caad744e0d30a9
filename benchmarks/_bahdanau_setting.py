"""What all implementations of the translator have in common.

Sizes, weights and batches are made here, with numpy, and given to each. The
names and layouts of the weights are those of `weight_shapes`: kernels are
(input, output), the gates of a GRU are update, reset, candidate.
"""

import dataclasses

import numpy as np

# Padding, unknown, start, end. No translation ends: END is suppressed in all
# implementations, so that all do the same number of steps.
NEVER_EMITTED = 4
START_ID = 2


@dataclasses.dataclass(frozen=True)
class Setting:
    """Sizes of the model and of the batch, and the step of the optimizer."""

    embedding_dim: int
    hidden_dim: int
    vocabulary_size: int
    batch_size: int
    length: int
    tie_embeddings: bool = False
    input_in_query: bool = False
    label_smoothing: float = 0.1
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    gradient_clip_norm: float = 1.0
    beta_1: float = 0.9
    beta_2: float = 0.98
    epsilon: float = 1e-9
    threads: int = 1
    seed: int = 0

    @property
    def target_tokens(self):
        """Target tokens of one batch."""
        return self.batch_size * self.length


def weight_shapes(setting):
    """`{name: shape}` of all weights."""
    embedding, hidden = setting.embedding_dim, setting.hidden_dim
    vocabulary = setting.vocabulary_size
    query = hidden + setting.input_in_query * embedding
    shapes = {
        "source_embedding": (vocabulary, embedding),
        "target_embedding": (vocabulary, embedding),
        "bridge_kernel": (2 * hidden, hidden),
        "bridge_bias": (hidden,),
        "query_kernel": (query, hidden),
        "key_kernel": (2 * hidden, hidden),
        "score_kernel": (hidden, 1),
        "input_kernel": (embedding, 3 * hidden),
        "input_bias": (3 * hidden,),
        "context_kernel": (2 * hidden, 3 * hidden),
        "recurrent_kernel": (hidden, 3 * hidden),
        "recurrent_bias": (hidden,),  # of the candidate
        "readout_kernel": (3 * hidden + embedding, 2 * embedding),
        "readout_bias": (2 * embedding,),
    }
    for direction in ("forward", "backward"):
        shapes[f"{direction}_kernel"] = (embedding, 3 * hidden)
        shapes[f"{direction}_recurrent_kernel"] = (hidden, 3 * hidden)
        shapes[f"{direction}_bias"] = (3 * hidden,)
        shapes[f"{direction}_recurrent_bias"] = (hidden,)
    if not setting.tie_embeddings:
        shapes["output_kernel"] = (embedding, vocabulary)
        shapes["output_bias"] = (vocabulary,)
    return shapes


def make_weights(setting):
    """Random weights `{name: array}`: the same in each process.

    Kernels keep the scale of what they are applied to, so that no gradient
    is lost in rounding when implementations are compared.
    """
    generator = np.random.default_rng(setting.seed)
    weights = {}
    for name, shape in weight_shapes(setting).items():
        scale = shape[0] ** -0.5 if name.endswith("kernel") else 0.3
        values = scale * generator.standard_normal(shape)
        weights[name] = values.astype("float32")
    return weights


def make_batch(setting):
    """A batch of token ids: source, target and the tokens to predict.

    All sentences have the full length, so that padding costs nobody
    anything.
    """
    generator = np.random.default_rng(setting.seed + 1)
    source, predicted = generator.integers(
        NEVER_EMITTED,
        setting.vocabulary_size,
        size=(2, setting.batch_size, setting.length),
        dtype="int32",
    )
    target = np.roll(predicted, 1, axis=1)
    target[:, 0] = START_ID
    return source, target, predicted


def never_emitted(setting):
    """Added to logits, it keeps the special tokens out of a translation."""
    penalty = np.zeros(setting.vocabulary_size, "float32")
    penalty[:NEVER_EMITTED] = -1e30
    return penalty
