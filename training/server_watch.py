"""Ends a fit whose data server is gone, which else would wait for it."""

import contextlib
import os
import sys
import threading
import time

import grpc

from training.cluster import TRY_AGAIN


@contextlib.contextmanager
def watch_servers(addresses, patience=20.0, pause=2.0):
    """Inside, a data server that is gone ends the process.

    The thread that fits waits in TensorFlow, where neither an exception nor a
    signal reaches it, so the process ends at once, as if it were killed: with
    the state that was saved last, and status 75.

    Args:
        addresses: `host:port` of the data servers.
        patience: Seconds for which none answers there until it is gone.
        pause: Seconds between two looks.
    """
    over = threading.Event()
    if addresses:
        threading.Thread(
            target=_watch, args=(addresses, patience, pause, over), daemon=True
        ).start()
    try:
        yield
    finally:
        over.set()


def _watch(addresses, patience, pause, over):
    heard = dict.fromkeys(addresses, time.monotonic())
    while not over.wait(pause):
        for address in addresses:
            if serves_grpc(address):
                heard[address] = time.monotonic()
            elif time.monotonic() - heard[address] > patience:
                _end(address)


def serves_grpc(address, timeout=5.0):
    """Whether a server of gRPC answers at an address `host:port`, and not
    just a port that is open, as that of a tunnel to nowhere."""
    with grpc.insecure_channel(address) as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout)
        except grpc.FutureTimeoutError:
            return False
    return True


def _end(address):
    sys.stdout.flush()  # what is left in it would be lost
    print(
        f"\ntrain.py: The data server at {address} is gone. Start it again, "
        "then the same command: the fit goes on from the state that was "
        "saved last.",
        file=sys.stderr,
        flush=True,
    )
    os._exit(TRY_AGAIN)
