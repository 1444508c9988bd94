"""One forward pass over a batch, with logits for the learnt places alone."""

from typing import Any

from stillroom.students import lean
from stillroom.students.batches import Batch

# Their logits are the head applied to the last hidden state, nothing else.
PLAIN_HEADS = ("llama", "mistral", "qwen2", "qwen3", "gpt_neox", "olmo2", "smollm3", "phi3")


def learnt_logits(model: Any, batch: Batch, device: Any) -> Any:
    """Logits [N, V] for the batch's learnt places; the head never sees the others."""
    ids, flat = batch.ids.to(device), batch.flat.to(device)
    places = None if batch.positions is None else batch.positions.to(device)
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    if places is None and lean.fits(inner):
        return inner.get_output_embeddings()(lean.hidden_at(inner, ids, flat))
    if inner.config.model_type in PLAIN_HEADS:
        hidden = inner.base_model(input_ids=ids, position_ids=places, use_cache=False)[0]
        return inner.get_output_embeddings()(hidden.flatten(0, 1)[flat])
    logits = model(input_ids=ids, position_ids=places, use_cache=False).logits
    return logits.flatten(0, 1)[flat]


def token_loss(logits: Any, batch: Batch) -> Any:
    """Cross-entropy of the labels, summed over the tokens."""
    import torch

    labels = batch.labels.to(logits.device)
    return torch.nn.functional.cross_entropy(logits.float(), labels, reduction="sum")
