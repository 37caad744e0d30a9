"""Queries in blocks, and heads with those whose keys they share.

Axes: B batch, N heads, K heads of keys and values (N is a multiple of K),
T queries, S keys, F features; t the queries of a block. A *group* is one of
B x K, and has `num_blocks` of each of its N / K heads.
"""

from keras import ops


class BlockLayout:
    """Where the blocks of queries are.

    Args:
        query: `(B, N, T, H)`.
        key: `(B, K, S, H)`.
        block_length: t.
    """

    def __init__(self, query, key, block_length):
        self.batch_size, self.num_heads, self.query_length = ops.shape(query)[
            :3
        ]
        self.num_groups, self.key_length = ops.shape(key)[1:3]
        self.shared_by = self.num_heads // self.num_groups
        self.block_length = block_length
        self.num_blocks = -(-self.query_length // block_length)

    def group(self, tensor):
        """`(B, N, T, F)` -> `(B * K, N / K * blocks, t, F)`."""
        padding = self.num_blocks * self.block_length - self.query_length
        tensor = ops.pad(tensor, [(0, 0), (0, 0), (0, padding), (0, 0)])
        return ops.reshape(
            tensor,
            (
                self.batch_size * self.num_groups,
                self.shared_by * self.num_blocks,
                self.block_length,
                tensor.shape[-1],
            ),
        )

    def ungroup(self, tensor):
        """Back to `(B, N, T, F)`."""
        tensor = ops.reshape(
            tensor,
            (
                self.batch_size,
                self.num_heads,
                self.num_blocks * self.block_length,
                tensor.shape[-1],
            ),
        )
        return tensor[:, :, : self.query_length]

    def group_keys(self, tensor):
        """`(B, K, S, F)` -> `(B * K, S, F)`."""
        shape = ops.shape(tensor)
        return ops.reshape(tensor, (shape[0] * shape[1], *shape[2:]))

    def ungroup_keys(self, tensor):
        """Back to `(B, K, S, F)`."""
        sizes = (self.batch_size, self.num_groups, self.key_length)
        return ops.reshape(tensor, (*sizes, tensor.shape[-1]))

    def place(self, group, block):
        """Row of the batch, head, and first query of a block."""
        head = group % self.num_groups * self.shared_by
        head = head + block // self.num_blocks
        first = block % self.num_blocks * self.block_length
        return group // self.num_groups, head, first

    def zeros_of_group(self, *kinds):
        """Zeros for what each block of a group gives.

        Args:
            *kinds: Pairs of F and a dtype.
        """
        sizes = (self.shared_by * self.num_blocks, self.block_length)
        return tuple(ops.zeros((*sizes, size), dtype) for size, dtype in kinds)

    def zeros(self, *kinds):
        """Zeros for what the blocks of all groups give."""
        count = self.batch_size * self.num_groups
        return tuple(
            ops.zeros((count, *ops.shape(zeros)), zeros.dtype)
            for zeros in self.zeros_of_group(*kinds)
        )
