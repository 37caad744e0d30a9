"""What a fit runs on."""

import os
import platform

import tensorflow as tf


def hardware():
    """The processor, its cores that this process may use, and the GPUs."""
    gpus = [
        tf.config.experimental.get_device_details(gpu).get("device_name", gpu)
        for gpu in tf.config.list_physical_devices("GPU")
    ]
    # Not every system says which cores a process may use.
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count()
    return ", ".join([f"{cores} cores {platform.machine()}", *map(str, gpus)])
