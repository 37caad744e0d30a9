import itertools

import pytest

from serving.attention_choice import choose_layers_and_heads
from serving.attention_choice import MOST_BYTES
from serving.attention_choice import share_between
from serving.attention_choice import size_note


@pytest.mark.parametrize(
    ("sizes", "layers", "heads"),
    [
        # 2 * 3 heads of 7 * 7 numbers: all of a small model.
        ((2, 3, (7, 7)), (0, 1), (0, 1, 2)),
        # ViT-B/16 at 224 pixels: a layer has 1,862,832 bytes.
        ((12, 12, (197, 197)), (5, 11), tuple(range(12))),
        # ViT-L/16: 2,483,776.
        ((24, 16, (197, 197)), (23,), tuple(range(16))),
        # BERT-base: a head has 1,048,576.
        ((12, 12, (512, 512)), (11,), (3, 7, 11)),
        # A head that is larger than all that fits.
        ((4, 8, (2000, 2000)), (3,), (7,)),
    ],
)
def test_what_is_chosen(sizes, layers, heads):
    assert choose_layers_and_heads(*sizes, MOST_BYTES) == (layers, heads)


def test_the_last_byte_decides():
    # 5 layers of 3 heads of 4 * 20 * 5 bytes.
    whole = 5 * 3 * 400
    everything = (0, 1, 2, 3, 4), (0, 1, 2)
    assert choose_layers_and_heads(5, 3, (20, 5), whole) == everything
    one_less = (0, 1, 2, 4)
    layers, heads = choose_layers_and_heads(5, 3, (20, 5), whole - 1)
    assert (layers, heads) == (one_less, (0, 1, 2))


def test_as_much_as_fits():
    for num_layers, num_heads, most_bytes in itertools.product(
        range(1, 9), (1, 2, 3, 8), range(0, 30_000, 1_111)
    ):
        layers, heads = choose_layers_and_heads(
            num_layers, num_heads, (10, 10), most_bytes
        )
        assert layers[-1] == num_layers - 1
        for chosen, size in ((layers, num_layers), (heads, num_heads)):
            assert sorted(set(chosen)) == list(chosen)
            assert set(chosen) <= set(range(size))
        num_bytes = 400 * len(layers) * len(heads)
        assert num_bytes <= max(most_bytes, 400)
        if len(heads) < num_heads:
            assert len(layers) == 1
            assert num_bytes + 400 > most_bytes
        elif len(layers) < num_layers:
            assert num_bytes + 400 * num_heads > most_bytes


def test_what_small_ones_leave_is_for_the_large():
    # A head has 400 bytes, 100 and 1,600; all of them 8 * 2,100.
    stacks = {
        "middle": (4, 2, (10, 10)),
        "small": (4, 2, (5, 5)),
        "large": (4, 2, (20, 20)),
    }
    everything = (0, 1, 2, 3), (0, 1)
    chosen, num_bytes = share_between(stacks, 8 * 2100)
    assert chosen == dict.fromkeys(stacks, everything)
    assert num_bytes == 8 * 2100
    # 800 and 3,200 are below their shares, and 6,400 of 8,400 are two layers.
    chosen, num_bytes = share_between(stacks, 12_400)
    assert chosen["small"] == chosen["middle"] == everything
    assert chosen["large"] == ((1, 3), (0, 1))
    assert num_bytes == 800 + 3200 + 6400
    # One head of each is the least.
    chosen, num_bytes = share_between(stacks, 0)
    assert chosen == dict.fromkeys(stacks, ((3,), (1,)))
    assert num_bytes == 2100


def test_what_is_said_of_the_size():
    assert size_note("explain", MOST_BYTES) == ""
    note = size_note("explain", 16_000_000)
    assert "`explain` may have 16.0 MB" in note
    assert "max_receive_message_length" in note
    assert size_note("explain", 2**31 - 1)
    with pytest.raises(ValueError, match="Received: 2,147,483,648 bytes"):
        size_note("explain", 2**31)
