"""The model card that train.py writes beside the weights."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from scorelm.config import FIELDS, TrainConfig
from scorelm.errors import ConfigError
from scorelm.recalled import READ
from scorelm.tokenizer import TIME

OF_THE_START = frozenset(  # settings that a model has from the one that it was trained on from
    "hidden_size num_layers num_heads intermediate_size cut positions rotary_share model_name extend_vocabulary".split()
)

_CALLED = """
It loads with `AutoModelForCausalLM`, but is shown more of a text than token ids:

```python
from scorelm.pretrained import load_model

model, tokens = load_model("FOLDER")
shown, positions = tokens.shown(tokens.encode(text))  # (time,) or (time, 1 + features), (time,)
```
"""
_TIMED = """
- Positions are moments of the music. Call it with `position_ids`, and an attention mask of ones, without which
  transformers would take such positions for packed pieces.
"""
_HEARD = f"""
- With each token stands what is heard there (`scorelm/notation/heard.py`): rows of the embedding that are added to the
  token's. Without scorelm's `load_model`:
  `inputs_embeds=model.get_input_embeddings()(torch.tensor(shown[:, :{READ}]).int()).sum(-2)`, and the first
  `len(tokenizer)` logits are those of tokens.
"""
_RELATED = """\
- Pitches are judged by their intervals to what is heard, too (`scorelm/related.py`): what `Related.added` makes of the
  logits of intervals is added to those of pitches.
"""
_RECALLED = """\
- It is told which token came last where the text went as it goes now, and so of its part at any height, and of its
  rhythm (`scorelm/recalled.py`), by the last six columns: the logit of that token, or those of all pitches, get the one
  of a row, of the last in the table, that says how long it has gone so. Where it writes, it is told so of the music that
  it was given, and not of its own: of that it would say a line on and on.
"""


def model_card(config: TrainConfig, metrics: dict[str, Any]) -> str:
    """README.md of a trained model: what it is, its data, its settings, its figures."""
    changed = {n: v for n, v in asdict(config).items() if v != FIELDS[n].default}
    options = " ".join(f"--{n.replace('_', '-')} {v}" for n, v in changed.items())
    own = {n: v for n, v in asdict(config).items() if config.start is None or n not in OF_THE_START}
    settings = "\n".join(f"| {n} | {v} |" for n, v in own.items())
    folders = config.dataset_dir.split(",")
    trained = " and ".join(f"`{folder}/train.jsonl`" for folder in dict.fromkeys(folders))
    often = ", ".join(f"{name} {count} times" for name, count in Counter(folders).items() if count > 1)
    calling = ""
    if config.model_name is None:
        ways = _TIMED * (config.positions == TIME) + _HEARD.lstrip("\n" * (config.positions == TIME)) * config.heard
        ways += _RELATED * (config.heard and config.related)
        ways += _RECALLED * (config.heard and config.related and config.recalled)
        calling = (_CALLED + ways) * bool(ways)
    base = config.start or config.model_name or "from scratch, on the lexemes of the score text format, version 1"
    return f"""---
license: apache-2.0
library_name: transformers
pipeline_tag: text-generation
tags: [music, symbolic-music, score]
---
# A student of scorelm

A GPT-NeoX (Pythia) language model that writes musical scores as score text. Start: {base}.

    python infer.py "|" -m FOLDER
{calling}
## Data

{metrics["training_texts"]} texts an epoch of {trained} to train on{f" ({often})" * bool(often)}, {metrics["validation_texts"]} of
`{folders[0]}/validation.jsonl` to choose the weights by. As `generate_data.py` makes a dataset without scores,
it is Bach's chorales as music21's corpus has them (the works are in the public domain; music21's licence
says what holds for its files), split as the published figures split them. No validation or test piece is trained on.

## Figures

| | |
| --- | --- |
| parameters | {metrics["parameters"]:,} |
| validation, bits per quarter note, all tokens | {metrics["bits_per_quarter"]:.4f} |
| step | {metrics["step"]} |
| tokens seen | {metrics["tokens"]:,} |
| minutes | {metrics["minutes"]:.1f} |

Bits per quarter note: the sum of -log2 p over every token behind the first `|`, header, barlines and end included,
divided by the length of the pieces in quarter notes.

## Made by

    python generate_data.py && python train.py {options}

| setting | value |
| --- | --- |
{settings}
"""


def add_figures(folder: Path, split: str, table: str, command: str) -> None:
    """Put a table of scorelm.evaluate into the card of a model, in the place of an earlier one of the same split."""
    card = folder / "README.md"
    title = f"## Judged on {split}"
    block = f"{title}\n\n    {command}\n\n```\n{table}\n```\n"
    try:
        text = card.read_text(encoding="utf-8")
        old = re.compile(rf"{title}\n.*?(?=^## |\Z)", re.DOTALL | re.MULTILINE)
        text = old.sub("", text).rstrip() + "\n\n" + block
        new = card.with_name(".README.md.new")
        new.write_text(text, encoding="utf-8")
        new.replace(card)
    except OSError as error:
        raise ConfigError(f"{card}: {error.strerror}") from None
