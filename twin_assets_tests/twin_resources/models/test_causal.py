"""What a causal model sees of a sample, and what its loss counts."""

from __future__ import annotations

import pytest

from twin_assets.dataset.encode import encode_rows
from twin_assets_tests.support.rows import sample
from twin_assets_tests.support.tiny_models import TinyModels
from twin_resources.models import causal


@pytest.mark.parametrize("family", ["llama", "gemma3"])
def test_loss_counts_the_answer_alone_whatever_the_padding(tiny_models, family: str) -> None:
    import torch

    models: TinyModels = tiny_models(family)
    model, tokenizer = causal.load_base(models.base, "float32")
    rows = [sample("Short?", "The tide gauge."), sample("Why " * 40, "Because it writes one reading.")]
    short, long = encode_rows(tokenizer, rows, "Ada Berg", 256)
    assert tokenizer.decode(short.ids[short.prompt_length :]) == "The tide gauge.<eos>"
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([short.ids])).logits[0, short.prompt_length - 1 : -1]
        expected = torch.nn.functional.cross_entropy(
            logits.float(), torch.tensor(short.ids[short.prompt_length :]), reduction="sum"
        )
        alone, count = causal.answer_loss(model, causal.collate([short], 0))
        both, total = causal.answer_loss(model, causal.collate([short, long], 0))
    assert int(count) == short.answer_length
    assert int(total) == short.answer_length + long.answer_length
    assert float(alone) == pytest.approx(float(expected), rel=1e-4)
    (first, _), (second, _) = causal.losses(model, [short, long], 0)
    assert float(both) == pytest.approx(first + second, rel=1e-4)
    model.config.final_logit_softcapping = 0.5 if family == "gemma3" else None
    model.config.logit_scale = 2.0
    with torch.no_grad():
        own = model(input_ids=torch.tensor([short.ids])).logits[0, short.prompt_length - 1 : -1]
        capped, _ = causal.answer_loss(model, causal.collate([short, long], 0))
        alone, _ = causal.answer_loss(model, causal.collate([short], 0))
    expected = torch.nn.functional.cross_entropy(
        own.float(), torch.tensor(short.ids[short.prompt_length :]), reduction="sum"
    )
    assert float(alone) == pytest.approx(float(expected), rel=1e-4), (
        "a model that caps its logits keeps its own forward"
    )
    assert float(capped) > float(alone)


def test_a_long_sample_keeps_room_for_its_answer(tiny_models) -> None:
    _, tokenizer = causal.load_base(tiny_models("llama").base, "float32")
    encoded = causal.encode(tokenizer, "question " * 300, "answer " * 300, 64)
    assert len(encoded.ids) == 64
    assert encoded.answer_length == 32
    whole = causal.encode(tokenizer, "question", "answer", 64)
    assert whole.ids[-1] == tokenizer.eos_token_id
