"""The page: two tabs, each with a text, what is engraved of it, its sound and its files."""

from __future__ import annotations

import base64
import html
import io
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from scorelm.errors import ScorelmError
from vlm.app.answers import EXAMPLES
from vlm.app.studio import (
    CONTINUE,
    HARMONISE,
    NEW,
    PICTURES,
    SAVED,
    SCORES,
    Seen,
    Studio,
    edited,
    notes,
    sound_problem,
)
from vlm.student.whole import Reading

if TYPE_CHECKING:
    from PIL import Image

EXAMPLE = Path(__file__).with_name("example.png")
KEYS = "C G D A E B F# C# F Bb Eb Ab Db Gb Cb a e b f# c# g# d# a# d g c f bb eb ab".split()
TIMES = ("4/4", "3/4", "2/4", "2/2", "3/2", "6/8", "9/8", "12/8")
WIDEST_PX = 1200  # of a picture as it is shown
MODEL: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": 1}  # one at a time, whoever asks
CSS = """
.paper { background: white; color: black; border: 1px solid #bbb; padding: 8px; max-height: 75vh; overflow: auto }
.paper img { width: 100% }
.text textarea { font-family: ui-monospace, monospace; font-size: 12px; white-space: pre; overflow-x: auto }
"""
NO_READER = (
    "**There is no reader here yet**: `{folder}` holds none. Train one with `python -m vlm.make_data` and "
    "`python -m vlm.distill --phase all`, or name the folder of one with `python -m vlm.app --model DIR`. "
    "*Write music* works without."
)


def page(studio: Studio) -> Any:
    """A Blocks of Gradio's."""
    with gr.Blocks(title="scorelm", analytics_enabled=False, delete_cache=(600, 3600)) as blocks:
        gr.Markdown("# scorelm\nReads pictures of scores, and writes music. All of it happens on this machine.")
        with gr.Tab("Read a score"):
            if not studio.can_read:
                gr.Markdown(NO_READER.format(folder=studio.folder), elem_id="no-reader")
            _reading(studio)
        with gr.Tab("Write music"):
            _writing(studio)
    blocks.queue(max_size=studio.limits.queue)
    return blocks


def _reading(studio: Studio) -> None:
    with gr.Row():
        with gr.Column():
            label = f"A picture or a PDF, {studio.limits.upload_mb:g} MB at most"
            file = gr.File(label=label, file_types=list(PICTURES), elem_id="picture")
            gr.Examples([[str(EXAMPLE)]], [file], label="An example")
            read = gr.Button("Read", variant="primary", interactive=studio.can_read, elem_id="read")
            shown = gr.HTML(elem_id="shown")
        with gr.Column():
            score = _Score(studio, "read")
    with gr.Group():
        question = gr.Textbox(label="Ask about the picture", elem_id="question")
        ask = gr.Button("Ask", interactive=studio.can_read, elem_id="ask")
    gr.Examples([[prompt] for prompt in EXAMPLES], [question], label="What may be asked")
    with gr.Row():
        words = gr.Textbox(label="The reader's own words, which may be wrong", lines=4, elem_id="words")
        facts = gr.Textbox(label="Computed from the text above, as right as that is", lines=4, elem_id="facts")

    def look(path: str | None) -> str:
        if path is None:
            return ""
        try:
            return _paper("".join(map(_img, studio.pictures(path))))
        except ScorelmError as error:
            return html.escape(str(error))

    def on_read(path: str | None) -> Iterator[dict[Any, Any]]:
        if path is None:
            yield score.says("Drop a picture first.")
            return
        yield score.says("Reading ...")
        try:
            for seen, said in studio.read(studio.pictures(path)):
                yield score.shows(seen, said)
        except ScorelmError as error:
            yield score.says(str(error))

    def on_ask(seen: Seen, text: str, asked: str) -> tuple[str, str]:
        try:
            return studio.ask(seen, text, asked)
        except ScorelmError as error:
            return str(error), ""

    file.change(look, file, shown, show_progress="hidden")
    score.files_behind(read.click(on_read, file, score.outputs, **MODEL))
    gr.on([ask.click, question.submit], on_ask, [score.seen, score.text, question], [words, facts], **MODEL)


