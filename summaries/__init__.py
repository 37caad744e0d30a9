"""Attention in TensorBoard: the callback, the diagnostics, the pictures."""

from summaries.attention_summary import AttentionSummary
from summaries.confusion_matrices import confusion_matrix_png
from summaries.contact_sheets import contact_sheet
from summaries.diagnostics import diagnose
from summaries.maps import attention_map
from summaries.maps import attention_map_png
from summaries.patch_maps import patch_map
from summaries.patch_maps import patch_map_png
from summaries.patch_maps import rollout_picture
from summaries.patch_maps import rollout_picture_png
from summaries.rollout import classifier_rollout
from summaries.samples import AttentionSamples
from summaries.sides import PatchSide
from summaries.sides import PooledSide
from summaries.sides import Side
from summaries.token_strips import token_strip
from summaries.token_strips import token_strip_png
from summaries.writing import write_attention
from summaries.writing import write_rollout

__all__ = [
    "AttentionSamples",
    "AttentionSummary",
    "PatchSide",
    "PooledSide",
    "Side",
    "attention_map",
    "attention_map_png",
    "classifier_rollout",
    "confusion_matrix_png",
    "contact_sheet",
    "diagnose",
    "patch_map",
    "patch_map_png",
    "rollout_picture",
    "rollout_picture_png",
    "token_strip",
    "token_strip_png",
    "write_attention",
    "write_rollout",
]
