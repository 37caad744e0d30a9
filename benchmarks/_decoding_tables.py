"""What the benchmark of decoding prints: numbers of rows, and cells."""

import statistics

from benchmarks._timing import ratio

# Contestants by name, and the kinds of search of which a cache is the
# difference.
OURS = "ours"
WITHOUT_XLA = "ours-without-xla"
CACHED, WHOLE = "greedy", "whole prefix"
TITLES = {
    "greedy": ("greedy", "tokens/s"),
    "beam": ("beam", "tokens/s"),
    "train": ("training step", "target tokens/s"),
}
LENGTHS_HEADER = [
    "output tokens",
    "with cache",
    "without XLA",
    "whole prefix",
    "without XLA",
    "the cache is faster by",
]


def summarise(seconds, setting):
    """`{name: numbers of a row}`: medians, and ratios within the rounds."""
    numbers = {}
    for kind, rounds in seconds.items():
        for name, each in rounds.items():
            median = statistics.median(each)
            numbers.setdefault(name, {})[kind] = {
                "seconds": median,
                "tokens_per_second": setting.target_tokens / median,
                "ratio": ratio(each, rounds[OURS]),
            }
    return numbers


def summarise_cache(seconds):
    """The numbers of one length; of each way the faster counts."""
    medians = {
        kind: {name: statistics.median(each) for name, each in row.items()}
        for kind, row in seconds.items()
    }
    whole, cached = (
        seconds[kind][min(medians[kind], key=medians[kind].get)]
        for kind in (WHOLE, CACHED)
    )
    return {"seconds": medians, "ratio": ratio(whole, cached)}


def header(measured):
    """The titles of the columns."""
    cells = ["implementation"]
    for kind in measured:
        cells += [*TITLES[kind], "ours is faster by"]
    return cells


def row(name, numbers, measured):
    """A line of the table."""
    cells = [name]
    for kind in measured:
        found = numbers.get(kind)
        if found is None:
            cells += [""] * 3
            continue
        cells += [
            f"{1e3 * found['seconds']:.0f} ms",
            f"{found['tokens_per_second']:,.0f}",
            f"{found['ratio']:.2f}",
        ]
    return cells


def cache_row(length, numbers):
    """A line of the table of lengths."""
    cells = [
        f"{1e3 * numbers['seconds'][kind][name]:,.0f} ms"
        for kind in (CACHED, WHOLE)
        for name in (OURS, WITHOUT_XLA)
    ]
    return [length, *cells, f"{numbers['ratio']:.2f}"]


def describe_same(same):
    """The shares of `check` in words."""
    return "; ".join(
        f"{name}, {search} {share:.2%}"
        for name, shares in same.items()
        for search, share in shares.items()
    )
