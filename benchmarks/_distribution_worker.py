"""A process of `benchmarks.distribution`: it times steps of a fit."""

import contextlib
import itertools
import json
import os
import statistics
import sys
import time

from training.quiet_import import import_tensorflow

# Steps before those that are timed: the first of each length is traced.
_WARM_UP = 30


class DoneError(Exception):
    """All steps are timed."""


def main(folder, steps, cores, *argv):
    """Print the seconds of a step as JSON."""
    os.sched_setaffinity(0, map(int, cores.split(",")))
    import_tensorflow(look_for_devices=False)

    from training.cluster import distribution_arguments
    from training.distribution import start_distribution
    from training.start import configure

    distribution = start_distribution(distribution_arguments(argv))
    _, configuration = configure(list(argv))
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        seconds = _measure(folder, int(steps), configuration, distribution)
    print(json.dumps({"seconds": seconds}))


def _measure(folder, steps, configuration, distribution):
    from training.fit_run import fit_run
    from training.fit_run import start_run

    times = []
    make = distribution.train_function

    def train_function(*arguments):
        step = make(*arguments)

        def timed(iterator):
            logs = step(iterator)
            float(logs["loss"])
            times.append(time.perf_counter())
            if len(times) > _WARM_UP + steps:
                raise DoneError
            return logs

        return timed

    distribution.train_function = train_function
    with contextlib.suppress(DoneError):
        run = start_run(folder, configuration, distribution)
        fit_run(configuration, run, distribution=distribution)
    # Not the mean, for a length that comes late.
    return statistics.median(
        after - before for before, after in itertools.pairwise(times[_WARM_UP:])
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
