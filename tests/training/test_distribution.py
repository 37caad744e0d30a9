"""Two devices, or two processes, fit as one does."""

import contextlib
import json
import signal

import numpy as np
import pytest

from tests.training.test_kills import assert_same
from tests.training.test_kills import wait_for_handler
from tests.training.test_kills import wait_inside
from tests.training.two_kinds import write_texts
from tests.training.workers import ended
from tests.training.workers import free_ports
from tests.training.workers import REPOSITORY
from tests.training.workers import start_process
from tests.training.workers import start_workers

# Nothing is drawn by chance: replicas draw other numbers than one process.
_CERTAIN = [
    *("--jit", "false", "--epochs", "2", "--warmup_steps", "3"),
    *("--average_decay", "0.9", "--validation_metric", "loss"),
    *("--model.dropout", "0", "--export", "false"),
]
_PHRASES = [
    *("--data.num_train", "100", "--data.num_validation", "10"),
    *("--data.num_test", "10", "--tokens_per_batch", "512"),
]
_SMALL = ["--model.num_layers", "1", "--model.hidden_dim", "16"]
FAMILIES = {
    "recurrent": [
        *("--preset", "bahdanau_translator_tiny", *_PHRASES),
        *("--model.hidden_dim", "8", "--model.embedding_dim", "4"),
    ],
    "transformer": [
        *("--preset", "transformer_translator_tiny", *_PHRASES, *_SMALL),
        *("--dataset", "phrases", "--model.num_heads", "2"),
        *("--guided_alignment", "0.1", "--label_smoothing", "0.1"),
    ],
    "texts": [
        *("--preset", "transformer_classifier_tiny", *_SMALL),
        *("--dataset", "csv:texts.csv", "--max_sequence_length", "12"),
        *("--tokenizer", "word", "--vocabulary_size", "40"),
        *("--batch_size", "9", "--class_weights", "balanced"),
    ],
    # Accumulated, and of a batch that is no multiple of two.
    "pictures": [
        *("--preset", "vision_transformer_tiny_digits", *_SMALL),
        *("--batch_size", "255", "--gradient_accumulation", "2"),
        *("--model.stochastic_depth", "0", "--crop_padding", "0"),
    ],
}
# With all that is drawn by chance.
DRAWN = {
    "recurrent": ["--model.dropout", "0.2"],
    "transformer": ["--model.dropout", "0.2"],
    "texts": [
        *("--model.dropout", "0.2"),
        *("--pretrain", "mlm", "--pretrain_epochs", "1"),
    ],
    "pictures": [
        *("--model.dropout", "0.2", "--model.stochastic_depth", "0.2"),
        *("--crop_padding", "1", "--rand_augment", "1"),
        *("--mixup", "0.4", "--random_erasing", "0.5"),
    ],
}
# The softmax does not see what is added to all keys, so that the gradient of
# this is 0 but for rounding, and Adam makes steps of such gradients.
_ROUNDING = 1e-3
_WITHOUT_GRADIENT = "key_bias"


# The others are fitted in the long form of the tests only.
_SHORT = ("recurrent", "texts")
_NAMES = [
    pytest.param(name, marks=() if name in _SHORT else pytest.mark.long)
    for name in FAMILIES
]


@pytest.fixture(scope="module")
def start(tmp_path_factory, long_form):
    """A function that has all families fitted in one or several processes,
    and gives one that waits for them and gives the folder of the runs."""

    def fit(*how, workers=0, drawn=False):
        folder = tmp_path_factory.mktemp("spread")
        write_texts(folder)
        fits = [
            [*arguments, *_CERTAIN, "--name", name]
            + (DRAWN[name] if drawn else [])
            for name, arguments in FAMILIES.items()
            if long_form or name in _SHORT
        ]
        (folder / "fits.json").write_text(json.dumps(fits), "utf-8")
        script = REPOSITORY / "tests" / "training" / "spread_fits.py"
        command = [script, "fits.json", *how]
        if workers:
            command += ["--distribute", "multi_worker"]
            processes = start_workers(command, folder, workers)
        else:
            processes = [start_process(command, folder)]

        def runs():
            for status, _, errors in ended(processes):
                assert status == 0, errors
            return folder / "runs"

        return runs

    return fit


@pytest.fixture(scope="module")
def servers():
    """Addresses of two data servers."""
    processes, addresses = [], []
    for port in free_ports(2):
        command = ["-m", "training.data_server", "--host", "127.0.0.1"]
        processes.append(start_process([*command, "--port", port], REPOSITORY))
        addresses.append(f"grpc://127.0.0.1:{port}")
    for process, address in zip(processes, addresses):
        assert address in process.stdout.readline()
    yield ",".join(addresses)
    for process in processes:
        process.terminate()
        process.communicate()


@pytest.fixture(scope="module")
def both(start, servers):
    """Fitted by one process, and by two with batches of two data servers."""
    one = start()
    two = start("--data_service", servers, workers=2)
    return one(), two()


@pytest.fixture(scope="module")
def one_process(both):
    return both[0]


@pytest.fixture(scope="module")
def two_workers(both):
    return both[1]


@pytest.fixture(scope="module")
def two_devices(start):
    return start("--distribute", "mirrored")()


def _variables(runs, name):
    with np.load(runs / name / "checkpoints" / "variables.npz") as content:
        return dict(content)


