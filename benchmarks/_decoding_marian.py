"""`MarianMTModel` of transformers, in torch."""

import numpy as np
import torch
import transformers
from torch.nn import functional

from benchmarks import _decoding_setting as common
from benchmarks._timing import time_steps

# Ours and theirs.
MODULES = {
    "encoder": {"attention": ("self_attn", "self_attn_layer_norm")},
    "decoder": {
        "self_attention": ("self_attn", "self_attn_layer_norm"),
        "cross_attention": ("encoder_attn", "encoder_attn_layer_norm"),
    },
}
PARTS = {"query": "q_proj", "key": "k_proj", "value": "v_proj"}


def create(setting, compiled=False):
    """See `_workers`.

    Args:
        setting: Fields of a `Setting`.
        compiled: Whether `torch.compile` compiles the loss for training.
    """
    setting = common.Setting(**setting)
    torch.set_num_threads(setting.threads)
    return Marian(setting, compiled)


def make_model(setting):
    """The model with the sizes and weights of the setting."""
    ids = list(common.marian_ids(setting))
    model = transformers.MarianMTModel(
        transformers.MarianConfig(
            vocab_size=setting.vocabulary_size,
            d_model=setting.hidden_dim,
            encoder_layers=setting.num_layers,
            decoder_layers=setting.num_layers,
            encoder_attention_heads=setting.num_heads,
            decoder_attention_heads=setting.num_heads,
            encoder_ffn_dim=setting.intermediate_dim,
            decoder_ffn_dim=setting.intermediate_dim,
            max_position_embeddings=max(
                setting.source_length, setting.target_length
            ),
            activation_function="relu",
            scale_embedding=True,
            dropout=0.0,
            pad_token_id=ids.index(common.PADDING_ID),
            eos_token_id=ids.index(common.END_ID),
            decoder_start_token_id=ids.index(common.START_ID),
            forced_eos_token_id=None,
        )
    )
    for name, weight in common.make_weights(setting).items():
        weight = torch.from_numpy(common.marian_weight(name, weight))
        if name == "embedding":
            weight = weight[ids]
        with torch.no_grad():
            _parameter(model.model, name).copy_(
                weight.T if "kernel" in name else weight
            )
    return model


def _parameter(model, name):
    """Where a weight of the setting is; a kernel is transposed."""
    if name == "embedding":
        return model.shared.weight
    side, place, branch, kind = name.split("/")
    layer = getattr(model, side).layers[int(place)]
    branch, norm = MODULES[side].get(branch, (None, "final_layer_norm"))
    if kind in ("gamma", "beta"):
        field = {"gamma": "weight", "beta": "bias"}[kind]
        return getattr(getattr(layer, norm), field)
    part, kind = kind.split("_")
    if branch is None:
        module = {"hidden": layer.fc1, "output": layer.fc2}[part]
    else:
        module = getattr(getattr(layer, branch), PARTS.get(part, "out_proj"))
    return {"kernel": module.weight, "bias": module.bias}[kind]


class Marian:
    """The model, its optimizer and its searches."""

    def __init__(self, setting, compiled):
        self.setting = setting
        self.ids = torch.from_numpy(common.marian_ids(setting))
        place = self.ids.argsort()
        source, target, predicted = (
            place[torch.from_numpy(array).long()]
            for array in common.make_batch(setting)
        )
        self.inputs = {
            "input_ids": source,
            "attention_mask": torch.ones_like(source),
        }
        self.target, self.predicted = target, predicted
        self.penalty = torch.from_numpy(common.never_emitted(setting))[self.ids]
        self.model = make_model(setting)
        decayed, others = [], []
        for name, weight in self.model.named_parameters():
            plain = "bias" in name or "norm" in name
            if weight.requires_grad:  # positions are fixed
                (others if plain else decayed).append(weight)
        self.optimizer = torch.optim.AdamW(
            [
                {"params": decayed, "weight_decay": setting.weight_decay},
                {"params": others, "weight_decay": 0.0},
            ],
            lr=setting.learning_rate,
            betas=(setting.beta_1, setting.beta_2),
            eps=setting.epsilon,
            fused=True,
        )
        self._loss = torch.compile(self._loss_of) if compiled else self._loss_of
        self.searches = {
            kind: transformers.GenerationConfig(
                max_new_tokens=setting.target_length,
                num_beams=num_beams,
                do_sample=False,
                use_cache=True,
                pad_token_id=self.model.config.pad_token_id,
                eos_token_id=self.model.config.eos_token_id,
                decoder_start_token_id=self.model.config.decoder_start_token_id,
            )
            for kind, num_beams in (
                ("greedy", 1),
                ("beam", setting.beam_width),
            )
        }

    def _get_ready(self, kind):
        """The special tokens are impossible in a search, and only there."""
        training = kind == "train"
        self.model.train(training)
        bias = torch.zeros_like(self.penalty) if training else self.penalty
        self.model.final_logits_bias.copy_(bias)

    def convert(self, folder):
        """Write the model for CTranslate2 to a folder."""
        from benchmarks import _decoding_conversion

        self._get_ready("convert")
        names = common.token_names(self.setting)
        _decoding_conversion.convert(self.model, names, folder)

    @torch.inference_mode()
    def first_step(self, path):
        """Write the log-probabilities of all first tokens to `path`."""
        self._get_ready("first step")
        logits = self.model(
            **self.inputs, decoder_input_ids=self.target[:, :1]
        ).logits
        found = torch.empty(logits[:, 0].shape)
        found[:, self.ids] = logits[:, 0].log_softmax(-1)
        np.save(path, found)

    @torch.inference_mode()
    def _search(self, kind):
        return self.model.generate(
            **self.inputs, generation_config=self.searches[kind]
        )

    def translate(self, kind, path):
        """Write the translation of the batch to `path`."""
        self._get_ready(kind)
        # The first is what starts all.
        np.save(path, self.ids[self._search(kind)[:, 1:]])

    def _loss_of(self):
        logits = self.model(
            **self.inputs, decoder_input_ids=self.target, use_cache=False
        ).logits
        return functional.cross_entropy(
            logits.flatten(0, 1), self.predicted.flatten()
        )

    def _train(self):
        self.optimizer.zero_grad(set_to_none=True)
        loss = self._loss()
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def losses(self, steps):
        """Losses of so many training steps."""
        self._get_ready("train")
        return [self._train() for _ in range(steps)]

    def time(self, kind, steps):
        """Seconds of a search of that kind, or of one step to `"train"`."""
        self._get_ready(kind)
        if kind == "train":
            return time_steps(self._train, steps)
        return time_steps(lambda: self._search(kind).numpy(), steps)
