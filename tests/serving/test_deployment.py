"""The files with which TensorFlow Serving is started."""

import pathlib
import subprocess

import numpy as np
import pytest
import tensorflow as tf
import yaml
from google.protobuf import descriptor_pb2
from google.protobuf import descriptor_pool
from google.protobuf import message_factory
from google.protobuf import text_format
from google.protobuf import wrappers_pb2
from tensorflow_serving.config import model_server_config_pb2

from serving import model_config
from serving.contract import MOST_ROWS
from tests.serving.conftest import SHIPPED_MODELS

SERVING = pathlib.Path(model_config.__file__).parent
FIELD = descriptor_pb2.FieldDescriptorProto

# Of the files session_bundle_config.proto and monitoring_config.proto of
# TensorFlow Serving, which its package for Python does not hold.
MESSAGES = {
    "BatchingParameters": {
        "max_batch_size": (1, "Int64Value"),
        "batch_timeout_micros": (2, "Int64Value"),
        "max_enqueued_batches": (3, "Int64Value"),
        "num_batch_threads": (4, "Int64Value"),
        "allowed_batch_sizes": (6, FIELD.TYPE_INT64),
        "pad_variable_length_inputs": (7, FIELD.TYPE_BOOL),
        "enable_large_batch_splitting": (8, "BoolValue"),
    },
    "PrometheusConfig": {
        "enable": (1, FIELD.TYPE_BOOL),
        "path": (2, FIELD.TYPE_STRING),
    },
    "MonitoringConfig": {"prometheus_config": (1, "PrometheusConfig")},
}


@pytest.fixture(scope="module")
def message_classes():
    """Classes of these messages, by their names."""
    file = descriptor_pb2.FileDescriptorProto(
        name="serving.proto",
        package="serving",
        syntax="proto3",
        dependency=["google/protobuf/wrappers.proto"],
    )
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            added = message.field.add(
                name=field, number=number, label=FIELD.LABEL_OPTIONAL
            )
            if field.endswith("sizes"):
                added.label = FIELD.LABEL_REPEATED
            if isinstance(kind, int):
                added.type = kind
            else:
                package = "serving" if kind in MESSAGES else "google.protobuf"
                added.type_name = f".{package}.{kind}"
                added.type = FIELD.TYPE_MESSAGE
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return message_factory.GetMessageClassesForFiles(["serving.proto"], pool)


def parse(name, message):
    return text_format.Parse((SERVING / name).read_text("utf-8"), message)


def test_batching(message_classes):
    batching = parse(
        "batching.config", message_classes["serving.BatchingParameters"]()
    )
    assert batching.HasField("enable_large_batch_splitting")
    assert not batching.enable_large_batch_splitting.value
    assert not batching.pad_variable_length_inputs
    assert not batching.allowed_batch_sizes
    # What the client sends at a time.
    assert batching.max_batch_size.value == MOST_ROWS
    assert 0 < batching.batch_timeout_micros.value <= 10_000


def test_copies_of_a_row_change_nothing_and_parts_have_widths(local_model):
    explain = local_model(SHIPPED_MODELS[0].name)._signatures["explain"]

    def answer(*texts):
        found = explain(text=tf.constant(texts))
        return {name: tensor.numpy() for name, tensor in found.items()}

    texts = "in 3 weeks", "Thursday, October 24, 2047"
    two, filled = answer(*texts), answer(*texts, *texts[:1] * 2)
    for name, values in two.items():
        if values.dtype == object:
            assert np.array_equal(values, filled[name][:2])
        else:
            np.testing.assert_allclose(filled[name][:2], values, atol=1e-5)
    one, other = (answer(text)["attention"].shape for text in texts)
    assert one[-2:] != other[-2:]


def test_monitoring(message_classes):
    monitoring = parse(
        "monitoring.config", message_classes["serving.MonitoringConfig"]()
    )
    assert monitoring.prometheus_config.enable
    assert monitoring.prometheus_config.path == "/monitoring/prometheus/metrics"


def test_the_shipped_models_are_served(tmp_path, capsys):
    for path in SHIPPED_MODELS:
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "unfinished" / ".new-1").mkdir(parents=True)
    (tmp_path / "empty" / "1").mkdir(parents=True)
    assert model_config.main([str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert printed == (SERVING / "models.config").read_text("utf-8")
    config = parse(
        "models.config", model_server_config_pb2.ModelServerConfig()
    ).model_config_list.config
    assert [each.name for each in config] == [m.name for m in SHIPPED_MODELS]
    for each in config:
        assert each.base_path == f"/models/{each.name}"


def test_a_folder_without_models(tmp_path, capsys):
    output = tmp_path / "models.config"
    output.write_text("as it was")
    arguments = [str(tmp_path), "--output", str(output)]
    assert model_config.main(arguments) == 2
    assert str(tmp_path) in capsys.readouterr().err
    assert output.read_text() == "as it was"


@pytest.fixture(scope="module")
def services():
    text = (SERVING / "compose.yaml").read_text("utf-8")
    return yaml.safe_load(text)["services"]


@pytest.mark.parametrize("name", ["serving", "serving-gpu"])
def test_compose(services, name):
    service = services[name]
    suffix = name.removeprefix("serving")
    assert service["image"] == f"tensorflow/serving:2.20.0{suffix}"
    assert ("profiles" in service) == ("deploy" in service) == bool(suffix)
    for port in (8500, 8501):
        published = f"${{SERVING_BIND:-127.0.0.1}}:{port}:{port}"
        assert published in service["ports"]
    mounts = {}
    for volume in service["volumes"]:
        source, target, mode = volume.split(":")
        assert mode == "ro"
        mounts[target] = (SERVING / source).resolve()
    assert mounts["/models"] == SERVING.parent / "saved_models"
    options = dict(option.split("=") for option in service["command"])
    assert options["--enable_batching"] == "true"
    for option in (
        "--model_config_file",
        "--batching_parameters_file",
        "--monitoring_config_file",
    ):
        folder, _, file = options[option].rpartition("/")
        assert (mounts[folder] / file).is_file()


def test_the_check_of_health(services, server, tmp_path):
    command = services["serving"]["healthcheck"]["test"]
    assert command[0] == "CMD"
    config = tmp_path / "models.config"

    def status(text, port):
        config.write_text(text)
        script = command[-1].replace("$$", "$")
        script = script.replace("/config/models.config", str(config))
        script = script.replace("/8501", f"/{port}")
        found = subprocess.run(
            [*command[1:-1], script], timeout=60, capture_output=True
        )
        return found.returncode

    shipped = (SERVING / "models.config").read_text("utf-8")
    other = shipped.replace("digits", "letters")
    assert status(shipped, server["http"]) == 0
    assert status(other, server["http"]) != 0
    assert status("", server["http"]) != 0
    assert status(shipped, 1) != 0
