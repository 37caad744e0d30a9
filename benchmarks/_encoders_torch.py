"""The Vision Transformer of transformers, in torch."""

import contextlib

import numpy as np
import torch
import transformers
from torch.nn import functional

from benchmarks import _encoders_setting as common
from benchmarks._timing import time_steps


def create(setting, folder=None, compiled=False):
    """See `_workers`.

    Args:
        setting: Fields of a `Setting`.
        folder: Of the weights; None draws them.
        compiled: Whether `torch.compile` compiles the model.
    """
    setting = common.Setting(**setting)
    torch.set_num_threads(setting.threads)
    if folder is None:
        torch.manual_seed(setting.seed)
        model = transformers.ViTForImageClassification(_config(setting))
    else:
        model = transformers.ViTForImageClassification.from_pretrained(folder)
    return _Contestant(model, setting, compiled)


def _config(setting):
    return transformers.ViTConfig(
        image_size=setting.image_size,
        patch_size=setting.patch_size,
        num_hidden_layers=setting.num_layers,
        num_attention_heads=setting.num_heads,
        hidden_size=setting.hidden_dim,
        intermediate_size=setting.intermediate_dim,
        num_labels=setting.num_classes,
        layer_norm_eps=setting.layer_norm_epsilon,
        # Keeps the scale of what kernels are applied to, so that attention
        # is far from uniform and a wrong one would show in the logits.
        initializer_range=setting.hidden_dim**-0.5,
    )


class _Contestant:
    """The model and its optimizer."""

    def __init__(self, model, setting, compiled):
        images, classes = common.make_batch(setting)
        # (B, H, W, C) -> (B, C, H, W)
        images = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
        self.images = torch.from_numpy(images)
        self.classes = torch.from_numpy(classes).long()
        self.plain = model
        self.model = torch.compile(model) if compiled else model
        self.low = setting.precision == "bfloat16"
        self.optimizer = torch.optim.AdamW(
            model.parameters(),
            lr=setting.learning_rate,
            weight_decay=setting.weight_decay,
            eps=setting.epsilon,
            fused=True,
        )

    def save(self, folder):
        """Save the weights."""
        self.plain.save_pretrained(folder)

    def _precision(self):
        if self.low:
            return torch.autocast("cpu", dtype=torch.bfloat16)
        return contextlib.nullcontext()

    def _forward(self):
        self.model.eval()
        with torch.inference_mode(), self._precision():
            return self.model(self.images).logits.float().numpy()

    def _train(self):
        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        with self._precision():
            logits = self.model(self.images).logits
        loss = functional.cross_entropy(logits.float(), self.classes)
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def logits(self, path):
        """Write the logits of the batch to `path`."""
        np.save(path, self._forward())

    def losses(self, steps):
        """Losses of so many training steps."""
        return [self._train() for _ in range(steps)]

    def time(self, kind, steps):
        """Seconds of one `"forward"` pass or one step to `"train"`."""
        step = {"forward": self._forward, "train": self._train}[kind]
        return time_steps(step, steps)
