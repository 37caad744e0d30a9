import itertools

import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from zoo import Decoding
from zoo._decoding import decode

PADDING, UNKNOWN, START, END = range(4)
# A language of five words: 4 to 8.
WORDS = 5
SIZE = 4 + WORDS


def language(seed, order=2):
    """Log-probabilities of the next token after the last two."""
    draw = np.random.default_rng(seed)
    logits = draw.normal(scale=2.0, size=(SIZE,) * (order + 1))
    logits -= np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    return logits.astype("float32")


def decoder_of(table):
    """`step` of a decoder whose memory says which language each row has.

    Its state is the token before the last, which a beam must bring along."""

    def step(tokens, state):
        before = state["states"]["before"]
        rows = ops.take(table, state["memory"], axis=0)
        places = before * SIZE + tokens
        flat = ops.reshape(rows, (-1, SIZE * SIZE, SIZE))
        logits = ops.take_along_axis(flat, places[:, None, None], axis=1)
        states = {"before": tokens, "count": state["states"]["count"] + 1}
        return logits[:, 0], {**state, "states": states}

    return step


def begin(rows):
    return {
        "states": {
            "before": ops.full((len(rows),), START, dtype="int32"),
            "count": ops.convert_to_tensor(0, dtype="int32"),
        },
        "memory": ops.convert_to_tensor(rows, dtype="int32"),
    }


def log_probability(table, sequence):
    before, last, total = START, START, 0.0
    for token in sequence:
        total += table[before, last, token]
        before, last = last, token
    return total


def every_sequence(max_length):
    """All that a search may give: words and then END, or as many words as
    there is room for."""
    words = range(4, SIZE)
    for length in range(max_length):
        for sequence in itertools.product(words, repeat=length):
            yield (*sequence, END)
    yield from itertools.product(words, repeat=max_length)


def best_by_exhaustion(table, max_length, penalty, count):
    """The best sequences by their penalised score, and those scores."""
    scored = [
        (
            log_probability(table, each) / ((5 + len(each)) / 6) ** penalty,
            each,
        )
        for each in every_sequence(max_length)
    ]
    return sorted(scored, reverse=True)[:count]


def strip(tokens):
    return tuple(int(token) for token in tokens if token != PADDING)


@pytest.mark.parametrize("penalty", [0.0, 1.0, 2.5])
@pytest.mark.parametrize("compiled", [False, True])
def test_full_width_finds_what_exhaustive_search_finds(penalty, compiled):
    tables = np.stack([language(seed) for seed in range(3)])
    # Wider than there are sequences of four tokens: 5^4 + 5^3 + ... + 1.
    decoding = Decoding("beam", beam_width=800, length_penalty=penalty)

    def search():
        return decode(decoding, decoder_of(tables), begin([0, 1, 2]), 3, 4)

    found = tf.function(search)() if compiled else search()
    for row in range(3):
        expected = best_by_exhaustion(tables[row], 4, penalty, 781)
        assert [strip(each) for each in found.tokens[row, :20]] == [
            sequence for _, sequence in expected[:20]
        ]
        np.testing.assert_allclose(
            found.scores[row, :781], [score for score, _ in expected], rtol=1e-4
        )
        sums = [
            log_probability(tables[row], strip(each))
            for each in np.asarray(found.tokens)[row, :20]
        ]
        np.testing.assert_allclose(
            found.log_probabilities[row, :20], sums, rtol=1e-4
        )
        # There are 781 sequences; the rest is said not to be there.
        assert np.all(np.asarray(found.log_probabilities)[row, 781:] == -1e30)
        assert not np.asarray(found.tokens)[row, 781:].any()


def by_hand(table, width, max_length, penalty, patience):
    """Beam search with lists, as slow and plain as can be."""
    begun, ended = [((), 0.0)], []
    for index in range(max_length):
        grown = sorted(
            (
                (
                    (*words, token),
                    total
                    + log_probability(table, (*words, token))
                    - log_probability(table, words),
                )
                for words, total in begun
                for token in (END, *range(4, SIZE))
            ),
            key=lambda pair: -pair[1],
        )
        begun = []
        for rank, (words, total) in enumerate(grown):
            is_last = index + 1 == max_length
            if rank < width and (words[-1] == END or is_last):
                score = total / ((5 + len(words)) / 6) ** penalty
                ended.append((score, words))
            elif words[-1] != END and len(begun) < width:
                begun.append((words, total))
        if len(ended) >= patience * width:
            break
    return sorted(ended, reverse=True)[:width]


@pytest.mark.parametrize("width", [1, 2, 3, 7])
@pytest.mark.parametrize("patience", [1.0, 1.5, 100.0])
@pytest.mark.parametrize("seed", range(4))
def test_a_narrow_beam_is_that_of_plain_lists(width, patience, seed):
    table = language(seed + 10)
    decoding = Decoding(
        "beam", beam_width=width, length_penalty=0.6, patience=patience
    )
    found = decode(decoding, decoder_of(table[None]), begin([0]), 1, 6)
    expected = by_hand(table, width, 6, 0.6, patience)
    assert [strip(each) for each in found.tokens[0]] == [
        words for _, words in expected
    ]
    np.testing.assert_allclose(
        found.scores[0], [score for score, _ in expected], rtol=1e-4
    )


