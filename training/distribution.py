"""From what the command line says to what a fit is spread over."""

import sys

import tensorflow as tf

from training.cluster import LostPeerError
from training.configuration import ConfigurationError
from training.one_process import OneProcess
from training.replicas import Replicas
from training.server_watch import serves_grpc


def start_distribution(arguments):
    """What a fit is spread over; with several workers once all are there.

    Args:
        arguments: The `DistributionArguments`.

    Raises:
        ConfigurationError: If a data server does not answer.
    """
    for address in arguments.servers:
        if not serves_grpc(address):
            raise ConfigurationError(
                "No data server answers; `python -m training.data_server "
                "--port PORT` starts one. "
                f"Received: data_service=grpc://{address}"
            )
    if arguments.kind == "mirrored":
        return Replicas(tf.distribute.MirroredStrategy(), arguments)
    if arguments.kind == "multi_worker":
        return _of_workers(arguments)
    return OneProcess(arguments)


def _of_workers(arguments):
    cluster = arguments.cluster
    own = cluster.tasks[cluster.number]
    print(
        f"{cluster.name(own)} waits until all {len(cluster.tasks)} are there",
        file=sys.stderr,
    )
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    except tf.errors.OpError as error:
        raise LostPeerError(
            f"The workers did not come together: {error}"
        ) from error
    return Replicas(strategy, arguments)
