"""A fit that was killed at any moment ends as one that was never stopped."""

import dataclasses
import pathlib
import random
import signal
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.training.two_kinds import write_texts
from training.run import Run

_TIMES = ("seconds", "evaluation_seconds")
# Dropout, averages and augmentation are on; the state is saved at each step.
_SAVED = ("--save_seconds", "0")
_SMALL = [
    *("--model.num_layers", "1", "--model.hidden_dim", "16"),
    *("--model.dropout", "0.1", "--average_decay", "0.9"),
    *("--warmup_steps", "5", "--learning_rate", "0.01", "--jit", "false"),
    *("--epochs", "3", "--name", "tiny", *_SAVED),
]
_TEXTS = [
    *("--preset", "transformer_classifier_tiny", "--dataset", "csv:texts.csv"),
    *("--vocabulary_size", "40", "--max_sequence_length", "12"),
    *("--tokenizer", "word", "--batch_size", "8"),
    *("--pretrain", "mlm", "--pretrain_epochs", "2", *_SMALL),
]
_DIGITS = [
    *("--preset", "vision_transformer_tiny_digits", "--crop_padding", "1"),
    *("--rand_augment", "1", "--mixup", "0.4", "--random_erasing", "0.5"),
    *("--gradient_accumulation", "2", "--batch_size", "128", *_SMALL),
]
KINDS = ("translator", "texts", "digits")


@dataclasses.dataclass
class Whole:
    """A fit that was not stopped."""

    arguments: list
    run: pathlib.Path
    seconds: float


@pytest.fixture(scope="module")
def whole(tmp_path_factory, command, tiny_fit, tiny_run, long_form):
    """Fits without a stop, once for each kind."""
    # Only a kill at a random moment may come upon an export.
    last = () if long_form else ("--export", "false")
    arguments = {
        "translator": [*tiny_fit, *_SAVED, *last],
        "texts": [*_TEXTS, *last],
        "digits": [*_DIGITS, *last],
    }
    fitted = {}

    if not long_form:  # which alone asks for the seconds
        translator = arguments["translator"]
        fitted["translator"] = Whole(translator, tiny_run, float("nan"))

    def of(kind):
        if kind not in fitted:
            folder = tmp_path_factory.mktemp(kind)
            write_texts(folder)
            start = time.monotonic()
            status, _, errors = command.run(arguments[kind], folder)
            assert status == 0, errors
            fitted[kind] = Whole(
                arguments[kind],
                folder / "runs" / "tiny",
                time.monotonic() - start,
            )
        return fitted[kind]

    return of


def states(run):
    """The numbers of the states: finished epochs, steps of the next one."""
    names = [path.name for path in run.glob("checkpoints/state-*.index")]
    return sorted(
        (int(name[6:10]), int(name[11:].removesuffix(".index")))
        for name in names
    )


def assert_same(left, right):
    """Two runs ended alike, to the bit."""
    for model in ("checkpoints/best.keras", "pretraining/best.keras"):
        if (left / model).exists():
            ours, theirs = (
                keras.saving.load_model(run / model, compile=False).weights
                for run in (left, right)
            )
            assert len(ours) == len(theirs) > 5
            for one, other in zip(ours, theirs):
                np.testing.assert_array_equal(one.value, other.value, one.path)
    assert states(left)[-1] == states(right)[-1] == (3, 0)
    ours, theirs = (
        tf.train.load_checkpoint(
            str(run / "checkpoints" / "state-0003-00000000")
        )
        for run in (left, right)
    )
    names = [
        name
        for name in ours.get_variable_to_shape_map()
        if name.startswith(("variables/", "metrics/"))
    ]
    assert len(names) > 40  # weights, seeds, two moments and the averages
    for name in names:
        np.testing.assert_array_equal(
            ours.get_tensor(name), theirs.get_tensor(name), name
        )
    ours, theirs = (Run(run).metrics["history"] for run in (left, right))
    assert without_times(ours) == without_times(theirs)


def without_times(history):
    return [
        {name: value for name, value in scores.items() if name not in _TIMES}
        for scores in history
    ]


