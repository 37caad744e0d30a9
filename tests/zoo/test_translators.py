"""What holds for every translator of the zoo."""

import collections
import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

import layers
import zoo
from tests.zoo.conftest import draw_weights
from zoo import Decoding

PADDING, UNKNOWN, START, END = range(4)

_ALWAYS = [
    {},
    {"attention": "scaled_dot", "cell": "lstm", "readout_dim": 5},
    {"attention": "none", "cell": "lstm", "tie_embeddings": True},
    {"kind": "transformer"},
    {
        "kind": "transformer",
        "share_embeddings": True,
        "target_vocabulary_size": 17,
        "num_decoder_layers": 1,
    },
]
_AT_LENGTH = [
    {"input_in_query": True, "tie_embeddings": True},
    {"attention": "none", "cell": "simple_rnn"},
    {"attention": "multiplicative", "cell": "simple_rnn"},
    {"attention": "concat", "cell": "lstm", "input_in_query": True},
    {"kind": "transformer", "normalize_first": False, "num_layers": 1},
    {"kind": "transformer", "tie_embeddings": False, "activation": "gelu"},
]
kinds = pytest.mark.parametrize(
    "overrides",
    [
        *_ALWAYS,
        *(pytest.param(x, marks=pytest.mark.long) for x in _AT_LENGTH),
    ],
    ids=lambda overrides: "-".join(map(str, overrides.values())) or "default",
)
both = pytest.mark.parametrize("kind", ["bahdanau", "transformer"])


def loss_of(logits, target):
    """Mean cross-entropy of the tokens after START."""
    labels = np.concatenate([target[:, 1:], [[END], [END]]], axis=1)
    return tf.reduce_mean(
        tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    )


def log_softmax(logits):
    logits = np.asarray(logits, "float64")
    logits = logits - logits.max(axis=-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))


# As a Keras model.


@kinds
def test_config(make_translator, overrides):
    model = make_translator(**overrides)
    config = model.get_config()
    for name, value in overrides.items():
        assert name == "kind" or config[name] == value
    again = type(model).from_config(config)
    assert again.get_config() == config


@kinds
def test_file(make_translator, inputs, overrides, tmp_path):
    model = make_translator(**overrides)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    assert type(loaded) is type(model)
    np.testing.assert_array_equal(loaded(inputs), model(inputs))
    # A loaded model may be asked to translate before it is called.
    again = keras.models.load_model(tmp_path / "model.keras")
    for left, right in zip(
        again.translate(inputs["source"], max_length=5),
        model.translate(inputs["source"], max_length=5),
    ):
        np.testing.assert_array_equal(left, right)


@kinds
def test_every_weight_has_a_gradient(make_translator, inputs, overrides):
    model = make_translator(**overrides)
    weights = model.trainable_variables
    with tf.GradientTape() as tape:
        loss = loss_of(model(inputs, training=True), inputs["target"])
    gradients = tape.gradient(loss, [weight.value for weight in weights])
    sizes = [np.abs(tf.convert_to_tensor(g)).max() for g in gradients]
    for weight, size in zip(weights, sizes):
        # A bias of the keys cancels in the softmax. Rounding noise would be
        # 1e-7 of the others.
        if not weight.path.endswith("key_bias"):
            assert size > 1e-4 * max(sizes), weight.path
    # Two embeddings; three of the encoder at least, two of the bridge, four
    # of the decoder, two of the readout.
    assert len(weights) > 12


