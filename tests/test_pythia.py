"""Any Pythia: its own sub-words, the lexemes added to them, LoRA; and the configs that ship."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from scorelm.config import TrainConfig, load_config
from scorelm.errors import ConfigError
from scorelm.notation.lexemes import LEXEMES
from scorelm.notation.reader import parse
from scorelm.training import train
from scorelm.training.models import prepare_model

ROOT = Path(__file__).parent.parent
CONFIGS = sorted((ROOT / "configs").glob("*.json"))


@pytest.fixture(scope="module")
def pythia(tmp_path_factory: pytest.TempPathFactory, chorales: list[str]) -> Path:
    """A GPT-NeoX with weights, and a byte-level BPE tokenizer of the class and special tokens that Pythia has."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("pythia")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|padding|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        chorales, trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet)
    )
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=special[0], bos_token=special[0])
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    # 448 rows: Pythia's tables, too, are longer than its tokenizer
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    GPTNeoXForCausalLM(GPTNeoXConfig(vocab_size=448, **sizes)).save_pretrained(folder)
    return folder


@pytest.fixture
def config(tmp_path: Path, pythia: Path, chorales: list[str]) -> TrainConfig:
    for split, texts in (("train", chorales[:3]), ("validation", chorales[3:4])):
        rows = [json.dumps({"text": text, "quarters": float(parse(text).quarters)}) for text in texts]
        (tmp_path / f"{split}.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return TrainConfig(
        dataset_dir=str(tmp_path), output_dir=str(tmp_path / "out"), model_name=str(pythia), batch_size=2,
        max_length=256, max_steps=4, eval_steps=2, warmup_steps=1, save_steps=2, mixed_precision="no", threads=1,
        transpose=False,
    )  # fmt: skip


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_each_shipped_config_loads_and_trains_a_model_of_its_kind(path: Path, pythia: Path) -> None:
    config = load_config(path)
    assert config.model_name is not None and config.model_name.startswith("EleutherAI/pythia-")
    local = replace(config, model_name=str(pythia), load_in_4bit=False, unsloth=False)
    model, tokens = prepare_model(local)
    assert any(p.requires_grad for p in model.parameters())
    assert tokens.encode("|") and tokens.end is not None


def test_the_configs_cover_pythia_from_14m_to_1b() -> None:
    sizes = {path.stem.split("-")[1] for path in CONFIGS}
    assert sizes == {"14m", "31m", "70m", "160m", "410m", "1b"}


def test_a_pythia_learns_in_its_own_sub_words(config: TrainConfig) -> None:
    metrics = train(config)
    bits = [row["bits_per_quarter"] for row in metrics["history"]]
    assert bits[1] < bits[0]
    assert (Path(config.output_dir) / "tokenizer.json").is_file()


def test_added_lexemes_start_as_the_mean_of_their_sub_words(config: TrainConfig, chorales: list[str]) -> None:
    plain, plain_tokens = prepare_model(config)
    model, tokens = prepare_model(replace(config, extend_vocabulary=True))
    assert len(tokens.encode(chorales[0])) < len(plain_tokens.encode(chorales[0]))
    assert tokens.tokenizer.decode(tokens.encode(chorales[0])) == chorales[0]
    lexeme = "!clef-G2!"
    mean = plain.get_input_embeddings().weight[plain_tokens.encode(lexeme)].mean(0)
    for table in (model.get_input_embeddings(), model.get_output_embeddings()):
        assert table.weight.shape[0] >= len(tokens.tokenizer)
    (row,) = tokens.encode(lexeme)
    assert torch.allclose(model.get_input_embeddings().weight[row], mean)
    known = set(tokens.tokenizer.get_vocab())
    assert all(lexeme in known for lexeme in LEXEMES[2:] if not lexeme.startswith("<0x"))


def test_lora_trains_a_few_weights_and_leaves_a_whole_model(config: TrainConfig) -> None:
    pytest.importorskip("peft")
    from transformers import AutoModelForCausalLM

    config = replace(config, lora={"r": 4}, extend_vocabulary=True)
    model, _ = prepare_model(config)
    learnt = sum(p.numel() for n, p in model.named_parameters() if p.requires_grad and "lora" in n)
    assert 0 < learnt < 0.5 * sum(p.numel() for p in model.parameters())
    train(config)
    merged = AutoModelForCausalLM.from_pretrained(config.output_dir, use_safetensors=True)
    assert not any("lora" in name for name, _ in merged.named_parameters())
    again = train(replace(config, resume=True, max_steps=6, eval_steps=6))
    assert again["history"][-1]["step"] == 6


def test_four_bit_weights_are_trained_by_an_adapter(config: TrainConfig) -> None:
    pytest.importorskip("bitsandbytes")
    pytest.importorskip("peft")
    from safetensors.torch import load_file

    train(replace(config, lora={"r": 4, "target_modules": ["query_key_value"]}, load_in_4bit=True, ema_decay=0.0))
    adapter = load_file(Path(config.output_dir) / "adapter_model.safetensors")
    learnt = [tensor for name, tensor in adapter.items() if "lora_B" in name]  # they start as zeros
    assert learnt and all(tensor.abs().max() > 0 for tensor in learnt)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"lora": {"rank": 4}}, "lora"),
        ({"lora": {"target_modules": ["nowhere"]}}, "lora"),
        ({"load_in_4bit": True}, "needs lora"),
        ({"model_name": None, "extend_vocabulary": True}, "needs a model_name"),
    ],
)
def test_contradictions_are_refused_by_their_names(config: TrainConfig, wrong: dict, said: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(ConfigError, match=said):
        prepare_model(replace(config, **wrong))
