"""Attention in TensorBoard: the callback, the diagnostics, the pictures.

Names are imported when they are asked for, so that TensorBoard, which imports
the plugin only, starts as fast as without.
"""

import importlib

_MODULES = {
    "AttentionSamples": "samples",
    "AttentionSummary": "attention_summary",
    "PatchSide": "sides",
    "PooledSide": "sides",
    "Side": "sides",
    "attention_map": "maps",
    "attention_map_png": "maps",
    "classifier_rollout": "rollout",
    "confusion_matrix_png": "confusion_matrices",
    "contact_sheet": "contact_sheets",
    "diagnose": "diagnostics",
    "patch_map": "patch_maps",
    "patch_map_png": "patch_maps",
    "rollout_picture": "patch_maps",
    "rollout_picture_png": "patch_maps",
    "token_strip": "token_strips",
    "token_strip_png": "token_strips",
    "write_attention": "writing",
    "write_rollout": "writing",
}

__all__ = list(_MODULES)


def __getattr__(name):
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_MODULES[name]}")
    return getattr(module, name)
