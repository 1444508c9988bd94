"""The lean forward pass of a Llama gives the logits and gradients of `transformers` itself."""

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from stillroom.students import lean  # noqa: E402
from stillroom.students.batches import Batch, Examples, collate  # noqa: E402
from stillroom.students.chat import Example  # noqa: E402
from stillroom.students.forward import learnt_logits, token_loss  # noqa: E402


def batch() -> Batch:
    rows = [Example(list(range(10, 10 + n)), start) for n, start in ((9, 4), (14, 13), (5, 1))]
    return collate(Examples(rows), [2, 0, 1], pad=0)


def llama(**more: Any) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(1)
    sizes = {"hidden_size": 48, "intermediate_size": 64, "num_hidden_layers": 3, "vocab_size": 50}
    heads = {"num_attention_heads": 6, "num_key_value_heads": 2}
    return LlamaForCausalLM(LlamaConfig(**{**sizes, **heads, **more}))


@pytest.mark.parametrize(
    "more", [{}, {"tie_word_embeddings": True}, {"head_dim": 10}, {"attention_bias": True}]
)
def test_logits_and_gradients_are_those_of_transformers(more: dict[str, Any]) -> None:
    model, one = llama(**more), batch()
    assert lean.fits(model)
    own = learnt_logits(model, one, model.device)
    whole = model(input_ids=one.ids).logits.flatten(0, 1)[one.flat]
    torch.testing.assert_close(own, whole, rtol=1e-5, atol=1e-5)
    token_loss(own, one).backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    token_loss(model(input_ids=one.ids).logits.flatten(0, 1)[one.flat], one).backward()
    for name, p in model.named_parameters():
        torch.testing.assert_close(gradients[name], p.grad, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("more", [{"hidden_act": "gelu"}, {"attention_dropout": 0.1}])
def test_other_llamas_go_the_whole_way(more: dict[str, Any]) -> None:
    model, one = llama(**more).eval(), batch()
    assert not lean.fits(model)
    whole = model(input_ids=one.ids).logits.flatten(0, 1)[one.flat]
    torch.testing.assert_close(learnt_logits(model, one, model.device), whole)


def test_adapters_take_part() -> None:
    from peft import LoraConfig, get_peft_model

    adapted = get_peft_model(
        llama(), LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)
    )
    one = batch()
    whole = adapted(input_ids=one.ids).logits.flatten(0, 1)[one.flat]
    own = learnt_logits(adapted, one, adapted.device)
    torch.testing.assert_close(own, whole, rtol=1e-4, atol=1e-4)
