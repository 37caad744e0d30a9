"""Queries in parts and blocks, and heads with those whose keys they share.

Axes: B batch, N heads, K heads of keys and values (N is a multiple of K),
T queries, S keys, F features; t the queries of a block. A *group* is one of
B x K, with the queries of its N / K heads.
"""

import typing

from keras import ops


class Layout:
    """Where the groups are.

    Args:
        query: `(B, N, T, H)`.
        key: `(B, K, S, H)`.
    """

    def __init__(self, query, key):
        self.batch_size, self.num_heads, self.query_length = ops.shape(query)[
            :3
        ]
        self.num_groups, self.key_length = ops.shape(key)[1:3]
        self.shared_by = self.num_heads // self.num_groups

    def group(self, tensor):
        """`(B, N, T, F)` -> `(B * K, N / K, T, F)`."""
        count = self.batch_size * self.num_groups
        sizes = (count, self.shared_by, self.query_length)
        return ops.reshape(tensor, (*sizes, tensor.shape[-1]))

    def ungroup(self, tensor):
        """Back to `(B, N, T, F)`."""
        sizes = (self.batch_size, self.num_heads, self.query_length)
        return ops.reshape(tensor, (*sizes, tensor.shape[-1]))

    def group_keys(self, tensor):
        """`(B, K, S, F)` -> `(B * K, S, F)`."""
        shape = ops.shape(tensor)
        return ops.reshape(tensor, (shape[0] * shape[1], *shape[2:]))

    def ungroup_keys(self, tensor):
        """Back to `(B, K, S, F)`."""
        sizes = (self.batch_size, self.num_groups, self.key_length)
        return ops.reshape(tensor, (*sizes, tensor.shape[-1]))

    def zeros(self, *kinds):
        """Zeros for what the queries of all groups give.

        Args:
            *kinds: Pairs of F and a dtype.
        """
        count = self.batch_size * self.num_groups
        sizes = (count, self.shared_by, self.query_length)
        return tuple(ops.zeros((*sizes, size), dtype) for size, dtype in kinds)

    def place(self, group, part, block):
        """Row of the batch, head, and first query in the part, of a block."""
        num_blocks = part.num_blocks
        head = group % self.num_groups * self.shared_by + block // num_blocks
        first = block % num_blocks * part.block_length
        return group // self.num_groups, head, first


class Part(typing.NamedTuple):
    """Queries in a row, all keys that they may see, and blocks of them.

    Attributes:
        queries, keys: Slices with a start and a stop.
        given: Their `Masks`.
        block_length: t, how many queries at a time.
        dropout: `BlockDropout` or None.
    """

    queries: slice
    keys: slice
    given: typing.Any
    block_length: int
    dropout: typing.Any = None

    @property
    def query_length(self):
        """Number of queries."""
        return self.queries.stop - self.queries.start

    @property
    def key_length(self):
        """Number of keys."""
        return self.keys.stop - self.keys.start

    @property
    def num_blocks(self):
        """Number of blocks of a head."""
        return -(-self.query_length // self.block_length)

    def split(self, tensor):
        """Its blocks of a group: `(N / K, T, F)` -> `(N / K * blocks, t, F)`.

        The last of a head is filled up with zeros.
        """
        tensor = tensor[:, self.queries]
        padding = self.num_blocks * self.block_length - self.query_length
        tensor = ops.pad(tensor, [(0, 0), (0, padding), (0, 0)])
        return ops.reshape(
            tensor,
            (
                tensor.shape[0] * self.num_blocks,
                self.block_length,
                tensor.shape[-1],
            ),
        )

    def join(self, tensor):
        """Blocks to queries: `(N / K * blocks, t, F)` -> `(N / K, t', F)`."""
        length = self.num_blocks * self.block_length
        tensor = ops.reshape(tensor, (-1, length, tensor.shape[-1]))
        return tensor[:, : self.query_length]

    def zeros(self, shared_by, *kinds):
        """Zeros for what the blocks of a group give, as `Layout.zeros`."""
        sizes = (shared_by * self.num_blocks, self.block_length)
        return tuple(ops.zeros((*sizes, size), dtype) for size, dtype in kinds)

    def spread_keys(self, tensor, key_length):
        """`(keys, F)` -> `(S, F)`, zeros elsewhere."""
        behind = key_length - self.keys.stop
        return ops.pad(tensor, [(self.keys.start, behind), (0, 0)])