def test_patience_finds_what_is_finished_later():
    # START -> A .6, END .4; A -> B .7, END .3; A B -> END 1.
    a, b = 4, 5
    table = np.full((SIZE, SIZE, SIZE), -99.0, "float32")
    table[START, START, [a, END]] = np.log([0.6, 0.4])
    table[START, a, [b, END]] = np.log([0.7, 0.3])
    table[a, b, END] = 0.0
    found = {}
    for patience in (1.0, 1.5):
        decoding = Decoding("beam", 2, length_penalty=0.0, patience=patience)
        hypotheses = decode(decoding, decoder_of(table[None]), begin([0]), 1, 9)
        found[patience] = [strip(row) for row in hypotheses.tokens[0]]
    assert found == {1.0: [(END,), (a, END)], 1.5: [(a, b, END), (END,)]}


@pytest.mark.parametrize(
    "rules",
    [
        {},
        {"min_length": 3},
        {"no_repeat_ngram": 2},
        # After five different words there is none left, and END comes early.
        {"no_repeat_ngram": 1, "min_length": 8},
    ],
)
def test_width_one_is_greedy(rules):
    tables = np.stack([language(seed) for seed in range(20)])
    arguments = (decoder_of(tables), begin(range(20)), 20, 9)
    greedy = decode(Decoding(**rules), *arguments)
    beam = decode(Decoding("beam", 1, length_penalty=1.7, **rules), *arguments)
    np.testing.assert_array_equal(beam.tokens, greedy.tokens)
    np.testing.assert_allclose(
        beam.log_probabilities, greedy.log_probabilities, rtol=1e-6
    )


def test_neighbours_do_not_matter():
    tables = np.stack([language(seed) for seed in range(6)])
    limits = np.array([2, 9, 4, 9, 1, 6])
    decoding = Decoding("beam", 3)
    together = decode(
        decoding, decoder_of(tables), begin(range(6)), 6, 9, limits
    )
    for row in range(6):
        alone = decode(
            decoding,
            decoder_of(tables),
            begin([row]),
            1,
            int(limits[row]),
        )
        for left, right in zip(together.tokens[row], alone.tokens[0]):
            assert strip(left) == strip(right)
        np.testing.assert_allclose(
            together.scores[row], alone.scores[0], rtol=1e-5
        )


def test_the_search_stops_when_all_are_done():
    table = np.full((SIZE, SIZE, SIZE), -9.0, "float32")
    table[..., END] = -0.1
    steps = []
    step = decoder_of(table[None])

    def counted(tokens, state):
        steps.append(1)
        return step(tokens, state)

    decode(Decoding("beam", 2), counted, begin([0]), 1, 30)
    assert len(steps) == 2


# What may come next, for every decoder.

every_decoder = pytest.mark.parametrize("decoder", ["greedy", "beam", "sample"])


def tokens_of(decoder, tables, max_length=8, **fields):
    if decoder == "beam":
        fields = {**fields, "beam_width": 3}
    decoding = Decoding(decoder, **fields)
    rows = range(len(tables))
    found = decode(
        decoding, decoder_of(tables), begin(rows), len(tables), max_length
    )
    return np.asarray(found.tokens)


@every_decoder
def test_min_length(decoder):
    tables = np.stack([language(seed) for seed in range(12)])
    tables[..., END] += 3
    free = tokens_of(decoder, tables)
    assert (free[:, 0, 1] == END).any() or (free[:, 0, 0] == END).any()
    held = tokens_of(decoder, tables, min_length=4)
    assert not (held[..., :4] == END).any()
    assert (held[:, 0, 4] == END).any()


@every_decoder
@pytest.mark.parametrize("size", [1, 2, 3])
def test_no_repeat_ngram(decoder, size):
    tables = np.stack([language(seed) for seed in range(12)])
    tables[..., END] -= 8
    # Those that like to say one thing again and again.
    tables[:, :, 4, 4] += 5

    def repeated(rows):
        for row in rows.reshape(-1, rows.shape[-1]):
            words = strip(row)
            grams = [
                words[place : place + size]
                for place in range(len(words) - size + 1)
            ]
            yield len(grams) > len(set(grams))

    free = tokens_of(decoder, tables, max_length=12)
    held = tokens_of(decoder, tables, max_length=12, no_repeat_ngram=size)
    assert any(repeated(free)) and not any(repeated(held))
    assert not np.isin(held, (UNKNOWN, START)).any()


@every_decoder
def test_no_word_is_left(decoder):
    # Five words, none twice, and END not before ten: it comes nevertheless.
    tables = language(0)[None]
    (row,) = tokens_of(decoder, tables, no_repeat_ngram=1, min_length=10)
    for tokens in row:
        words = strip(tokens)
        assert words[-1] == END and len(words) == len(set(words)) == 6


