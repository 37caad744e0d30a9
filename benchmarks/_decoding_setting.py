"""What all implementations of the Transformer translator have in common.

Sizes, weights and batches are made here, with numpy, and given to each. The
names and layouts of the weights are those of `weight_shapes`: kernels are
(input, output), and features stand in the order of the model of the zoo.
"""

import dataclasses

import numpy as np

# No translation ends: the special tokens are impossible in all
# implementations, so that all write the same number of tokens.
PADDING_ID, UNKNOWN_ID, START_ID, END_ID = range(4)
NEVER_EMITTED = 4

BRANCHES = {
    "encoder": ("attention", "feed_forward"),
    "decoder": ("self_attention", "cross_attention", "feed_forward"),
}


@dataclasses.dataclass(frozen=True)
class Setting:
    """Sizes of the model and of the batch, and the step of the optimizer.

    Nothing is dropped.
    """

    num_layers: int = 4
    num_heads: int = 4
    hidden_dim: int = 256
    intermediate_dim: int = 1024
    vocabulary_size: int = 8000
    batch_size: int = 64
    source_length: int = 16
    target_length: int = 32
    beam_width: int = 4
    layer_norm_epsilon: float = 1e-5
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    beta_1: float = 0.9
    beta_2: float = 0.98
    epsilon: float = 1e-9
    threads: int = 1
    seed: int = 0

    @property
    def target_tokens(self):
        """Target tokens of one batch."""
        return self.batch_size * self.target_length


def weight_shapes(setting):
    """`{name: shape}` of all weights."""
    hidden, inner = setting.hidden_dim, setting.intermediate_dim
    shapes = {"embedding": (setting.vocabulary_size, hidden)}
    for side, branches in BRANCHES.items():
        for place in range(setting.num_layers):
            for branch in branches:
                widths = dict.fromkeys(
                    ("query", "key", "value", "output"), (hidden, hidden)
                )
                if branch == "feed_forward":
                    widths = {
                        "hidden": (hidden, inner),
                        "output": (inner, hidden),
                    }
                prefix = f"{side}/{place}/{branch}"
                for name, shape in widths.items():
                    shapes[f"{prefix}/{name}_kernel"] = shape
                    shapes[f"{prefix}/{name}_bias"] = shape[1:]
                shapes[f"{prefix}/gamma"] = shapes[f"{prefix}/beta"] = (hidden,)
    return shapes


def make_weights(setting):
    """Random weights `{name: array}`: the same in each process.

    Kernels keep the scale of what they are applied to, so that attention is
    far from uniform. The embedding of START is 0: CTranslate2 starts with
    zeros.
    """
    generator = np.random.default_rng(setting.seed)
    weights = {}
    for name, shape in weight_shapes(setting).items():
        values = generator.standard_normal(shape)
        if name == "embedding":
            values *= setting.hidden_dim**-0.5
            values[START_ID] = 0.0
        elif name.endswith("kernel"):
            values *= shape[0] ** -0.5
        else:
            values = 0.3 * values + name.endswith("gamma")
        weights[name] = values.astype("float32")
    return weights


def make_batch(setting):
    """A batch of token ids: source, target and the tokens to predict.

    All sentences have the full length, so that padding costs nobody
    anything.
    """
    generator = np.random.default_rng(setting.seed + 1)
    source, predicted = (
        generator.integers(
            NEVER_EMITTED,
            setting.vocabulary_size,
            size=(setting.batch_size, length),
            dtype="int32",
        )
        for length in (setting.source_length, setting.target_length)
    )
    target = np.roll(predicted, 1, axis=1)
    target[:, 0] = START_ID
    return source, target, predicted


def never_emitted(setting):
    """Added to logits, it keeps the special tokens out of a translation."""
    penalty = np.zeros(setting.vocabulary_size, "float32")
    penalty[:NEVER_EMITTED] = -1e9
    return penalty


def marian_ids(setting):
    """Our id of each token, in the order of Marian's vocabularies.

    They begin with END and unknown, and end with what starts a translation.
    """
    text = range(NEVER_EMITTED, setting.vocabulary_size)
    return np.array([END_ID, UNKNOWN_ID, PADDING_ID, *text, START_ID])


def token_names(setting):
    """A word for each token, in the order of Marian's: its id of ours.

    A name tells CTranslate2 that the last one is no text.
    """
    return [*map(str, marian_ids(setting)[:-1]), "<pad>"]


def marian_weight(name, weight):
    """A weight with features in the order of Marian's.

    Ours are sine, cosine, sine, ... as in Vaswani et al.; Marian's are all
    sines and then all cosines. Where every weight that reads or writes the
    states is turned alike, the model is the same function.
    """
    kind = name.rpartition("/")[2]
    if kind.endswith("kernel") and not kind.startswith("output"):
        return np.concatenate([weight[0::2], weight[1::2]])
    if kind.startswith("output") or kind in ("embedding", "gamma", "beta"):
        pair = [weight[..., 0::2], weight[..., 1::2]]
        return np.concatenate(pair, axis=-1)
    return weight
