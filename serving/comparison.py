"""An exported model, asked in all the ways in which it may run."""

import numpy as np
import tensorflow as tf

from serving.contract import served_signatures
from serving.graphs import graph_that_was_exported
from serving.row_differences import Differences
from serving.runtimes import in_a_session
from serving.runtimes import in_this_process
from serving.runtimes import through_c_api
from serving.saved_model_files import read_meta_graph
from serving.trial_rows import as_pixels

_BATCH = 16
_COPIES = 3  # of a row, in batches that are filled up


class Comparison:
    """What is expected of an exported model, and how it is asked.

    Args:
        path: Folder of the SavedModel.
        rows: Its inputs, an array of bytes.
        num_odd: How many of them, the last ones, are odd.
        run: The `training.run.Run` that it was exported from, or None.
    """

    def __init__(self, path, rows, num_odd, run=None):
        self.path, self.run = path, run
        self.signatures = served_signatures(read_meta_graph(path))
        # The functions of both do not hold them.
        self._model = tf.saved_model.load(str(path))
        self._fitted = run and graph_that_was_exported(run, path)
        self._saved = in_this_process(self._model.signatures)
        self._alone = [[row] for row in range(len(rows))]
        self._num_odd = num_odd
        if run is None:
            self._set_expected(rows, self._saved)
        else:
            fitted = in_this_process(self._fitted.signatures())
            self._set_expected(rows, fitted)

    def _set_expected(self, rows, runtime):
        self._inputs, self._expected = {}, {}
        # Pixels are what `explain` says it saw.
        for name in sorted(self.signatures, key=lambda name: name == "images"):
            ((tensor, info),) = self.signatures[name].inputs.items()
            values = rows
            if info.dtype != tf.string.as_datatype_enum:
                seen = [row["images"] for row in self._expected["explain"]]
                values = as_pixels(np.concatenate(seen), info)
            self._inputs[name] = {tensor: values}
            _, answers = runtime(self._requests(name, self._alone))
            self._expected[name] = [
                {x: answer[x] for x in self.signatures[name].outputs}
                for answer in answers
            ]

    def _requests(self, name, batches):
        inputs = self._inputs[name]
        return [
            (name, {x: values[batch] for x, values in inputs.items()})
            for batch in batches
        ]

    def ways(self, pythons=()):
        """The ways to ask: name of the runtime, how rows are put together,
        the runtime (see `serving.runtimes`), and the rows of each batch.

        Args:
            pythons: Pythons with another TensorFlow.
        """
        batches = self._batches(_BATCH)
        filled = [
            batch + batch[:1] * (_BATCH - len(batch))
            for batch in self._batches(_BATCH - _COPIES)
        ]
        if self.run is not None:  # else this is what is expected
            yield "SavedModel", "one by one", self._saved, self._alone
        yield "SavedModel", "batches", self._saved, batches
        yield "SavedModel", "batches with copies", self._saved, filled
        for python in (None, *pythons):
            session = in_a_session(self.path, self.signatures, python)
            yield "session", "batches", session, batches
        c_api = through_c_api(self.path, self.signatures)
        yield "C API", "batches", c_api, batches

    def _batches(self, size):
        """Rows in random order; the odd ones with some of the others."""
        count = len(self._alone) - self._num_odd
        order = np.random.default_rng(0).permutation(count).tolist()
        odd = list(range(count, len(self._alone)))
        batches = [order[x : x + size] for x in range(0, count, size)]
        return [*batches, [*odd, *order[:2]]]

    def compare(self, runtime, batches):
        """Ask all signatures.

        Returns:
            The version of the runtime, and the `Differences`.

        Raises:
            NoAnswerError: If there is no answer.
        """
        asked = [(name, batch) for name in self.signatures for batch in batches]
        requests = [
            request
            for name in self.signatures
            for request in self._requests(name, batches)
        ]
        version, answers = runtime(requests)
        differences = Differences()
        for (name, batch), answer in zip(asked, answers):
            differences.add_batch(
                [self._title(name, row) for row in batch],
                [self._expected[name][row] for row in batch],
                answer,
            )
        return version, differences

    def _title(self, name, row):
        ((tensor, values),) = self._inputs[name].items()
        shown = repr(values[row])[:80] if tensor == "text" else ""
        return f"{name}, row {row} {shown}"