@both
def test_one_compiled_step_moves_every_weight(make_translator, inputs, kind):
    model = make_translator(kind=kind, dropout=0.2)
    before = [weight.numpy().copy() for weight in model.trainable_variables]
    model.compile(
        keras.optimizers.SGD(1.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=True,
    )
    model.fit(inputs, inputs["target"], verbose=0)
    for weight, old in zip(model.trainable_variables, before):
        if not weight.path.endswith("key_bias"):
            assert np.abs(weight.numpy() - old).max() > 1e-5, weight.path


@pytest.mark.parametrize(
    "kind, name",
    [
        ("bahdanau", "dropout"),
        ("bahdanau", "embedding_dropout"),
        ("transformer", "dropout"),
        ("transformer", "attention_dropout"),
    ],
)
def test_dropout_in_training_only(make_translator, inputs, kind, name):
    model = make_translator(kind=kind, **{name: 0.5})
    plain = np.asarray(model(inputs))
    np.testing.assert_array_equal(model(inputs), plain)
    loud = [np.asarray(model(inputs, training=True)) for _ in range(2)]
    assert np.abs(loud[0] - plain).max() > 1e-2
    assert np.abs(loud[0] - loud[1]).max() > 1e-2
    scores = [
        model.translate(inputs["source"], max_length=3)[1] for _ in range(2)
    ]
    np.testing.assert_array_equal(*scores)


@pytest.mark.parametrize(
    "policy, overrides",
    [
        ("mixed_bfloat16", {"input_in_query": True}),
        ("mixed_float16", {"attention": "scaled_dot", "cell": "lstm"}),
        ("mixed_float16", {"attention": "none", "cell": "simple_rnn"}),
        ("mixed_bfloat16", {"kind": "transformer"}),
        ("mixed_float16", {"kind": "transformer"}),
    ],
)
def test_mixed_precision(make_translator, inputs, policy, overrides):
    model = make_translator(**overrides, dtype=policy)
    exact = make_translator(**overrides)
    logits = model(inputs)
    assert logits.dtype == "float32"
    tolerance = 0.3 if policy == "mixed_bfloat16" else 0.03
    np.testing.assert_allclose(logits, exact(inputs), atol=tolerance)
    for scores in model.attention_scores(inputs).values():
        assert scores.dtype == "float32"
        sums = np.sum(scores, axis=-1)
        # Rows of padding have none.
        np.testing.assert_allclose(sums, np.round(sums), atol=1e-5)
        np.testing.assert_allclose(sums[1, :, :5], 1, atol=1e-5)
    ids, score = model.translate(inputs["source"], max_length=5)
    assert ids.dtype == "int32"
    assert score.dtype == "float32"
    expected = teacher_forced(model, inputs["source"], ids)
    np.testing.assert_allclose(score, expected, atol=5 * tolerance)


# What it computes.


def test_padding_of_the_source_changes_nothing(make_translator, inputs):
    for overrides in (
        {},
        {"attention": "none", "cell": "lstm"},
        {"kind": "transformer"},
    ):
        model = make_translator(**overrides)
        padded = {
            **inputs,
            "source": np.pad(inputs["source"], [(0, 0), (0, 4)]),
        }
        np.testing.assert_allclose(model(padded), model(inputs), atol=1e-5)


@both
def test_trimming_the_future_changes_nothing(make_translator, inputs, kind):
    model = make_translator(kind=kind)
    trimmed = {**inputs, "target": inputs["target"][:, :3]}
    np.testing.assert_allclose(model(trimmed), model(inputs)[:, :3], atol=1e-5)


@both
def test_a_batch_equals_its_rows(make_translator, inputs, kind):
    model = make_translator(kind=kind)
    logits = model(inputs)
    for row in range(2):
        alone = {name: ids[row : row + 1] for name, ids in inputs.items()}
        np.testing.assert_allclose(model(alone)[0], logits[row], atol=1e-5)


# Translating.

SOURCES = np.array(
    [
        [5, 6, 7, 3, 0, 0, 0],
        [4, 5, 6, 7, 8, 9, 3],
        [16, 3, 0, 0, 0, 0, 0],
        [11, 12, 13, 14, 15, 3, 0],
        [9, 9, 9, 3, 0, 0, 0],
        [3, 0, 0, 0, 0, 0, 0],
    ]
)


def teacher_forced(model, source, ids):
    """Summed log-probability of `ids`, by one call on the whole of them."""
    ids = np.asarray(ids)
    before = np.pad(ids[:, :-1], [(0, 0), (1, 0)], constant_values=START)
    logits = model({"source": source, "target": before})
    gained = np.take_along_axis(log_softmax(logits), ids[..., None], axis=-1)
    return np.where(ids != PADDING, gained[..., 0], 0).sum(axis=1)


def states_of(model, sources):
    """What a Transformer's decoder gives at START, `(batch, hidden_dim)`."""
    memory = model.encode(sources)
    embedded = model.target_embedding(np.full((len(sources), 1), START))
    states = model.decoder(
        model.positions(embedded * model.hidden_dim**0.5),
        memory["value"],
        value_mask=memory["mask"],
    )
    return np.asarray(states)[:, 0]


def by_argmax(model, sources, max_length):
    """Greedy translations by the whole call, once for each next token."""
    ids = np.zeros((len(sources), max_length + 1), int)
    ids[:, 0] = START
    for length in range(1, max_length + 1):
        # What is not yet known does not matter to the tokens before it.
        logits = np.array(model({"source": sources, "target": ids}))
        logits[..., [PADDING, UNKNOWN, START]] = -np.inf
        best = logits[:, length - 1].argmax(axis=-1)
        ended = np.any(ids == END, axis=1)
        ids[:, length] = np.where(ended, PADDING, best)
    return ids[:, 1:]


def lengths_of(ids):
    """Tokens of each row, END included, and whether there is an END."""
    ended = np.any(ids == END, axis=1)
    first = (ids == END).argmax(axis=1) + 1
    return np.where(ended, first, ids.shape[1]), ended


@pytest.fixture(scope="module", params=["bahdanau", "transformer"])
def fluent(make_translator, request):
    """A translator that ends some sentences, soon and late, and not all."""
    model = make_translator(kind=request.param)
    translate = tf.function(lambda: model.translate(SOURCES, max_length=9)[0])
    for seed in range(300):
        draw_weights(model, seed)
        lengths, ended = lengths_of(translate().numpy())
        if 2 <= ended.sum() <= 4 and len(set(lengths)) > 2:
            return model
    raise AssertionError("no weights do")


@kinds
def test_greedy_equals_argmax_of_each_step(make_translator, overrides):
    model = make_translator(**overrides)
    ids, _ = model.translate(SOURCES, max_length=9)
    np.testing.assert_array_equal(ids, by_argmax(model, SOURCES, 9))


def test_end_is_kept_and_padded(fluent):
    ids, score = fluent.translate(SOURCES, max_length=9)
    ids = np.asarray(ids)
    np.testing.assert_array_equal(ids, by_argmax(fluent, SOURCES, 9))
    np.testing.assert_allclose(
        score, teacher_forced(fluent, SOURCES, ids), atol=1e-5
    )
    lengths, ended = lengths_of(ids)
    assert 0 < ended.sum() < len(ended)
    for row, length in zip(ids, lengths):
        assert np.all(row[:length] > START)
        np.testing.assert_array_equal(row[length:], PADDING)


@kinds
def test_score_is_that_of_teacher_forcing(make_translator, overrides):
    model = make_translator(**overrides)
    ids, score = model.translate(SOURCES, max_length=9)
    np.testing.assert_allclose(
        score, teacher_forced(model, SOURCES, ids), atol=1e-5
    )


@both
def test_tokens_that_are_no_text_are_never_given(make_translator, kind):
    model = make_translator(kind=kind, tie_embeddings=False)
    wanted = [PADDING, UNKNOWN, START]
    if kind == "bahdanau":
        kernel, bias = model.output_projection.get_weights()
        bias[wanted] = 7.0
        model.output_projection.set_weights([kernel, bias])
    else:
        kernel = np.array(model.target_embedding.reverse_embeddings.numpy())
        states = states_of(model, SOURCES)
        kernel[:, wanted] = 9 * states.mean(axis=0)[:, None]
        model.target_embedding.reverse_embeddings.assign(kernel)
    ids, score = model.translate(SOURCES, max_length=9)
    logits = np.asarray(
        model({"source": SOURCES, "target": np.full((6, 1), START)})
    )
    assert np.all(logits.argmax(axis=-1) < END)
    np.testing.assert_array_equal(ids, by_argmax(model, SOURCES, 9))
    assert not np.any(np.isin(ids, [UNKNOWN, START]))
    # They keep their share of the probability.
    np.testing.assert_allclose(
        score, teacher_forced(model, SOURCES, ids), rtol=1e-5
    )


@pytest.mark.parametrize("max_length", [9, None])
def test_neighbours_and_padding_change_nothing(fluent, max_length):
    ids, score = fluent.translate(SOURCES, max_length=max_length)
    wide = np.pad(SOURCES, [(0, 0), (0, 5)])
    lengths = (SOURCES != PADDING).sum(axis=1)
    others = [
        (slice(None), fluent.translate(wide, max_length=max_length)),
        (
            slice(None, None, -1),
            fluent.translate(SOURCES[::-1], max_length=max_length),
        ),
    ]
    for row, length in enumerate(lengths):
        alone = fluent.translate(
            SOURCES[row : row + 1, :length], max_length=max_length
        )
        others.append((slice(row, row + 1), alone))
    for rows, (other_ids, other_score) in others:
        for left, right in zip(np.asarray(ids)[rows], np.asarray(other_ids)):
            np.testing.assert_array_equal(
                np.trim_zeros(left, "b"), np.trim_zeros(right, "b")
            )
        np.testing.assert_allclose(
            np.asarray(score)[rows], other_score, atol=1e-5
        )


def test_longest_translation(fluent):
    for max_length in (1, 3, 9):
        ids, _ = fluent.translate(SOURCES, max_length=max_length)
        assert ids.shape == (6, max_length)
    ids, score = fluent.translate(SOURCES, max_length=0)
    assert ids.shape == (6, 0)
    np.testing.assert_array_equal(score, np.zeros(6))
    ids = np.asarray(fluent.translate(SOURCES)[0])
    assert ids.shape == (6, 2 * 7 + 16)
    given = (ids != PADDING).sum(axis=1)
    limits = 2 * (SOURCES != PADDING).sum(axis=1) + 16
    assert np.all(given <= limits)
    endless = ~np.any(ids == END, axis=1)
    assert endless.any()
    np.testing.assert_array_equal(given[endless], limits[endless])


def test_min_length_has_room(fluent):
    # The limit is of what may come after it.
    decoding = Decoding(min_length=40)
    ids = np.asarray(fluent.translate(SOURCES, decoding=decoding)[0])
    assert ids.shape == (6, 2 * 7 + 16 + 40)
    assert not (ids[:, :40] == END).any() and (ids[:, 40:] == END).any()


@pytest.mark.parametrize(
    "max_length, decoding, columns, message",
    [
        (-1, Decoding(), 9, "at least 0.*Received: max_length=-1"),
        (5, Decoding(min_length=5), 9, "at least 6, as `min_length` is 5"),
        (9, Decoding("sample"), 8, r"\(batch_size, 9\).*\(6, 8\)"),
    ],
)
def test_impossible_lengths(fluent, max_length, decoding, columns, message):
    with pytest.raises(ValueError, match=message):
        fluent.translate(
            SOURCES, max_length, decoding, np.zeros((6, columns), "float32")
        )


@pytest.mark.parametrize(
    "decoding", [Decoding(), Decoding("beam", 3), Decoding("sample")]
)
def test_the_source_is_read_once(fluent, decoding, monkeypatch):
    """Neither the encoder nor a projection of its keys is in the loop."""
    calls = collections.Counter()

    def count(owner, name):
        function = getattr(owner, name)

        @functools.wraps(function)
        def counted(*args, **kwargs):
            calls[name] += 1
            return function(*args, **kwargs)

        monkeypatch.setattr(owner, name, counted)

    count(type(fluent), "encode")
    count(layers.MultiHeadAttention, "project")
    count(layers.AdditiveAttention, "project")
    seen = []
    for max_length in (1, 6):
        calls.clear()
        fluent.translate(SOURCES, max_length, decoding)
        seen.append(dict(calls))
    assert seen[0] == seen[1] and seen[0]["encode"] == 1
    assert seen[0]["project"] >= 1


@pytest.mark.parametrize("decoder", ["greedy", "beam"])
def test_rules_in_a_graph_of_unknown_shapes(fluent, decoder):
    decoding = Decoding(decoder, min_length=3, no_repeat_ngram=2)
    search = tf.function(
        lambda source: fluent.hypotheses(source, decoding=decoding),
        input_signature=[tf.TensorSpec([None, None], "int64")],
    )
    for sources in (SOURCES, SOURCES[2:3, :2]):
        expected = fluent.hypotheses(sources, decoding=decoding)
        found = search(sources)
        np.testing.assert_array_equal(found.tokens, expected.tokens)
        np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_translate_in_a_graph(fluent, jit_compile):
    signature = [tf.TensorSpec([None, None], "int64")]
    translate = tf.function(
        lambda source: fluent.translate(source),
        input_signature=signature,
        jit_compile=jit_compile,
    )
    for sources in (SOURCES, SOURCES[2:3, :2]):
        ids, score = fluent.translate(sources)
        compiled_ids, compiled_score = translate(sources)
        np.testing.assert_array_equal(compiled_ids, ids)
        np.testing.assert_allclose(compiled_score, score, atol=1e-4)


@both
def test_call_in_a_graph_of_unknown_shapes(make_translator, inputs, kind):
    model = make_translator(kind=kind)
    signature = {name: tf.TensorSpec([None, None], "int64") for name in inputs}
    call = tf.function(model, input_signature=[signature])
    np.testing.assert_allclose(call(inputs), model(inputs), atol=1e-6)


@both
def test_translate_before_any_call(kind):
    model = zoo.create_model(
        f"{kind}_translator_tiny",
        source_vocabulary_size=17,
        target_vocabulary_size=13,
        hidden_dim=12,
        **({"share_embeddings": False} if kind == "transformer" else {}),
    )
    ids, score = model.translate(SOURCES, max_length=3)
    np.testing.assert_allclose(
        score, teacher_forced(model, SOURCES, ids), atol=1e-5
    )


def test_a_source_without_tokens(fluent):
    sources = np.concatenate([SOURCES, np.zeros((1, 7), int)])
    ids, score = fluent.translate(sources, max_length=9)
    assert np.isfinite(score[-1])
    expected, expected_score = fluent.translate(SOURCES, max_length=9)
    np.testing.assert_array_equal(ids[:-1], expected)
    np.testing.assert_allclose(score[:-1], expected_score, atol=1e-5)


@kinds
@pytest.mark.parametrize("grows", [False, True])
def test_step_by_step_equals_the_whole(
    make_translator, inputs, overrides, grows
):
    model = make_translator(**overrides)
    capacity = None if grows else 5
    # All real: the whole call masks padding.
    target = np.where(inputs["target"], inputs["target"], 5)
    whole = np.asarray(model({**inputs, "target": target}))
    state = model.start(model.encode(inputs["source"]), capacity)
    for place in range(target.shape[1]):
        logits, state = model.step(target[:, place], state)
        np.testing.assert_allclose(logits, whole[:, place], atol=1e-5)


# By beam.


def test_beam_of_width_one_is_greedy(fluent):
    for max_length in (9, None):
        ids, score = fluent.translate(SOURCES, max_length)
        found = fluent.hypotheses(SOURCES, max_length, Decoding("beam", 1))
        np.testing.assert_array_equal(found.tokens[:, 0], ids)
        np.testing.assert_allclose(
            found.log_probabilities[:, 0], score, rtol=1e-5
        )


@pytest.mark.parametrize("compiled", [False, True])
def test_hypotheses_are_scored_as_by_teacher_forcing(fluent, compiled):
    def search(sources):
        return fluent.hypotheses(sources, None, Decoding("beam", 4))

    if compiled:
        search = tf.function(
            search, input_signature=[tf.TensorSpec([None, None], "int32")]
        )
    found = search(tf.constant(SOURCES, "int32"))
    tokens = np.asarray(found.tokens)
    assert tokens.shape[:2] == (6, 4)
    for place in range(4):
        expected = teacher_forced(fluent, SOURCES, tokens[:, place])
        np.testing.assert_allclose(
            found.log_probabilities[:, place], expected, rtol=1e-4, atol=1e-4
        )
        lengths = (tokens[:, place] != PADDING).sum(axis=1)
        np.testing.assert_allclose(
            found.scores[:, place],
            expected / ((5 + lengths) / 6),
            rtol=1e-4,
            atol=1e-4,
        )
    assert np.all(np.diff(found.scores, axis=1) <= 0)
    for rows in tokens:
        assert len({tuple(row) for row in rows}) == 4
    # The search is worth it: greedy is seldom better.
    _, greedy = fluent.translate(SOURCES)
    free = fluent.hypotheses(SOURCES, None, Decoding("beam", 4, 0.0))
    assert np.mean(free.log_probabilities[:, 0] >= greedy - 1e-4) > 0.5


def test_neighbours_and_padding_change_no_beam(fluent):
    decoding = Decoding("beam", 3, no_repeat_ngram=3)
    together = fluent.hypotheses(np.pad(SOURCES, [(0, 0), (0, 5)]), 9, decoding)
    for row, length in enumerate((SOURCES != PADDING).sum(axis=1)):
        alone = fluent.hypotheses(SOURCES[row : row + 1, :length], 9, decoding)
        np.testing.assert_array_equal(alone.tokens[0], together.tokens[row])
        np.testing.assert_allclose(
            alone.scores[0], together.scores[row], rtol=1e-4
        )
