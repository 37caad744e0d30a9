import math

import numpy as np
import pytest
import tensorflow as tf

from summaries import attention_map
from summaries import patch_map
from summaries import PatchSide
from summaries import PooledSide
from summaries import rollout_picture
from summaries import Side
from summaries import token_strip
from summaries import write_attention
from summaries import write_rollout

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


# Two pictures of 2 by 3 patches behind a class token.
IMAGES = np.random.default_rng(3).integers(0, 256, (2, 8, 12, 3), "uint8")
PATCHES = PatchSide(IMAGES, (2, 3), num_prefix_tokens=1)


def random_scores(*shape):
    generator = np.random.default_rng(7)
    return generator.dirichlet(np.ones(shape[-1]), shape[:-1]).astype("float32")


def test_patches_over_the_picture(writer, tmp_path, read_events):
    scores = {
        "encoder/0/self": random_scores(2, 4, 7, 7),
        "pooling": random_scores(2, 1, 1, 7),
        "caption": random_scores(2, 2, 3, 7),
    }
    sides = {
        "encoder/0/self": (PATCHES, PATCHES),
        "pooling": (PooledSide(), PATCHES),
        "caption": (QUERIES, PATCHES),
    }
    write_attention(writer, scores, sides.get, 0)
    events = read_events(tmp_path)
    for layer in scores:
        written = events.pictures(f"attention/maps/{layer}", 0)
        assert len(written) == 2
        for sample, drawing in enumerate(written):
            expected = scores[layer][sample]
            if layer == "caption":  # the second has one token only
                expected = expected[:, : len(QUERIES[sample])]
                expected = expected.mean(axis=1, keepdims=True)
            np.testing.assert_array_equal(
                drawing, patch_map(expected, IMAGES[sample], (2, 3), 1)
            )
    # Patches are never padding.
    tag = "attention/padding_leak/encoder/0/self"
    assert events.scalar(tag, 0) == 0


def test_tokens_that_patches_look_at(writer, tmp_path, read_events):
    scores = random_scores(2, 1, 7, 5)
    write_attention(writer, {"cross": scores}, (PATCHES, KEYS), 0, max_images=1)
    (written,) = read_events(tmp_path).pictures("attention/maps/cross", 0)
    labels = ["token 0", "0, 0", "0, 1", "0, 2", "1, 0", "1, 1", "1, 2"]
    np.testing.assert_array_equal(
        written, attention_map(scores[0], labels, KEYS[0])
    )


def test_pooled_tokens(writer, tmp_path, read_events):
    scores = random_scores(2, 1, 1, 5)
    write_attention(writer, {"pooling": scores}, (PooledSide(), KEYS), 0)
    events = read_events(tmp_path)
    # By hand: what is behind 2 and behind 4 tokens, of two rows.
    leak = scores[0, 0, 0, 2:].sum() + scores[1, 0, 0, 4:].sum()
    tag = "attention/padding_leak/pooling"
    assert events.scalar(tag, 0) == pytest.approx(leak / 2)
    expected = attention_map(scores[1], ["pooled"], KEYS[1])
    height, width, _ = expected.shape
    drawing = events.pictures("attention/maps/pooling", 0)[1]
    np.testing.assert_array_equal(drawing[:height, :width], expected)


def test_rollout_of_patches(writer, tmp_path, read_events):
    rollout = random_scores(2, 7)
    maps = rollout[:, 1:].reshape(2, 2, 3)
    write_rollout(writer, rollout, PATCHES, 0)
    write_rollout(writer, tf.constant(maps), PATCHES, 1, max_images=1)
    events = read_events(tmp_path)
    assert events.steps == {"attention/rollout": [0, 1]}
    expected = [rollout_picture(*sample) for sample in zip(maps, IMAGES)]
    written = events.pictures("attention/rollout", 0)
    np.testing.assert_array_equal(written, expected)
    written = events.pictures("attention/rollout", 1)
    np.testing.assert_array_equal(written, expected[:1])


def test_rollout_of_tokens(writer, tmp_path, read_events):
    rollout = random_scores(2, 5)
    write_rollout(writer, rollout, KEYS, 3)
    written = read_events(tmp_path).pictures("attention/rollout", 3)
    assert len(written) == 2
    for drawing, weights, tokens in zip(written, rollout, KEYS):
        expected = token_strip(weights, tokens)
        height, width, _ = expected.shape
        np.testing.assert_array_equal(drawing[:height, :width], expected)


@pytest.mark.parametrize(
    ("shape", "side", "message"),
    [
        ((2, 6), PATCHES, r"rollout\.shape=\(2, 6\)"),
        ((2, 3, 2), PATCHES, r"rollout\.shape=\(2, 3, 2\)"),
        ((1, 7), PATCHES, r"rollout\.shape=\(1, 7\)"),
        ((2, 2, 3), KEYS, r"rollout\.shape=\(2, 2, 3\)"),
        ((2, 3), KEYS, "length 3"),
        ((1, 5), KEYS, "1 samples"),
    ],
)
def test_rollout_that_does_not_fit(writer, shape, side, message):
    with pytest.raises(ValueError, match=message):
        write_rollout(writer, np.ones(shape), side, 0)


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