def assert_alike(runs, reference, name):
    """All variables are the same but for the order of sums: weights and their
    averages, and what Adam holds, which shows the size of gradients."""
    ours, theirs = _variables(runs, name), _variables(reference, name)
    assert [*ours] == [*theirs]
    compared = {
        path
        for path in ours
        if _WITHOUT_GRADIENT not in path and ours[path].dtype == np.float32
    }
    assert len(compared) > 40
    errors = {
        path: np.max(np.abs(ours[path] - theirs[path]))
        / (np.max(np.abs(theirs[path])) + 1e-9)
        for path in compared
    }
    worst = sorted(errors, key=errors.get)[-8:]
    for path in worst:
        print(f"{name} {path}: {errors[path]:.1e} of the largest")
    assert errors[worst[-1]] < _ROUNDING
    history, expected = (
        json.loads((folder / name / "metrics.json").read_text("utf-8"))[
            "history"
        ]
        for folder in (runs, reference)
    )
    assert len(history) == len(expected) == 2
    for row, other in zip(history, expected):
        # The mean over batches of slightly other weights.
        assert row["training_loss"] == pytest.approx(
            other["training_loss"], rel=1e-3
        )


@pytest.mark.parametrize("name", _NAMES)
def test_two_workers_fit_as_one_process(name, two_workers, one_process):
    assert_alike(two_workers, one_process, name)


@pytest.mark.long
@pytest.mark.parametrize("name", FAMILIES)
def test_two_devices_fit_as_one_process(name, two_devices, one_process):
    assert_alike(two_devices, one_process, name)


@pytest.mark.long
@pytest.mark.parametrize("how", ["workers", "devices"])
def test_what_is_drawn_is_drawn_again(how, start):
    if how == "workers":
        first, second = (start(workers=2, drawn=True)() for _ in range(2))
    else:
        first, second = (
            start("--distribute", "mirrored", drawn=True)() for _ in range(2)
        )
    for name in FAMILIES:
        ours, theirs = _variables(first, name), _variables(second, name)
        for path, value in theirs.items():
            np.testing.assert_array_equal(ours[path], value, path)


@pytest.fixture(scope="module")
def together(tiny_fit):
    """The command of two workers."""
    return [
        *(REPOSITORY / "train.py", *tiny_fit, "--save_seconds", "0"),
        *("--distribute", "multi_worker"),
    ]


@pytest.mark.long
def test_workers_that_are_stopped_or_killed_go_on(together, tmp_path):
    folders = [tmp_path / name for name in ("whole", "parts")]
    whole, parts = (folder / "runs" / "tiny" for folder in folders)
    for folder in folders:
        folder.mkdir()
    for status, _, errors in ended(start_workers(together, folders[0])):
        assert status == 0, errors

    # One is asked to stop: both do, with one state.
    processes = start_workers(together, folders[1])
    wait_inside(processes[0], parts, epoch=0)
    wait_for_handler(processes[1], signal.SIGTERM)
    processes[1].send_signal(signal.SIGTERM)
    for status, _, errors in ended(processes):
        assert status == 128 + signal.SIGTERM, errors
        assert "Stopped by SIGTERM in epoch" in errors
        assert "Traceback" not in errors

    # One is killed, the one that writes not: the other one says so.
    for victim, epoch in ((1, 1), (0, 2)):
        processes = start_workers(together, folders[1])
        with contextlib.suppress(ProcessLookupError):
            wait_inside(processes[0], parts, epoch)
            processes[victim].send_signal(signal.SIGKILL)
        ended([processes[victim]])
        ((status, _, errors),) = ended([processes[1 - victim]], timeout=60)
        assert status == 75, errors
        assert f"worker {victim} at 127.0.0.1" in errors
        assert "With the same command on all workers" in errors
        assert "Traceback" not in errors

    found = ended(start_workers(together, folders[1]))
    for status, _, errors in found:
        assert status == 0, errors
    assert "Going on after epoch 2 of 3" in found[0][1]
    assert found[1][1] == ""
    assert_same(whole, parts)
    for folder in folders:
        models = list(folder.glob("saved_models/tiny/*"))
        assert [model.name for model in models] == ["1"]


@pytest.mark.long
def test_workers_without_a_common_folder(together, tmp_path):
    folders = [tmp_path / name for name in "ab"]
    processes = []
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    for index, folder in enumerate(folders):
        folder.mkdir()
        task = {"type": "worker", "index": index}
        config = {"cluster": {"worker": addresses}, "task": task}
        processes.append(
            start_process(together, folder, TF_CONFIG=json.dumps(config))
        )
    (_, _, errors), (status, _, last) = ended(processes)
    assert "is not there, though the first worker has started it" in last
    assert status == 2
    assert "worker 1 at 127.0.0.1" in errors


@pytest.mark.long
@pytest.mark.parametrize("again", [False, True])
def test_a_fit_whose_data_server_is_gone_ends(tiny_fit, again, tmp_path):
    (port,) = free_ports(1)
    serve = ["-m", "training.data_server", "--host", "127.0.0.1"]
    server = start_process([*serve, "--port", port], REPOSITORY)
    server.stdout.readline()
    fit = start_process(
        [
            *(REPOSITORY / "train.py", *tiny_fit, "--epochs", "2000"),
            *("--save_seconds", "0", "--export", "false"),
            *("--data_service", f"grpc://127.0.0.1:{port}"),
        ],
        tmp_path,
    )
    wait_inside(fit, tmp_path / "runs" / "tiny", epoch=0)
    server.kill()
    server.communicate()
    if again:
        server = start_process([*serve, "--port", port], REPOSITORY)
        server.stdout.readline()
    ((status, _, errors),) = ended([fit], timeout=60)
    if again:
        server.kill()
        server.communicate()
        assert "A data server was started anew" in errors
    else:
        assert f"The data server at 127.0.0.1:{port} is gone" in errors
    assert "Traceback" not in errors
    assert status == 75