def _writing(studio: Studio) -> None:
    with gr.Row():
        with gr.Column():
            what = gr.Radio([NEW, CONTINUE, HARMONISE], value=NEW, label="Write")
            file = gr.File(label="Your score", file_types=list(SCORES), visible=False, elem_id="score")
            with gr.Row():
                key = gr.Dropdown(["", *KEYS], value="", label="Key", info="of a new piece; B is major, b is minor")
                metre = gr.Dropdown(["", *TIMES], value="", label="Time", info="of a new piece")
            parts = gr.Textbox(label="Parts", placeholder="Soprano,Alto,Tenor,Bass", info="of the result")
            measures = gr.Slider(1, 32, 8, step=1, label="New measures", elem_id="measures")
            temperature = gr.Slider(0, 1.5, 0.8, step=0.05, label="Temperature", info="0: always the likeliest")
            adapt = gr.Checkbox(False, label="Learn it first", info="goes on as your score does", visible=False)
            strict = gr.Checkbox(False, label="Strict", info="no parallel fifths and octaves, no crossing voices")
            seed = gr.Number(None, label="Seed", precision=0, info="the same seed, the same music; none: drawn")
            with gr.Row():
                start = gr.Button("Write", variant="primary", elem_id="write")
                stop = gr.Button("Stop", elem_id="stop")
        with gr.Column():
            score = _Score(studio, "written")

    def on_write(
        what: str, path: str | None, key: str, metre: str, parts: str, measures: int, temperature: float,
        adapt: bool, strict: bool, seed: float | None,
    ) -> Iterator[dict[Any, Any]]:  # fmt: skip
        yield score.says("Writing ...")
        number = None if seed is None else int(seed)
        try:
            for text, said in studio.write(
                what, path, int(measures), key=key, metre=metre, parts=parts, temperature=temperature,
                adapt=adapt and what == CONTINUE, strict=strict, seed=number,
            ):  # fmt: skip
                yield score.shows(Seen(Reading(text)), said)
        except ScorelmError as error:
            yield score.says(str(error))

    what.change(lambda chosen: gr.update(visible=chosen != NEW), what, file, show_progress="hidden")
    what.change(lambda chosen: gr.update(visible=chosen == CONTINUE), what, adapt, show_progress="hidden")
    wishes = [what, file, key, metre, parts, measures, temperature, adapt, strict, seed]
    running = start.click(on_write, wishes, score.outputs, **MODEL)
    score.files_behind(running)
    score.files_behind(stop.click(None, cancels=[running]))


class _Score:
    """A text and all that is made of it. ``outputs``: what ``shows`` and ``says`` change"""

    def __init__(self, studio: Studio, name: str) -> None:
        self.studio = studio
        self.seen = gr.State(Seen(), time_to_live=3600)
        self.notes = gr.Textbox(label="Notes", lines=1, max_lines=8, interactive=False, elem_id=f"{name}-notes")
        self.picture = gr.HTML(elem_id=f"{name}-score")
        with gr.Row():
            self.saved = [
                gr.DownloadButton(
                    kind, interactive=False, size="sm", min_width=60, elem_id=f"{name}{ending.replace('.', '-')}"
                )
                for kind, ending in SAVED.items()
            ]
        mute = sound_problem()
        play = gr.Button("Play", size="sm", interactive=not mute, elem_id=f"{name}-play")
        self.audio = gr.Audio(
            interactive=False, autoplay=True, buttons=[], show_label=False, visible=not mute, elem_id=f"{name}-audio"
        )
        if mute:
            gr.Markdown(f"Nothing can be played here: {mute}", elem_id=f"{name}-mute")
        self.text = gr.Textbox(
            label="Score text, to be changed as you like", lines=8, max_lines=24, elem_id=f"{name}-text",
            elem_classes="text", max_length=studio.limits.characters, interactive=True,
        )  # fmt: skip
        engrave = gr.Button("Engrave the text", size="sm", elem_id=f"{name}-engrave")
        self.outputs = [self.seen, self.text, self.notes, self.picture, self.audio]
        self.files_behind(engrave.click(self._engrave, [self.seen, self.text], self.outputs))
        play.click(self._play, self.text, [self.audio, self.notes])

    def shows(self, seen: Seen, said: str) -> dict[Any, Any]:
        """A sound text, also where it cannot be engraved."""
        reading = seen.reading
        try:
            drawn = self.studio.engrave(reading.text, reading.looks)
        except ScorelmError as error:
            drawn, said = "", f"{said}\nNot engraved: {error}"
        return {
            self.seen: seen, self.text: reading.text, self.notes: notes(said, reading.looks),
            self.picture: _paper(drawn), self.audio: None,
        }  # fmt: skip

    def says(self, said: str) -> dict[Any, Any]:
        return {self.notes: said}

    def files_behind(self, event: Any) -> None:
        """Make the files when an event is over: one after the other, and always those of the last text."""
        event.then(
            self._files, self.text, self.saved, show_progress="hidden", trigger_mode="always_last",
            concurrency_limit=1, concurrency_id="files",
        )  # fmt: skip

    def _engrave(self, seen: Seen, text: str) -> dict[Any, Any]:
        try:
            self.studio.check(text)
        except ScorelmError as error:
            return self.says(f"Not engraved: {error}")
        return self.shows(edited(seen, text), "Your text.")

    # Gradio copies each file that it is given to its own folder, before the function goes on

    def _files(self, text: str) -> Iterator[list[Any]]:
        with tempfile.TemporaryDirectory() as folder:
            found, problems = self.studio.save(text, folder) if text.strip() else ({}, [])
            for problem in problems if found else ():  # of a broken text the notes say enough
                gr.Warning(html.escape(problem))
            yield [gr.update(value=found.get(name), interactive=name in found) for name in SAVED]

    def _play(self, text: str) -> Iterator[Any]:
        with tempfile.TemporaryDirectory() as folder:
            try:
                yield str(self.studio.sound(text, folder)), gr.skip()
            except ScorelmError as error:
                yield gr.skip(), str(error)


def _paper(inner: str) -> str:
    return f'<div class="paper">{inner}</div>' if inner else ""


def _img(picture: Image.Image) -> str:
    small = picture.copy()
    small.thumbnail((WIDEST_PX, 10 * WIDEST_PX))
    data = io.BytesIO()
    small.save(data, "WEBP", quality=85)
    return f'<img alt="what was dropped" src="data:image/webp;base64,{base64.b64encode(data.getvalue()).decode()}">'
