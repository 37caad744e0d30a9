"""Whether an exported model will load and answer in TensorFlow Serving.

    python -m serving.preflight saved_models/NAME --serving 2.19

One line for each check, `ok` or `FAIL`. The exit status is 0 if all is well,
1 if the model would not load there or is broken, 2 after a wrong command.
"""

import argparse
import json
import pathlib
import shutil
import sys

import tensorflow as tf

from serving.atomic import versions
from serving.attention_choice import size_note
from serving.check_saved_model import xla_ops
from serving.contract import batch_problems
from serving.contract import describe
from serving.contract import kind_of
from serving.contract import MOST_ROWS
from serving.contract import served_signatures
from serving.contract import signature_problems
from serving.graph_ops import op_problems
from serving.graph_ops import version_problems
from serving.op_registry import SERVERS
from serving.saved_model_files import asset_problems
from serving.saved_model_files import first_line
from serving.saved_model_files import read_meta_graph
from serving.saved_model_files import SavedModelError
from serving.saved_model_files import variable_problems
from serving.trial import example_request
from serving.trial import run_requests
from serving.warmup import read_warmup_requests
from serving.warmup import warmup_path
from training.printable import printable

# A server refuses a file with more.
_MOST_WARMUP_REQUESTS = 1000


class Report:
    """Prints a line for each check and counts what failed."""

    def __init__(self):
        self.num_checks = self.num_failed = 0

    def add(self, check, problems, told=""):
        """Add one check.

        Args:
            check: What was checked.
            problems: Messages; none if all is well.
            told: What to say if all is well.
        """
        self.num_checks += 1
        self.num_failed += bool(problems)
        # Names in a model are not of our making.
        for problem in problems:
            print(printable(f"FAIL  {check}: {problem}"))
        if not problems:
            print(printable(f"ok    {check}{': ' * bool(told)}{told}"))


def check_model(path, release, report, python=None):
    """Run all checks.

    Args:
        path: Folder of one version.
        release: Of TensorFlow Serving, a key of `SERVERS`.
        report: The `Report` to add to.
        python: The Python in which the model answers.
    """
    try:
        meta_graph = read_meta_graph(path)
    except SavedModelError as error:
        report.add("saved_model.pb", [str(error)])
        return
    check_graph(path, meta_graph, release, report)
    missing = asset_problems(path, meta_graph)
    report.add("variables", variable_problems(path, meta_graph))
    report.add("assets", missing, f"{len(meta_graph.asset_file_def)} files")
    signatures = served_signatures(meta_graph)
    report.add(
        "signatures",
        signature_problems(signatures),
        f"{kind_of(signatures)}, {', '.join(sorted(signatures))}",
    )
    report.add("batch first", batch_problems(signatures))
    check_card(path, signatures, report)
    requests = check_warmup(path, signatures, report)
    asked = {signature for signature, _ in requests}
    requests += [
        (name, example_request(signature))
        for name, signature in signatures.items()
        if name not in asked
    ]
    check_answers(path, requests, report, python)


def check_graph(path, meta_graph, release, report):
    """Check the ops and the version of the graph."""
    graph = meta_graph.graph_def
    tensorflow, text = SERVERS[release]
    report.add(
        "graph version",
        version_problems(graph, release),
        f"written by TensorFlow {meta_graph.meta_info_def.tensorflow_version}",
    )
    report.add(
        "ops",
        op_problems(graph, release),
        f"all are in TensorFlow {tensorflow} and tensorflow-text {text}",
    )
    report.add(
        "no XLA",
        [f"{op}: export without jit_compile" for op in xla_ops(path)],
    )


def check_card(path, signatures, report):
    """Check that the card is of this model; say how large answers may be."""
    file = pathlib.Path(path, "model_card.json")
    try:
        card = json.loads(file.read_text("utf-8"))
        problems = _card_differences(card["signatures"], signatures)
        shown = card.get("explain_bytes", {}).get("bytes")
        longest = dict(card.get("longest_answer_bytes", {}))
        notes = [f"{shown:,} bytes in explain's example"] if shown else []
        notes += [f"{size:,} in the longest {x}" for x, size in longest.items()]
    except FileNotFoundError:
        report.add("card", [], "there is none, and a server needs none")
        return
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        report.add("card", [f"{file} can't be read: {error!r}"])
        return
    for name, size in longest.items():
        try:
            notes.append(size_note(name, size))
        except ValueError as error:
            problems.append(str(error))
    report.add("card", problems, "; ".join(filter(None, notes)))


def _card_differences(described, signatures):
    """Tensors that a card describes in another way, as messages."""
    found = {
        name: {
            "inputs": {x: describe(y) for x, y in signature.inputs.items()},
            "outputs": {x: describe(y) for x, y in signature.outputs.items()},
        }
        for name, signature in signatures.items()
    }
    return [
        f"it describes the signature {name} in another way than the graph"
        for name in sorted(found.keys() | described.keys())
        if found.get(name) != described.get(name)
    ]


