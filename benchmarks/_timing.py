"""Timings that a shared machine disturbs as little as possible."""

import functools
import statistics
import sys
import time


def interleave(actions, repeats, report=None):
    """Measure several actions in turn: A B C, A B C, ...

    What disturbs the machine for a while then disturbs all of them.

    Args:
        actions: `{name: function without arguments that gives seconds}`.
        repeats: Number of rounds.
        report: Function called with the number of each round, from 1.

    Returns:
        `{name: list of seconds}`, in the order of the rounds.
    """
    seconds = {name: [] for name in actions}
    for number in range(1, repeats + 1):
        for name, action in actions.items():
            seconds[name].append(action())
        if report:
            report(number)
    return seconds


def race(racers, repeats, title):
    """Rounds in which the slowest contestant takes about a second.

    Args:
        racers: `{name: (worker, kind)}`; the method `time` of the worker's
            contestant is given the kind and a number of steps, and gives the
            seconds of one step.
        repeats: Number of rounds.
        title: What is said, with the number of the round, on stderr.

    Returns:
        As `interleave`.
    """

    def actions(steps):
        return {
            name: functools.partial(worker.call, "time", kind=kind, steps=steps)
            for name, (worker, kind) in racers.items()
        }

    interleave(actions(1), 1)  # warm-up
    once = interleave(actions(1), 1)
    steps = max(1, round(1 / max(seconds[0] for seconds in once.values())))
    return interleave(
        actions(steps),
        repeats,
        lambda number: print(
            f"{title}: round {number} of {repeats}", file=sys.stderr
        ),
    )


def time_steps(step, steps):
    """Seconds that one call of `step` takes, averaged over `steps` calls."""
    started = time.perf_counter()
    for _ in range(steps):
        step()
    return (time.perf_counter() - started) / steps


def ratio(peer, ours):
    """How many times the peer's time ours is shorter: above 1, ours is faster.

    The median over the rounds of the ratio within one round.
    """
    return statistics.median(
        theirs / own for theirs, own in zip(peer, ours, strict=True)
    )
