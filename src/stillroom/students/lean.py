"""A Llama's hidden states at the learnt places alone, with less work than the whole forward pass.

What comes behind the last attention is worked out for learnt places only: nobody looks at the
others. Norms are fused and queries and keys turned together. The modules called are the model's
own, so adapters work; the numbers are those of `transformers` but for rounding.
"""

from typing import Any


def fits(model: Any) -> bool:
    """Whether a model (without its adapters' wrapper) is a Llama of the plain kind."""
    config = model.config
    return (
        config.model_type == "llama"
        and config.hidden_act == "silu"
        and not config.attention_dropout
        and not getattr(model, "is_activation_checkpointing", False)
    )


def hidden_at(model: Any, ids: Any, flat: Any) -> Any:
    """[N, D] hidden states at `flat`, places in ids.reshape(-1), rows padded on the right."""
    import torch

    inner = model.model
    x = inner.embed_tokens(ids)
    turn = inner.rotary_emb(x, torch.arange(ids.shape[1], device=ids.device)[None])
    for layer in inner.layers[:-1]:
        x = x + _attention(layer, x, turn, None)
        x = x + layer.mlp(_norm(layer.post_attention_layernorm, x))
    layer = inner.layers[-1]
    x = x.flatten(0, 1)[flat] + _attention(layer, x, turn, flat)
    x = x + layer.mlp(_norm(layer.post_attention_layernorm, x))
    return _norm(inner.norm, x)


def _attention(layer: Any, x: Any, turn: tuple[Any, Any], flat: Any) -> Any:
    """Causal self-attention; its output for `flat` alone where that is given."""
    import torch
    from torch.nn.functional import scaled_dot_product_attention

    own = layer.self_attn
    rows, width, _ = x.shape
    h = _norm(layer.input_layernorm, x)
    q, k, v = (
        project(h).view(rows, width, -1, own.head_dim).transpose(1, 2)
        for project in (own.q_proj, own.k_proj, own.v_proj)
    )
    heads = q.shape[1]
    both = _turned(torch.cat([q, k], 1), *turn)
    mixed = scaled_dot_product_attention(
        both[:, :heads], both[:, heads:], v, is_causal=True, enable_gqa=k.shape[1] != heads
    )
    out = mixed.transpose(1, 2).reshape(rows, width, -1)
    return own.o_proj(out if flat is None else out.flatten(0, 1)[flat])


def _turned(x: Any, cos: Any, sin: Any) -> Any:
    """Rotary positions (Su et al., 2021): halves of each head turned against each other."""
    import torch

    half = x.shape[-1] // 2
    a, b = x[..., :half], x[..., half:]
    cos, sin = cos[:, None, :, :half], sin[:, None, :, :half]
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


def _norm(module: Any, x: Any) -> Any:
    from torch.nn.functional import rms_norm

    return rms_norm(x, module.weight.shape, module.weight, module.variance_epsilon)
