"""The translator in torch, written as well as ours.

Keys are projected once; the input projection, the readout, the map to the
vocabulary and the loss are computed for all steps at once. All sentences of
the batch have the full length, so `nn.GRU` runs without packing, which is
its fastest form; the attention is masked, as ours is.
"""

import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from benchmarks import _bahdanau_setting as common
from benchmarks._timing import time_steps


def create(setting, compiled=False):
    """See `_workers`."""
    setting = common.Setting(**setting)
    torch.set_num_threads(setting.threads)
    return Torch(setting, compiled)


class Translator(nn.Module):
    """Bidirectional GRU, GRU with additive attention, maxout readout."""

    def __init__(self, setting):
        super().__init__()
        embedding, hidden = setting.embedding_dim, setting.hidden_dim
        vocabulary = setting.vocabulary_size
        self.source_embedding = nn.Embedding(vocabulary, embedding)
        self.target_embedding = nn.Embedding(vocabulary, embedding)
        self.encoder = nn.GRU(
            embedding, hidden, batch_first=True, bidirectional=True
        )
        self.bridge = nn.Linear(2 * hidden, hidden)
        # The query and the state meet the same vector: one product for both.
        self.state_kernel = nn.Parameter(torch.empty(hidden, 4 * hidden))
        self.recurrent_bias = nn.Parameter(torch.empty(hidden))
        self.key = nn.Linear(2 * hidden, hidden, bias=False)
        self.score = nn.Parameter(torch.empty(hidden))
        self.input = nn.Linear(embedding, 3 * hidden)
        self.context = nn.Linear(2 * hidden, 3 * hidden, bias=False)
        self.input_query = None
        if setting.input_in_query:
            self.input_query = nn.Linear(embedding, hidden, bias=False)
        self.readout = nn.Linear(3 * hidden + embedding, 2 * embedding)
        self.output = nn.Linear(
            embedding, vocabulary, bias=not setting.tie_embeddings
        )
        if setting.tie_embeddings:
            self.output.weight = self.target_embedding.weight

    def encode(self, source):
        outputs, final = self.encoder(self.source_embedding(source))
        state = torch.tanh(self.bridge(torch.cat([final[0], final[1]], -1)))
        padding = source == 0
        return outputs, self.key(outputs), padding, state

    def prepare(self, embedded):
        """What steps need of their inputs: gates, and part of the query."""
        if self.input_query is None:
            return self.input(embedded), None
        return self.input(embedded), self.input_query(embedded)

    def step(self, inputs, state, outputs, keys, padding):
        """One step of the decoder on prepared inputs."""
        inputs, input_query = inputs
        hidden = state.shape[-1]
        query, gates, reset_input = (state @ self.state_kernel).split(
            [hidden, 2 * hidden, hidden], -1
        )
        if input_query is not None:
            query = query + input_query
        logits = torch.tanh(keys + query[:, None]) @ self.score
        weights = logits.masked_fill(padding, -1e30).softmax(-1)
        context = torch.bmm(weights[:, None], outputs)[:, 0]
        input_gates, candidate = (inputs + self.context(context)).split(
            [2 * hidden, hidden], -1
        )
        update, reset = torch.sigmoid(input_gates + gates).chunk(2, -1)
        candidate = torch.tanh(
            candidate + reset * (reset_input + self.recurrent_bias)
        )
        return torch.lerp(candidate, state, update), context

    def logits(self, states, embedded, contexts):
        features = torch.cat([states, embedded, contexts], -1)
        first, second = self.readout(features).chunk(2, -1)
        return self.output(torch.maximum(first, second))

    def forward(self, source, target):
        outputs, keys, padding, state = self.encode(source)
        embedded = self.target_embedding(target)
        states, contexts = [], []
        gates, queries = self.prepare(embedded)
        for index, gate in enumerate(gates.unbind(1)):
            query = None if queries is None else queries[:, index]
            state, context = self.step(
                (gate, query), state, outputs, keys, padding
            )
            states.append(state)
            contexts.append(context)
        return self.logits(
            torch.stack(states, 1), embedded, torch.stack(contexts, 1)
        )


