#!/usr/bin/env python3
"""New music in every mode and at three temperatures: does all of it parse, is every measure full, does it all open?

    python benchmarks/samples.py --json samples.json
    python benchmarks/samples.py --random shipped             # a model of the same shape that has learnt nothing
    python benchmarks/samples.py --random 70m --together 4    # of the shape of Pythia-70m, with Pythia's sub-words

Modes take turns: a new piece; one in a key and a time that chance chooses; a validation piece gone on with from some
measure; parts written to one of a validation piece's; some of its measures written anew. So do temperatures .7, 1
and 1.3 (nothing else is cut off). Each text must be read, be sound (every voice of every measure full, ties and
tuplets complete; where a given part is not sound itself, all measures full), become MusicXML that is valid against the
4.0 schema, and be opened by Verovio and MuseScore 3 (where it is installed) without complaint. What was given must be
there. --schema as in open_everywhere.py. A model that has learnt nothing is asked for a few measures, and given a few:
it has no end of its own. --together writes several samples of each wish beside each other, which is faster; --first
begins at a later sample, so that several processes share the work.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from format_size import neox_tokenizer
from open_everywhere import Check, fetch_schema, program_check, schema_check, verovio_check

import scorelm
from scorelm.compose import Wish
from scorelm.dataset import read_rows
from scorelm.errors import FormatError
from scorelm.files import write_atomically
from scorelm.generation import Student, find_model
from scorelm.notation.model import Score
from scorelm.notation.reader import parse
from scorelm.notation.sound import sound_problems
from scorelm.notation.transform import extract

TEMPERATURES = (0.7, 1.0, 1.3)
MODES = ("new", "asked", "continued", "given", "rewritten")
KEYS = "C G D A E F Bb Eb Ab c g d a e b f#".split()
SHORT = {"shipped": 4, "70m": 2}  # measures, of models that have learnt nothing
TIMES = "4/4 3/4 2/4 3/2 6/8 C".split()


def wish_of(mode: str, piece: str, number: int, chance: random.Random, short: int) -> Wish:
    """What is asked for in a mode; the numbers that chance chooses fit the piece.

    short: measures that are given at most, and about as many are asked for; 0: all, and as many as the model likes
    """
    if short:
        piece = beginning(piece, short)
    measures = piece.count("|") - 1
    options: dict[str, Any] = {"seed": number, "temperature": TEMPERATURES[number % 3], "top_p": 1.0}
    if mode == "new":
        return Wish(measures=chance.randint(2, short + 2) if short else None, **options)
    if mode == "asked":
        length = chance.randint(2, 3 * (short or 4))
        return Wish(key=chance.choice(KEYS), time=chance.choice(TIMES), measures=length, **options)
    if mode == "continued":
        start = max(2, chance.randint(min(2, measures), measures))
        return Wish(piece, from_measure=start, measures=start + chance.randint(0, short or 6), **options)
    if mode == "given":
        return Wish(given=scorelm.extract(piece, parts=[chance.choice((1, 1, 4))]), tries=2, **options)
    first = chance.randint(1, measures)
    last = min(measures, first + chance.randint(0, 3))
    return Wish(piece, rewrite=f"{first}-{last}", tries=2, **options)


def beginning(piece: str, most: int) -> str:
    """Its first measures, fewer than ``most`` where a tie would be cut."""
    found = [scorelm.extract(piece, measures=(1, last)) for last in range(most, 0, -1)]
    return next((text for text in found if not sound_problems(text)), found[0])


def full(score: Score) -> bool:
    """Whether every voice of every measure is as long as the measure: the data model refuses any that is not, but a
    part may say a length of its own."""
    return all(part is None or part.length in (None, m.length) for m in score.measures for part in m.parts)


def as_given(wish: Wish, text: str) -> bool:
    """Whether what was given is there."""
    found = parse(text)
    if wish.given is not None:
        (given,) = zip(*[m.parts for m in parse(str(wish.given)).measures])
        return any(given == tuple(m.parts[p] for m in found.measures) for p in range(len(found.parts)))
    if wish.rewrite is not None:
        first, last = map(int, wish.rewrite.split("-"))
        before = parse(str(wish.prompt))
        if len(before.measures) != len(found.measures):
            return False
        return all(
            extract(before, (n, n)).measures == extract(found, (n, n)).measures
            for n in range(1, len(before.measures) + 1)
            if not first <= n <= last
        )
    if wish.from_measure is not None and wish.from_measure > 1:
        kept = (1, wish.from_measure - 1)
        return extract(parse(str(wish.prompt)), kept).measures == extract(found, kept).measures
    return wish.measures is None or len(found.measures) == wish.measures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=1000, help="how many samples; default: 1000")
    parser.add_argument("--first", type=int, default=0, metavar="N", help="number of the first sample; default: 0")
    parser.add_argument("--together", type=int, default=1, metavar="N", help="samples of each wish; default: 1")
    parser.add_argument("-m", "--model", help="default: as infer.py chooses it")
    parser.add_argument("--random", choices=tuple(SHORT), help="random weights in this shape")
    parser.add_argument("--tokenizer", metavar="FILE", help="a copy of Pythia's 20B_tokenizer.json")
    parser.add_argument("--dataset", default="dataset", help="made by generate_data.py; default: dataset")
    parser.add_argument("--schema", type=Path, metavar="FOLDER")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    pieces = [row["text"] for row in read_rows(options.dataset, "validation") if row["parts"] == 4]
    good: Counter[str] = Counter()
    made: Counter[str] = Counter()
    bad: list[str] = []
    seconds = 0.0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        model = find_model(options.model)
        if options.random:
            model = unlearnt(model, folder) if options.random == "shipped" else pythia_70m(options.tokenizer, folder)
        student = Student(model)
        checks: dict[str, Check] = {"schema": schema_check(options.schema or fetch_schema(folder))}
        checks["Verovio"] = verovio_check()
        if shutil.which("mscore3"):
            checks["MuseScore"] = program_check(["mscore3", "-o", "OUT", "IN", ".mscx"])
        names = ("parsed", "sound", "full", "as given", *checks)
        report = partial(say, options, str(model), names, made, good, bad)
        for first in range(options.first, options.first + options.n, options.together):
            chance = random.Random(first)
            number = first // options.together
            mode = MODES[number % len(MODES)]
            wish = wish_of(mode, chance.choice(pieces), number, chance, SHORT.get(options.random, 0))
            seeds = range(first, min(first + options.together, options.first + options.n))
            started = time.process_time()
            texts = [""] * len(seeds)
            for which, piece in wish.write(student, seeds):
                texts[which] += piece
            seconds += time.process_time() - started
            made[mode] += len(seeds)
            for seed, text in zip(seeds, texts):
                found = judge(text, wish, checks, folder / "score.musicxml")
                good.update(name for name in names if not found.get(name))
                complaints = [f"{name}: {said[:160]}" for name, said in found.items() if said]
                bad += [f"{mode}, seed {seed}: {'; '.join(complaints)}"] if complaints else []
            report(seconds)
    print(file=sys.stderr)
    for line in bad:
        print(line)
    print(f"{options.n} samples ({', '.join(f'{n} {mode}' for mode, n in made.items())}), {seconds:.0f} CPU s")
    print("\n".join(f"{name:10} {good[name]} of {options.n}" for name in names))
    return 0 if all(good[name] == options.n for name in names if name != "sound") else 1


def judge(text: str, wish: Wish, checks: dict[str, Check], out: Path) -> dict[str, str]:
    """What each check says of a text, "" where nothing is wrong."""
    try:
        score = parse(text)
    except FormatError as error:
        return dict.fromkeys(("parsed", "sound", "full", "as given", *checks), str(error))
    found = {"parsed": "", "sound": "; ".join(map(str, sound_problems(text)))}
    found |= {"full": "" if full(score) else "no", "as given": "" if as_given(wish, text) else "no"}
    scorelm.save(text, out)
    return found | {name: check(out) for name, check in checks.items()}


def say(
    options: argparse.Namespace,
    model: str,
    names: Sequence[str],
    made: Counter[str],
    good: Counter[str],
    bad: Sequence[str],
    seconds: float,
) -> None:
    """How far it is; what was found until now, into the --json file: a run that is stopped has it, too."""
    done = sum(made.values())
    print(f"\r{done}/{options.n}, {len(bad)} with a complaint", end="", file=sys.stderr, flush=True)
    if options.json:
        found = {"model": model, "random": options.random, "samples": done, "modes": made, "cpu_s": seconds}
        found |= {"first": options.first, "together": options.together, **{n: good[n] for n in names}}
        write_atomically(options.json, json.dumps({**found, "complaints": bad}, indent=1) + "\n")


def pythia_70m(tokenizer: str | None, folder: Path) -> Path:
    """A model of Pythia-70m's shape, with its tokenizer, and random weights."""
    import torch
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM, PreTrainedTokenizerFast

    out = folder / "pythia-70m"
    end = "<|endoftext|>"
    words = PreTrainedTokenizerFast(tokenizer_object=neox_tokenizer(tokenizer), eos_token=end, bos_token=end)
    torch.manual_seed(0)
    shape = GPTNeoXConfig(
        vocab_size=50304, hidden_size=512, num_hidden_layers=6, num_attention_heads=8, intermediate_size=2048
    )
    GPTNeoXForCausalLM(shape).save_pretrained(out)
    words.save_pretrained(out)
    return out


def unlearnt(model: Path, folder: Path) -> Path:
    """A copy of a model with random weights."""
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.models.gpt_neox import GPTNeoXConfig

    out = folder / "unlearnt"
    shutil.copytree(model, out)
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(GPTNeoXConfig.from_pretrained(model)).save_pretrained(out)
    return out


if __name__ == "__main__":
    sys.exit(main())
