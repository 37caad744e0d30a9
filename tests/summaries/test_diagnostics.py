import math

import numpy as np
import pytest

from summaries import diagnose
from summaries import diagnostics

# All sizes differ: B 2, N 3, T 5, S 7.
SHAPE = (2, 3, 5, 7)
ALL_QUERIES = np.ones((2, 5), bool)
ALL_KEYS = np.ones((2, 7), bool)


def uniform(shape=SHAPE):
    return np.full(shape, 1 / shape[-1], "float32")


def one_hot(position, shape=SHAPE):
    scores = np.zeros(shape, "float32")
    scores[..., position] = 1
    return scores


def test_uniform_rows():
    assert diagnose(uniform(), ALL_QUERIES, ALL_KEYS) == pytest.approx(
        {
            "entropy": math.log(7),
            "max_weight": 1 / 7,
            "padding_leak": 0,
            "head_redundancy": 1,
        },
        rel=1e-6,
    )


def test_one_hot_rows():
    assert diagnose(one_hot(4), ALL_QUERIES, ALL_KEYS) == {
        "entropy": 0,
        "max_weight": 1,
        "padding_leak": 0,
        "head_redundancy": 1,
    }


def test_each_head_has_its_number():
    scores = uniform()
    scores[:, 1] = one_hot(2)[:, 1]
    scores[:, 2] = [0.25, 0.75, 0, 0, 0, 0, 0]
    own = 0.25 * math.log(4) + 0.75 * math.log(4 / 3)
    np.testing.assert_allclose(
        diagnostics.entropy(scores, ALL_QUERIES),
        [math.log(7), 0, own],
        rtol=1e-6,
    )
    np.testing.assert_allclose(
        diagnostics.max_weight(scores, ALL_QUERIES),
        [1 / 7, 1, 0.75],
        rtol=1e-6,
    )
    key_mask = np.tile(np.arange(7) != 1, (2, 1))
    np.testing.assert_allclose(
        diagnostics.padding_leak(scores, ALL_QUERIES, key_mask),
        [1 / 7, 0, 0.75],
        rtol=1e-6,
    )


def test_padded_queries_do_not_count():
    scores = uniform()
    query_mask = np.arange(5) < [[3], [1]]
    scores[0, :, 3:] = scores[1, :, 1:] = one_hot(6)[0, :, :1]
    key_mask = np.tile(np.arange(7) < 6, (2, 1))
    values = diagnose(scores, query_mask, key_mask)
    assert values["entropy"] == pytest.approx(math.log(7))
    assert values["max_weight"] == pytest.approx(1 / 7)
    assert values["padding_leak"] == pytest.approx(1 / 7)


def test_leak_is_a_share_of_all_weight():
    # 4 of 7 keys of one sentence are padding, none of the other: of 2 * 5
    # rows of weight 1, 5 rows leak 4/7.
    key_mask = np.arange(7) < [[3], [7]]
    values = diagnose(uniform(), ALL_QUERIES, key_mask)
    assert values["padding_leak"] == pytest.approx(2 / 7)


def test_rows_without_weight_do_not_count():
    scores = uniform()
    scores[:, :, 1:] = 0
    scores[0] = 0
    assert diagnose(scores, ALL_QUERIES, ALL_KEYS)["entropy"] == (
        pytest.approx(math.log(7))
    )
    # A head that no query reaches is left out.
    scores[:, 1] = 0
    values = diagnostics.max_weight(scores, ALL_QUERIES)
    np.testing.assert_allclose(values, [1 / 7, math.nan, 1 / 7], rtol=1e-6)
    values = diagnose(scores, ALL_QUERIES, ALL_KEYS)
    assert values["max_weight"] == pytest.approx(1 / 7)
    assert values["head_redundancy"] == pytest.approx(1)


def test_nothing_counts():
    for scores, query_mask in (
        (np.zeros(SHAPE), ALL_QUERIES),
        (uniform(), ~ALL_QUERIES),
    ):
        values = diagnose(scores, query_mask, ALL_KEYS)
        assert len(values) == 4
        assert all(math.isnan(value) for value in values.values())


def test_nan_shows():
    scores = uniform()
    scores[1, 2, 3, 4] = math.nan
    values = diagnose(scores, ALL_QUERIES, ALL_KEYS)
    assert all(math.isnan(value) for value in values.values())
    per_head = diagnostics.entropy(scores, ALL_QUERIES)
    np.testing.assert_array_equal(np.isnan(per_head), [False, False, True])


def test_entropy_of_rows_that_do_not_sum_to_one():
    values = diagnose(uniform() / 2, ALL_QUERIES, ALL_KEYS)
    assert values["entropy"] == pytest.approx(math.log(7))
    assert values["max_weight"] == pytest.approx(1 / 14)


def test_redundancy():
    # Heads 0 and 1 share nothing; head 2 is half the one, half the other.
    scores = one_hot(0)
    scores[:, 1] = one_hot(5)[:, 1]
    scores[:, 2] = (scores[:, 0] + scores[:, 1]) / 2
    # The mean of (1, 0) and (1/2, 1/2) is (3/4, 1/4).
    mixed = 0.75 * math.log(4 / 3) + 0.25 * math.log(4)
    similarity = 1 - (mixed - math.log(2) / 2) / math.log(2)
    np.testing.assert_allclose(
        diagnostics.head_redundancy(scores, ALL_QUERIES),
        [similarity / 2, similarity / 2, similarity],
        rtol=1e-6,
    )
    values = diagnose(scores, ALL_QUERIES, ALL_KEYS)
    assert values["head_redundancy"] == pytest.approx(2 * similarity / 3)
    disjoint = diagnostics.head_redundancy(scores[:, :2], ALL_QUERIES)
    np.testing.assert_allclose(disjoint, [0, 0], atol=1e-12)


def test_one_head_has_no_redundancy():
    values = diagnose(uniform((2, 1, 5, 7)), ALL_QUERIES, ALL_KEYS)
    assert set(values) == {"entropy", "max_weight", "padding_leak"}


@pytest.mark.parametrize(
    ("scores", "query_mask", "key_mask", "message"),
    [
        (uniform()[0], ALL_QUERIES, ALL_KEYS, r"scores\.shape=\(3, 5, 7\)"),
        (uniform(), ALL_KEYS, ALL_KEYS, r"query_mask\.shape=\(2, 7\)"),
        (uniform(), ALL_QUERIES, ALL_QUERIES, r"key_mask\.shape=\(2, 5\)"),
        (uniform(), ALL_QUERIES * 1, ALL_KEYS, r"query_mask\.dtype=int64"),
    ],
)
def test_wrong_shapes(scores, query_mask, key_mask, message):
    with pytest.raises(ValueError, match=message):
        diagnose(scores, query_mask, key_mask)
