"""A server that makes batches for fits on other machines.

    python -m training.data_server --port 5050

It is a dispatcher of the tf.data service with one worker, on the next port.
"""

import argparse
import signal
import socket
import sys


def serve(port, host):
    """Start a dispatcher and its worker.

    Args:
        port: Port of the dispatcher; that of the worker is the next one.
        host: Name by which the fits reach this machine.

    Returns:
        Both servers, which serve as long as they are referred to.
    """
    import tensorflow as tf

    service = tf.data.experimental.service
    dispatcher = service.DispatchServer(service.DispatcherConfig(port=port))
    worker = service.WorkerServer(
        service.WorkerConfig(
            dispatcher_address=f"localhost:{port}",
            worker_address=f"{host}:{port + 1}",
            port=port + 1,
        )
    )
    return dispatcher, worker


def main(argv=None):
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(
        prog="python -m training.data_server",
        description="Make batches for fits with `--data-service`. Whoever "
        "reaches its ports can have it compute: keep them in a private "
        "network.",
    )
    parser.add_argument("--port", type=int, default=5050)
    parser.add_argument(
        "--host",
        default=socket.gethostname(),
        help="Name by which the fits reach this machine (default: %(default)s)",
    )
    arguments = parser.parse_args(argv)

    from training.quiet_import import import_tensorflow

    import_tensorflow()
    import tensorflow as tf

    try:
        dispatcher, _worker = serve(arguments.port, arguments.host)
    except tf.errors.OpError as error:
        sys.exit(f"training.data_server: {error.message.splitlines()[0]}")
    # It waits in C++, where Python would not hear Ctrl-C.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    print(
        f"serves at grpc://{arguments.host}:{arguments.port}, batches at port "
        f"{arguments.port + 1}",
        flush=True,
    )
    dispatcher.join()


if __name__ == "__main__":
    main()
