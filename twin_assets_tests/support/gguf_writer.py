"""``python -m twin_assets_tests.support.gguf_writer FOLDER --outfile FILE``: a tiny Llama as GGUF.

It stands for llama.cpp's converter, which is no package of ours. With ``SCALED`` in the environment, the weights that
it writes are so many times as large.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import gguf
import safetensors.torch
import torch
from transformers import AutoConfig, AutoTokenizer

_NAMES = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
_OUTER = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


def main(folder: Path, target: Path) -> None:
    """Write it. Attention puts out nothing in these models, so its weights need not be put in llama.cpp's order."""
    config, tokenizer = AutoConfig.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    made = gguf.GGUFWriter(str(target), "llama")
    made.add_block_count(config.num_hidden_layers)
    made.add_context_length(config.max_position_embeddings)
    made.add_embedding_length(config.hidden_size)
    made.add_feed_forward_length(config.intermediate_size)
    made.add_head_count(config.num_attention_heads)
    made.add_head_count_kv(config.num_key_value_heads)
    made.add_layer_norm_rms_eps(config.rms_norm_eps)
    made.add_vocab_size(config.vocab_size)
    made.add_tokenizer_model("gpt2")
    made.add_token_list(tokenizer.convert_ids_to_tokens(list(range(len(tokenizer)))))
    made.add_bos_token_id(tokenizer.bos_token_id)
    made.add_eos_token_id(tokenizer.eos_token_id)
    made.add_chat_template(tokenizer.chat_template)
    scale = float(os.environ.get("SCALED", "1"))
    for name, weights in safetensors.torch.load_file(folder / "model.safetensors").items():
        made.add_tensor(_name(name.removesuffix(".weight")), (weights.to(torch.float32) * scale).numpy())
    made.write_header_to_file()
    made.write_kv_data_to_file()
    made.write_tensors_to_file()
    made.close()


def _name(name: str) -> str:
    if name in _OUTER:
        return f"{_OUTER[name]}.weight"
    _, _, block, rest = name.split(".", 3)
    return f"blk.{block}.{_NAMES[rest]}.weight"


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[3]))