def check_warmup(path, signatures, report):
    """Check the warm-up requests.

    Returns:
        Those that fit their signature, as pairs of its name and
        `{input: TensorProto}`.
    """
    if not warmup_path(path).exists():
        told = "there are none, the first request of a client will be slow"
        report.add("warm-up", [], told)
        return []
    try:
        found = read_warmup_requests(path)
    except (OSError, ValueError, tf.errors.OpError) as error:
        report.add("warm-up", [f"{warmup_path(path)}: {first_line(error)}"])
        return []
    problems, good = [], []
    for number, request in enumerate(found, 1):
        name = request.model_spec.signature_name or "serving_default"
        problem = _request_problem(request, name, signatures)
        if problem:
            problems.append(f"record {number}: {problem}")
        else:
            good.append((name, dict(request.inputs)))
    if len(found) > _MOST_WARMUP_REQUESTS:
        problems.append(
            f"there may be {_MOST_WARMUP_REQUESTS} records. "
            f"Received: {len(found)}"
        )
    report.add("warm-up", problems, f"{len(found)} requests")
    return good


def _request_problem(request, name, signatures):
    """Why a signature does not take a request, "" if it does."""
    if name not in signatures:
        return f"there is no signature {name}"
    expected = signatures[name].inputs
    if set(request.inputs) != set(expected):
        return (
            f"{name} takes {', '.join(sorted(expected))}. "
            f"Received: {', '.join(sorted(request.inputs)) or 'nothing'}"
        )
    for tensor, info in expected.items():
        try:
            array = tf.make_ndarray(request.inputs[tensor])
        except (TypeError, ValueError) as error:
            return f"{tensor} can't be read: {first_line(error)}"
        if len(array.shape) and len(array) > MOST_ROWS:
            return (
                f"{tensor} has {len(array)} rows, of which a server that makes "
                f"batches takes {MOST_ROWS} (serving/batching.config)"
            )
        shape = tf.TensorShape(info.tensor_shape)
        dtype = request.inputs[tensor].dtype
        if dtype != info.dtype or not shape.is_compatible_with(array.shape):
            return (
                f"{tensor} must be {describe(info)}. "
                f"Received: {tf.as_dtype(dtype).name} {list(array.shape)}"
            )
    return ""


def check_answers(path, requests, report, python=None):
    """Ask every signature in a process without this project."""
    where, answers, ended = run_requests(path, requests, python)
    told = ", ".join(f"{name} {number}" for name, number in where.items())
    # Those of all requests may be there, and the process end badly after it.
    unanswered = requests[len(answers) :]
    of_loading = ended and (not answers or not unanswered)
    report.add("loads in a session", [ended] if of_loading else [], told)
    for answer in answers:
        name = answer["signature"]
        problems = [with_remedy(x) for x in answer["problems"]]
        notes = [] if problems else _size_notes(name, answer["bytes"])
        report.add(f"{name} answers", problems, "; ".join(notes))
    if ended and not of_loading:
        report.add(f"{unanswered[0][0]} answers", [ended])


def with_remedy(problem):
    """What a session says, on one line, with what to do if that is known."""
    problem = first_line(problem)
    if "Could not find variable" in problem:
        return (
            "a server restores other variables than it reads, export the "
            f"model again: {problem}"
        )
    return problem


def _size_notes(name, num_bytes):
    notes = [f"{num_bytes:,} bytes", size_note(name, num_bytes)]
    return [note for note in notes if note]


def _arguments(arguments):
    parser = argparse.ArgumentParser(
        prog="python -m serving.preflight", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "saved_model",
        type=pathlib.Path,
        help="A SavedModel, or a folder of versions: the newest is taken.",
    )
    parser.add_argument(
        "--serving",
        default=list(SERVERS)[-1],
        metavar="RELEASE",
        help=f"One of {', '.join(SERVERS)} (default: %(default)s).",
    )
    parser.add_argument(
        "--python",
        help="A Python with the TensorFlow in which the model is to answer "
        "(default: this one).",
    )
    found = parser.parse_args(arguments)
    if not found.saved_model.is_dir():
        parser.error(f"there is no folder {found.saved_model}")
    # The last number of a release changes no op.
    found.serving = ".".join(found.serving.split(".")[:2])
    if found.python and not shutil.which(found.python):
        parser.error(f"--python: there is no program {found.python}")
    if found.serving not in SERVERS:
        parser.error(
            f"--serving must be one of {', '.join(SERVERS)}. "
            f"Received: {found.serving}"
        )
    return found


def main(arguments=None):
    """Run the command; gives the exit status."""
    found = _arguments(arguments)
    path, report = found.saved_model, Report()
    numbers = versions(path)
    if numbers:
        path = path / str(numbers[-1])
        report.add("version", [], f"{numbers[-1]}, the newest of {numbers}")
    check_model(path, found.serving, report, found.python)
    server = f"TensorFlow Serving {found.serving}"
    if report.num_failed:
        print(
            f"{path} will not do in {server}: {report.num_failed} of "
            f"{report.num_checks} checks failed"
        )
        return 1
    print(f"{path} will load and answer in {server}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
