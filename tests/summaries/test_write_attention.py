import math

import numpy as np
import pytest
import tensorflow as tf

from summaries import attention_map
from summaries import Side
from summaries import write_attention

# Sizes all differ: B 2, T 3, S 5.
QUERIES = [["a", "b", "c"], ["d"]]
KEYS = [["v", "w"], ["v", "w", "x", "y"]]


@pytest.fixture
def writer(tmp_path):
    writer = tf.summary.create_file_writer(str(tmp_path))
    yield writer
    writer.close()


def uniform(num_heads, query_length=3, key_length=5):
    shape = (2, num_heads, query_length, key_length)
    return np.full(shape, 1 / key_length, "float32")


def test_tags_steps_and_values(writer, tmp_path, read_events):
    scores = {"one": uniform(1), "many/cross": uniform(7)}
    write_attention(writer, scores, (QUERIES, KEYS), 11)
    events = read_events(tmp_path)
    assert events.steps == {
        f"attention/{name}": [11]
        for name in (
            "entropy/one",
            "max_weight/one",
            "padding_leak/one",
            "maps/one",
            "entropy/many/cross",
            "max_weight/many/cross",
            "padding_leak/many/cross",
            "head_redundancy/many/cross",
            "maps/many/cross",
        )
    }
    entropy = events.scalar("attention/entropy/one", 11)
    assert entropy == pytest.approx(math.log(5))
    # Three queries leak 3/5, one leaks 1/5.
    leak = events.scalar("attention/padding_leak/one", 11)
    assert leak == pytest.approx(0.5)


def test_maps(writer, tmp_path, read_events):
    scores = uniform(2)
    write_attention(writer, {"layer": scores}, (QUERIES, KEYS), 0)
    events = read_events(tmp_path)
    written = events.pictures("attention/maps/layer", 0)
    assert len(written) == 2
    for picture, values, queries, keys in zip(written, scores, QUERIES, KEYS):
        expected = attention_map(values, queries, keys)
        height, width, _ = expected.shape
        np.testing.assert_array_equal(picture[:height, :width], expected)
        # White around the smaller of them.
        assert (picture[height:] == 255).all()
        assert (picture[:, width:] == 255).all()


def test_one_tensor_and_masks(writer, tmp_path, read_events):
    query = Side(QUERIES, np.array([[True, False, False], [False] * 3]))
    key = Side(KEYS, np.ones((2, 5), bool))
    write_attention(
        writer, tf.constant(uniform(1)), (query, key), 2, max_images=0
    )
    events = read_events(tmp_path)
    assert set(events.steps) == {
        "attention/entropy/scores",
        "attention/max_weight/scores",
        "attention/padding_leak/scores",
    }
    assert events.scalar("attention/padding_leak/scores", 2) == 0


def test_tokens_by_layer(writer, tmp_path, read_events):
    sides = {"cross": (QUERIES, KEYS), "self": (KEYS, KEYS)}
    scores = {"cross": uniform(1), "self": uniform(1, 5, 5)}
    write_attention(writer, scores, sides.get, 0, max_images=1)
    events = read_events(tmp_path)
    for layer in sides:
        tag = f"attention/maps/{layer}"
        assert len(events.pictures(tag, 0)) == 1


@pytest.mark.parametrize(
    ("scores", "tokens", "message"),
    [
        (uniform(1)[0], (QUERIES, KEYS), r"scores\.shape=\(1, 3, 5\)"),
        (uniform(1, 2, 5), (QUERIES, KEYS), "length 2"),
        (uniform(1, 3, 3), (QUERIES, KEYS), "length 3"),
        (uniform(1)[:1], (QUERIES, KEYS), "1 samples"),
    ],
)
def test_tokens_that_do_not_fit(writer, scores, tokens, message):
    with pytest.raises(ValueError, match=message):
        write_attention(writer, scores, tokens, 0)