@every_decoder
@pytest.mark.parametrize("size", [7, 8, 9, 10, 30])
def test_no_repeats_of_more_words_than_there_are(decoder, size):
    tables = np.stack([language(seed) for seed in range(4)])
    np.testing.assert_array_equal(
        tokens_of(decoder, tables, no_repeat_ngram=size),
        tokens_of(decoder, tables),
    )


# Sampling.


def test_samples_have_the_probabilities_of_the_model():
    table = language(3)
    count = 20_000
    found = decode(
        Decoding("sample", seed=1),
        decoder_of(table[None]),
        begin([0] * count),
        count,
        1,
    )
    first = np.asarray(found.tokens)[:, 0, 0]
    allowed = np.exp(table[START, START, 3:])
    expected = allowed / allowed.sum()
    shares = np.bincount(first, minlength=SIZE)[3:] / count
    np.testing.assert_allclose(shares, expected, atol=0.01)
    np.testing.assert_allclose(
        found.log_probabilities[:, 0], table[START, START, first], rtol=1e-4
    )


def drawn(fields, uniforms, logits):
    """Tokens of one step, for uniform numbers."""
    count = len(uniforms)

    def step(tokens, state):
        return ops.tile(ops.convert_to_tensor([logits]), (count, 1)), state

    found = decode(
        Decoding("sample", **fields),
        step,
        {"states": ops.zeros((count,))},
        count,
        1,
        uniforms=np.array(uniforms, "float32")[:, None],
    )
    return np.asarray(found.tokens)[:, 0, 0].tolist()


def test_what_a_uniform_number_draws():
    # Of the words 4 to 7, by hand: 0.4, 0.3, 0.2, 0.1.
    logits = np.log([1e-9, 1e-9, 1e-9, 1e-9, 0.3, 0.1, 0.4, 0.2])
    logits = logits.astype("float32")
    uniforms = [0.0, 0.39, 0.41, 0.69, 0.71, 0.89, 0.91, 0.999]
    assert drawn({}, uniforms, logits) == [6, 6, 4, 4, 7, 7, 5, 5]
    # Two of them: 4/7 and 3/7.
    assert drawn({"top_k": 2}, [0.56, 0.58, 0.999], logits) == [6, 4, 4]
    # 0.4 and 0.3 are enough for 0.6; for 0.3 the first is.
    assert drawn({"top_p": 0.6}, [0.56, 0.58, 0.999], logits) == [6, 4, 4]
    assert drawn({"top_p": 0.3}, [0.0, 0.999], logits) == [6, 6]
    # 0.16, 0.09, 0.04 and 0.01 of 0.3.
    found = drawn({"temperature": 0.5}, [0.52, 0.54, 0.82, 0.84, 0.96], logits)
    assert found == [6, 4, 4, 7, 7]
    found = drawn({"temperature": 0.5}, [0.965, 0.97], logits)
    assert found == [7, 5]


def test_a_seed_draws_the_same_again():
    tables = np.stack([language(seed) for seed in range(30)])
    tables[..., END] -= 3
    first = tokens_of("sample", tables, seed=1)
    np.testing.assert_array_equal(first, tokens_of("sample", tables, seed=1))
    assert (first != tokens_of("sample", tables, seed=2)).any()


# Bad input.


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"decoder": "best"}, "greedy, beam, sample. Received: decoder=best"),
        ({"beam_width": 0}, "at least 1. Received: beam_width=0"),
        ({"beam_width": 2.5}, "must be an integer. Received: beam_width=2.5"),
        ({"beam_width": "4"}, "must be an integer. Received: beam_width='4'"),
        ({"length_penalty": -1.0}, "at most 10. Received: length_penalty=-1"),
        ({"length_penalty": 11.0}, "at most 10. Received: length_penalty=11"),
        ({"patience": 0.5}, "at least 1 and at most 1,000. Received: patience"),
        ({"temperature": "a"}, "must be a number. Received: temperature='a'"),
        ({"temperature": 0.0}, "at most 1e6. Received: temperature=0.0"),
        ({"temperature": 1e-46}, "at least 1e-6"),
        ({"seed": -1}, "at least 0 and less than 2.*Received: seed=-1"),
        ({"seed": 2**32}, "Received: seed=4294967296"),
        ({"min_length": 10**6}, "at most 10,000. Received: min_length=1000000"),
        ({"temperature": float("nan")}, "Received: temperature=nan"),
        ({"top_k": -1}, "Received: top_k=-1"),
        ({"top_p": 0.0}, "more than 0 and at most 1. Received: top_p=0.0"),
        ({"top_p": 1.5}, "Received: top_p=1.5"),
        ({"min_length": -1}, "Received: min_length=-1"),
        ({"no_repeat_ngram": -2}, "Received: no_repeat_ngram=-2"),
        ({"beam_width": 4}, "of the decoder beam. Received: beam_width=4"),
        ({"patience": 2.0}, "of the decoder beam. Received: patience=2.0"),
        ({"decoder": "beam", "top_k": 4}, "top_k=4, decoder=beam"),
    ],
)
def test_impossible_values(fields, message):
    with pytest.raises(ValueError, match=message):
        Decoding(**fields)