def assert_whole_exports(folder):
    """What is there under the name of a version can be served."""
    for path in folder.glob("saved_models/*/[0-9]*"):
        assert (path / "model_card.json").exists()
        tf.saved_model.load(str(path))


def wait_inside(process, run, epoch):
    """Until a step within that epoch is saved."""
    for _ in range(12000):
        if any(place >= (epoch, 1) for place in states(run)):
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    raise AssertionError("no state came")


@pytest.mark.parametrize("kind", KINDS)
def test_a_fit_that_was_killed_inside_an_epoch(kind, whole, command, tmp_path):
    reference = whole(kind)
    write_texts(tmp_path)
    process = command.start(reference.arguments, tmp_path)
    run = tmp_path / "runs" / "tiny"
    wait_inside(process, run, epoch=1)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (run / "metrics.json").exists()
    assert not (tmp_path / "saved_models").exists()
    damaged = damage_newest(run) if kind == "translator" else None
    status, printed, errors = command.run(reference.arguments, tmp_path)
    assert status == 0, errors
    assert "Going on after epoch" in printed
    if damaged:
        assert "warning: a state of the training can't be read" in errors
        assert damaged in errors
    assert_same(reference.run, run)


def damage_newest(run):
    """Halve the data of the newest state, and give its name."""
    epoch, step = states(run)[-1]
    name = f"state-{epoch:04d}-{step:08d}"
    (data,) = (run / "checkpoints").glob(f"{name}.data*")
    data.write_bytes(data.read_bytes()[: data.stat().st_size // 2])
    return name


@pytest.mark.long
@pytest.mark.parametrize("number", range(10))
@pytest.mark.parametrize("kind", KINDS)
def test_a_fit_that_was_killed_at_a_random_moment(
    kind, number, whole, command, tmp_path
):
    reference = whole(kind)
    write_texts(tmp_path)
    process = command.start(reference.arguments, tmp_path)
    moment = random.Random(f"{kind} {number}").uniform(0.2, 1.0)
    time.sleep(moment * reference.seconds)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert_whole_exports(tmp_path)
    run = tmp_path / "runs" / "tiny"
    inside = bool(states(run)) and states(run)[-1][1] > 0
    print(f"{kind} {number}: killed at {moment:.2f}, inside: {inside}")
    status, _, errors = command.run(reference.arguments, tmp_path)
    assert status == 0, errors
    assert_same(reference.run, run)
    assert_whole_exports(tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_a_fit_with_its_state_saved(
    number, whole, command, tmp_path
):
    reference = whole("translator")
    arguments = [*reference.arguments, "--save_seconds", "60"]
    process = command.start(arguments, tmp_path)
    run = tmp_path / "runs" / "tiny"
    while not (run / "config.yaml").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    wait_for_handler(process, number)
    process.send_signal(number)
    _, errors = process.communicate()
    assert process.returncode == 128 + number
    assert f"Stopped by {number.name} in epoch" in errors
    assert "Traceback" not in errors
    assert len(states(run)) > 0
    status, printed, errors = command.run(arguments, tmp_path)
    assert status == 0, errors
    assert "Going on after epoch" in printed
    assert_same(reference.run, run)


def wait_for_handler(process, number):
    """Until the process handles a signal itself, as Linux tells."""
    status = pathlib.Path(f"/proc/{process.pid}/status")
    for _ in range(12000):
        caught = int(status.read_text().split("SigCgt:\t")[1].split()[0], 16)
        # Python itself handles SIGINT from the start.
        if caught >> (signal.SIGTERM - 1) & 1:
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    raise AssertionError("no handler came")


def test_a_full_disk_ends_a_fit_with_one_message(whole, command, tmp_path):
    reference = whole("translator")
    # No file may be larger: writing fails as on a disk that is full.
    limit = ("prlimit", "--fsize=30000")
    status, _, errors = command.run(reference.arguments, tmp_path, limit)
    assert status == 2
    assert "train.py: The state of the training can't be written" in errors
    assert "Traceback" not in errors
    run = tmp_path / "runs" / "tiny"
    assert list(run.glob("checkpoints/*")) == []
