"""Attention in TensorBoard: the callback, the diagnostics, the maps."""

from summaries.attention_summary import AttentionSummary
from summaries.diagnostics import diagnose
from summaries.maps import attention_map
from summaries.maps import attention_map_png
from summaries.samples import AttentionSamples
from summaries.samples import Side
from summaries.writing import write_attention

__all__ = [
    "AttentionSamples",
    "AttentionSummary",
    "Side",
    "attention_map",
    "attention_map_png",
    "diagnose",
    "write_attention",
]
