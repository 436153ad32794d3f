"""Vision-language models that have learnt nothing, made without a network: Llava's class, and one with code of its own.

What is called as in use is the real code: transformers, its server, the OpenAI client.
"""

import json
from pathlib import Path
from typing import Any

import torch

SPECIAL = ["<pad>", "<s>", "</s>", "<unk>", "<image>", "<img>", "</img>"]
LANGUAGE = {
    "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 4096, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
TEMPLATE = (
    "{% for m in messages %}<s>{{ m['role'] }}: {% if m['content'] is string %}{{ m['content'] }}{% else %}"
    "{% for c in m['content'] %}{% if c['type'] == 'image' %}<image>{% else %}{{ c['text'] }}{% endif %}{% endfor %}"
    "{% endif %}</s>{% endfor %}{% if add_generation_prompt %}<s>assistant: {% endif %}"
)


def tokenizer() -> Any:
    """Bytes, with a few pairs of them."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        ["K1T4:4 clef-G2 GABc|"], trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, special_tokens=SPECIAL)
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>",
        chat_template=TEMPLATE, additional_special_tokens=["<image>", "<img>", "</img>"],
    )  # fmt: skip


def picture_processor() -> Any:
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    return CLIPImageProcessorPil(size={"shortest_edge": 56}, crop_size={"height": 56, "width": 56})


def llava(folder: Path) -> Path:
    """A model of some 150,000 weights that transformers has a class for."""
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration, LlavaProcessor

    torch.manual_seed(0)
    words = tokenizer()
    vision = CLIPVisionConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, image_size=56, patch_size=14,
        projection_dim=32,
    )  # fmt: skip
    model = LlavaForConditionalGeneration(
        LlavaConfig(
            vision_config=vision, text_config=LlamaConfig(vocab_size=len(words), **LANGUAGE),
            image_token_index=words.convert_tokens_to_ids("<image>"), vision_feature_layer=-1,
            vision_feature_select_strategy="default",
        )
    )  # fmt: skip
    model.generation_config.pad_token_id, model.generation_config.eos_token_id = 0, 2
    model.save_pretrained(folder)
    LlavaProcessor(
        image_processor=picture_processor(), tokenizer=words, patch_size=14, vision_feature_select_strategy="default",
        num_additional_image_tokens=1, chat_template=TEMPLATE,
    ).save_pretrained(folder)  # fmt: skip
    return folder


OWN_CODE = """
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, PretrainedConfig, PreTrainedModel


class TinyConfig(PretrainedConfig):
    model_type = "tiny_chat"

    def __init__(self, language=None, **rest):
        super().__init__(**rest)
        self.language = language or {}


class TinyChat(PreTrainedModel):
    config_class = TinyConfig

    def __init__(self, config):
        super().__init__(config)
        self.num_image_token = 4
        self.mlp1 = torch.nn.Linear(3 * 28 * 28, config.language["hidden_size"])
        self.language_model = AutoModelForCausalLM.from_config(LlamaConfig(**config.language))
        self.post_init()

    def _init_weights(self, module):
        pass

    def extract_feature(self, pixel_values):  # (tiles, 3, 56, 56) -> (tiles, 4, hidden)
        parts = pixel_values.unfold(2, 28, 28).unfold(3, 28, 28).permute(0, 2, 3, 1, 4, 5)
        return self.mlp1(parts.reshape(len(pixel_values), 4, -1))

    def chat(self, tokenizer, question, generation_config, pixel_values):
        seen = "<img>" + "<image>" * self.num_image_token * len(pixel_values) + "</img>"
        assert question.startswith("<image>\\n")
        text = tokenizer.apply_chat_template(
            [{"role": "user", "content": question.replace("<image>", seen, 1)}], add_generation_prompt=True,
            tokenize=False,
        )
        ids = tokenizer(text, return_tensors="pt", add_special_tokens=False)["input_ids"]
        vectors = self.language_model.get_input_embeddings()(ids).clone()
        vectors[ids == tokenizer.convert_tokens_to_ids("<image>")] = self.extract_feature(pixel_values).flatten(0, 1)
        mask = torch.ones_like(ids)
        out = self.language_model.generate(inputs_embeds=vectors, attention_mask=mask, **generation_config)
        return tokenizer.decode(out[0], skip_special_tokens=True)
"""


def with_own_code(folder: Path) -> Path:
    """A model that brings its code and is asked by ``chat``, as Nemotron Nano VL is."""
    from safetensors.torch import save_file
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    words = tokenizer()
    words.save_pretrained(folder)
    picture_processor().save_pretrained(folder)
    language = {**LANGUAGE, "vocab_size": len(words)}
    (folder / "tiny_chat.py").write_text(OWN_CODE, encoding="utf-8")
    auto = {"AutoConfig": "tiny_chat.TinyConfig", "AutoModel": "tiny_chat.TinyChat"}
    about = {"model_type": "tiny_chat", "architectures": ["TinyChat"], "auto_map": auto, "language": language}
    (folder / "config.json").write_text(json.dumps(about), encoding="utf-8")
    weights = LlamaForCausalLM(LlamaConfig(**language)).state_dict()
    linear = torch.nn.Linear(3 * 28 * 28, 64).state_dict()
    tensors = {f"language_model.{name}": value.contiguous() for name, value in weights.items()}
    tensors |= {f"mlp1.{name}": value for name, value in linear.items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


if __name__ == "__main__":
    import sys

    llava(Path(sys.argv[1]))
