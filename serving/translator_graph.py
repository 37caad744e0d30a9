"""A translator with its text processing, as one graph: strings in and out."""

import tensorflow as tf

from layers import record_attention
from layers.recording import scores_inside
from preprocessing.special_tokens import END
from preprocessing.special_tokens import END_ID
from preprocessing.special_tokens import PADDING_ID
from preprocessing.special_tokens import START_ID
from serving.attention_choice import MOST_BYTES
from serving.attention_choice import score_bytes
from serving.attention_choice import share_between
from serving.empty_batch import with_a_row
from zoo import Decoding
from zoo._translator import longest_translation

_TEXT = tf.TensorSpec([None], tf.string, name="text")

# Names in a signature of the attention of the layers whose names end so, with
# the sides of its queries and keys.
_ATTENTION_OUTPUTS = {
    "attention": ("decoder", "cross", "encoder"),
    "encoder_attention": ("encoder", "self", "encoder"),
    "decoder_attention": ("decoder", "self", "decoder"),
}


# Of the signature `beam`, where nobody says otherwise.
DEFAULT_BEAM = Decoding("beam", beam_width=5, length_penalty=1.0)


class TranslatorGraph(tf.Module):
    """The signatures of a translator.

    The same functions serve in Python (`serving.load` of a run), and in the
    exported model, so the two cannot differ.

    Args:
        model: A translator of the zoo.
        preprocessor: Its `TranslationPreprocessor`.
        beam: `Decoding` of the signature `beam`; `DEFAULT_BEAM` by default.
        beam_attention: Whether `beam` gives the attention of its hypotheses.
    """

    def __init__(self, model, preprocessor, beam=None, beam_attention=False):
        super().__init__()
        self.model = model
        self.preprocessor = preprocessor
        self.decoding = beam or DEFAULT_BEAM
        self.beam_attention = beam_attention
        self._choose_attention()

    @tf.function(input_signature=[_TEXT], autograph=False)
    def serving_default(self, text):
        """Translate: `translation` and `score`, the summed log-probability
        of the tokens, END included."""
        ids, _ = self._encode(text)
        tokens, score = self.model.translate(ids)
        return {
            "translation": self.preprocessor.decode_target(tokens),
            "score": score,
        }

    @tf.function(input_signature=[_TEXT], autograph=False)
    def explain(self, text):
        """Translate, and show where the model looked.

        Returns:
            `translation` and `score` as `serving_default`; `source_tokens`
            `(B, S)`; `target_tokens` `(B, T)`, END kept; `attention`
            `(B, L, N, T, S)`, row t that of the step that emitted
            `target_tokens[t]`; `truncated` `(B,)`. A Transformer also gives
            `encoder_attention` `(B, L, N, S, S)` and `decoder_attention`
            `(B, L, N, T, T)`, column j that of the token before
            `target_tokens[j]`, so column 0 that of START. Layers and heads
            are those that the model card names.
        """
        return with_a_row(self._explain, text)

    @tf.function(input_signature=[_TEXT], autograph=False)
    def beam(self, text):
        """The best translations, best first.

        Returns:
            `translations` `(B, K)`; `scores` `(B, K)`, with the length
            penalty; `log_probabilities` `(B, K)`. With `beam_attention` also
            `source_tokens` `(B, S)`, `target_tokens` `(B, K, T)` and
            `attention` `(B, K, L, N, T, S)`.
        """
        return with_a_row(self._beam, text)

    def _beam(self, text):
        ids, _ = self._encode(text)
        found = self.model.hypotheses(ids, decoding=self.decoding)
        tokens = _trimmed(found.tokens)
        count, longest = self.decoding.beam_width, tf.shape(tokens)[2]
        flat = tf.reshape(tokens, [-1, longest])
        answer = {
            "translations": self.preprocessor.decode_target(flat),
            "scores": found.scores,
            "log_probabilities": found.log_probabilities,
        }
        if self.beam_attention:
            answer |= self._explain_tokens(tf.repeat(ids, count, axis=0), flat)
        for name, tensor in answer.items():
            if name not in ("scores", "log_probabilities"):
                shape = tf.concat([[-1, count], tf.shape(tensor)[1:]], axis=0)
                answer[name] = tf.reshape(tensor, shape)
        if self.beam_attention:
            answer["source_tokens"] = self.preprocessor.source_pieces(text)
        return answer

    def _explain(self, text):
        ids, truncated = self._encode(text)
        tokens, score = self.model.translate(ids)
        # No longer than the longest translation of the batch.
        tokens = _trimmed(tokens)
        return {
            "translation": self.preprocessor.decode_target(tokens),
            "score": score,
            "source_tokens": self.preprocessor.source_pieces(text),
            "truncated": truncated,
            **self._explain_tokens(ids, tokens),
        }

    def _explain_tokens(self, ids, tokens):
        """The target tokens as strings, and the attention that wrote them."""
        start = tf.fill([tf.shape(tokens)[0], 1], START_ID)
        inputs = {
            "source": ids,
            "target": tf.concat([start, tokens[:, :-1]], axis=1),
        }
        strings = self.preprocessor.target_tokenizer.token_strings(tokens)
        return {
            "target_tokens": tf.where(tf.equal(tokens, END_ID), END, strings),
            **self._attention(
                inputs,
                tf.not_equal(ids, PADDING_ID),
                tf.not_equal(tokens, PADDING_ID),
            ),
        }

    def _encode(self, text):
        ids = self.preprocessor.encode_source(text, cut=False)
        truncated = self.preprocessor.is_cut(text, ids)
        ids = self.preprocessor.cut(ids).to_tensor()
        # A batch without rows has no columns either; the loops need one.
        missing = tf.maximum(0, 1 - tf.shape(ids)[1])
        return tf.pad(ids, [[0, 0], [0, missing]]), truncated

    def _attention(self, inputs, source_is_real, target_is_real):
        with record_attention() as recorded:
            self.model(inputs, training=False)
        scores = scores_inside(self.model, recorded)
        outputs = {}
        for output, heads in self._heads.items():
            # (B, L, N, T, S), rows of padding 0.
            layers = [scores[name] for name in self._layer_names[output]]
            stacked = tf.gather(tf.stack(layers, axis=1), list(heads), axis=2)
            is_of_source = output == "encoder_attention"
            rows = source_is_real if is_of_source else target_is_real
            outputs[output] = tf.where(
                rows[:, None, None, :, None], stacked, 0.0
            )
        return outputs

    def _choose_attention(self):
        """Choose what is shown, so that an answer is not too large."""
        ids = tf.zeros((1, 2), tf.int32)
        scores = self.model.attention_scores({"source": ids, "target": ids})
        source = self.preprocessor.max_sequence_length
        longest = {"encoder": source, "decoder": longest_translation(source)}
        names, stacks = {}, {}
        for output, (side, kind, keys) in _ATTENTION_OUTPUTS.items():
            names[output] = [
                name
                for name in scores
                if side in name.split("/") and name.endswith(f"/{kind}")
            ]
            if names[output]:
                num_heads = scores[names[output][0]].shape[1]
                lengths = longest[side], longest[keys]
                stacks[output] = len(names[output]), num_heads, lengths
        chosen, num_bytes = share_between(stacks, MOST_BYTES)
        self._longest_answer_bytes = {"explain": num_bytes}
        if self.beam_attention:
            longest["decoder"] += self.decoding.min_length
            self._longest_answer_bytes["beam"] = self.decoding.beam_width * sum(
                len(chosen[output][0])
                * len(chosen[output][1])
                * score_bytes((longest[side], longest[keys]))
                for output, (side, _, keys) in _ATTENTION_OUTPUTS.items()
                if output in chosen
            )
        self._heads = {x: list(heads) for x, (_, heads) in chosen.items()}
        self._layer_names = {
            output: [found[place] for place in chosen[output][0]]
            if output in chosen
            else []
            for output, found in names.items()
        }

    def describe(self):
        """What the model card says of this kind of model."""
        return {
            "tokens": "U+2581 at the start of a token stands for a blank.",
            "max_sequence_length": self.preprocessor.max_sequence_length,
            "attention_layers": _plain(self._layer_names),
            "attention_heads": _plain(self._heads),
            "longest_answer_bytes": dict(self._longest_answer_bytes),
            "beam": {
                "beam_width": self.decoding.beam_width,
                "length_penalty": self.decoding.length_penalty,
                "patience": self.decoding.patience,
                "min_length": self.decoding.min_length,
                "no_repeat_ngram": self.decoding.no_repeat_ngram,
                "attention": self.beam_attention,
            },
        }

    def signatures(self):
        """The functions of the SavedModel."""
        return {
            "serving_default": self.serving_default,
            "beam": self.beam,
            "explain": self.explain,
        }


def _plain(lists):
    """A dictionary of lists that no `tf.Module` watches."""
    return {name: list(values) for name, values in lists.items()}


def _trimmed(tokens):
    """Without the columns, the last axis, in which all is padding."""
    real = tf.cast(tf.not_equal(tokens, PADDING_ID), tf.int32)
    longest = tf.reduce_max(tf.reduce_sum(real, axis=-1))
    # Where there is none, one is left: a shape of nothing can't be told.
    return tokens[..., : tf.maximum(longest, 1)]