class Torch:
    """The model, its optimizer and its loops."""

    def __init__(self, setting, compiled):
        self.setting = setting
        self.batch = [
            torch.from_numpy(array).long()
            for array in common.make_batch(setting)
        ]
        self.model = Translator(setting)
        with torch.no_grad():
            self._assign(common.make_weights(setting))
        decayed, others = [], []
        for name, weight in self.model.named_parameters():
            (others if "bias" in name else decayed).append(weight)
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
        self.penalty = torch.from_numpy(common.never_emitted(setting))
        self._loss = torch.compile(self._loss_of) if compiled else self._loss_of
        self._greedy = (
            torch.compile(self._greedy_loop) if compiled else self._greedy_loop
        )

    def _parameters(self):
        """`{name: views}`; stacked they have the layout of the setting."""
        model, hidden = self.model, self.setting.hidden_dim
        found = {
            "source_embedding": [model.source_embedding.weight],
            "target_embedding": [model.target_embedding.weight],
            "bridge_kernel": [model.bridge.weight.T],
            "bridge_bias": [model.bridge.bias],
            "query_kernel": [model.state_kernel[:, :hidden]],
            "key_kernel": [model.key.weight.T],
            "score_kernel": [model.score[:, None]],
            "input_kernel": [model.input.weight.T],
            "input_bias": [model.input.bias],
            "context_kernel": [model.context.weight.T],
            "recurrent_kernel": [model.state_kernel[:, hidden:]],
            "recurrent_bias": [model.recurrent_bias],
            "readout_kernel": [model.readout.weight.T],
            "readout_bias": [model.readout.bias],
        }
        if self.setting.input_in_query:
            found["query_kernel"].append(model.input_query.weight.T)
        if not self.setting.tie_embeddings:
            found["output_kernel"] = [model.output.weight.T]
            found["output_bias"] = [model.output.bias]
        return found

    def _encoder_parameters(self):
        """`{name: parameter}`, with torch's gates: reset, update, new."""
        encoder = self.model.encoder
        return {
            f"{direction}_{name}": getattr(encoder, f"{field}_l0{suffix}")
            for direction, suffix in (("forward", ""), ("backward", "_reverse"))
            for name, field in (
                ("kernel", "weight_ih"),
                ("recurrent_kernel", "weight_hh"),
                ("bias", "bias_ih"),
                ("recurrent_bias", "bias_hh"),
            )
        }

    def _swap_gates(self, array):
        """Exchange the first two of three blocks: torch's order and ours."""
        update, reset, candidate = np.split(array, 3, axis=-1)
        return np.concatenate([reset, update, candidate], axis=-1)

    def _assign(self, weights):
        for name, views in self._parameters().items():
            rows = [len(view) for view in views]
            weight = torch.from_numpy(weights[name])
            for view, part in zip(views, weight.split(rows), strict=True):
                view.copy_(part)
        hidden = self.setting.hidden_dim
        for name, parameter in self._encoder_parameters().items():
            weight = weights[name]
            if name.endswith("recurrent_bias"):
                weight = np.pad(weight, (2 * hidden, 0))
            swapped = self._swap_gates(weight)
            parameter.copy_(torch.from_numpy(swapped.T.copy()))

    def loss_and_gradients(self, path):
        """Write the gradients of the loss to `path`; return the loss."""
        self.optimizer.zero_grad()
        loss = self._loss_of(*self.batch)
        loss.backward()
        self._exchange_gradients()
        with torch.no_grad():
            found = {
                name: torch.cat(views).numpy()
                for name, views in self._parameters().items()
            }
            for name, parameter in self._encoder_parameters().items():
                found[name] = self._swap_gates(parameter.numpy().T)
                if name.endswith("recurrent_bias"):
                    found[name] = found[name][2 * self.setting.hidden_dim :]
        self._exchange_gradients()
        np.savez(path, **found)
        return loss.item()

    def _exchange_gradients(self):
        """Gradients in place of the weights, to read them as these."""
        for parameter in self.model.parameters():
            weight = parameter.data
            parameter.data = parameter.grad
            parameter.grad = weight

    def _loss_of(self, source, target, predicted):
        logits = self.model(source, target)
        return functional.cross_entropy(
            logits.flatten(0, 1),
            predicted.flatten(),
            ignore_index=0,
            label_smoothing=self.setting.label_smoothing,
        )

    def _step(self):
        self.optimizer.zero_grad(set_to_none=True)
        loss = self._loss(*self.batch)
        loss.backward()
        nn.utils.clip_grad_norm_(
            self.model.parameters(), self.setting.gradient_clip_norm
        )
        self.optimizer.step()
        return loss.item()

    def prepare(self):
        """The first step; return the seconds that it takes."""
        started = time.perf_counter()
        self._step()
        return time.perf_counter() - started

    def train(self, steps):
        """Seconds of a training step."""
        return time_steps(self._step, steps)

    def _greedy_loop(self, source):
        model = self.model
        outputs, keys, padding, state = model.encode(source)
        tokens = torch.full((self.setting.batch_size,), common.START_ID)
        translation, scores = [], 0.0
        for _ in range(self.setting.length):
            embedded = model.target_embedding(tokens)
            state, context = model.step(
                model.prepare(embedded), state, outputs, keys, padding
            )
            logits = model.logits(state, embedded, context) + self.penalty
            best, tokens = logits.log_softmax(-1).max(-1)
            scores = scores + best
            translation.append(tokens)
        return torch.stack(translation, 1), scores

    @torch.inference_mode()
    def translate(self, path):
        """Write the greedy translation of the batch to `path`."""
        tokens, scores = self._greedy(self.batch[0])
        np.savez(path, tokens=tokens.numpy(), scores=scores.numpy())

    @torch.inference_mode()
    def decode(self, steps):
        """Seconds of decoding the batch."""
        return time_steps(
            lambda: self._greedy(self.batch[0])[1].sum().item(), steps
        )
