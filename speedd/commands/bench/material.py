"""What is read out in a benchmark: the first chapters of a book, or of a text of our own."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from speedd import inbox, planning
from speedd.commands.book import the_candidate
from speedd.common.languages import primary_subtag
from speedd.common.state_directory import StateDirectory
from speedd.config import Config, load_config
from speedd.errors import InputError
from speedd.execution.takes import chunk_seed
from speedd.model import Chunk, Job, Plan, Utterance
from speedd.pipeline.narrator import CHARS_PER_SECOND
from speedd.pipeline.plan_source import Prepared, read_and_plan

CHAPTER_MINUTES = 5.0
"""How long a chapter of our own text is, at most."""
PARAGRAPH_SENTENCES = (2, 6)
SEED = 1895

SENTENCES = (
    "The harbour lay so still that evening that the lamps along the quay seemed to stand on their own reflections.",
    "Nobody spoke.",
    "“You have come a long way for a very small answer,” said the clockmaker, and put down his pliers.",
    "At 7:30 the first train left for the north, with three carriages, eleven passengers and a crate of oranges.",
    "She counted the steps as she climbed; there were two hundred and six, and the last one was loose.",
    "Rain had been promised since Tuesday, and by Friday it had become something of a joke among the gardeners.",
    "“Is that really all?”",
    "“It is all that anyone wrote down,” he answered, “which is not quite the same.”",
    "The map showed a road where there was a river, and a river where, as far as they could see, there was nothing.",
    "Dr. Hale folded the letter twice, thought better of it, and folded it once more.",
    "In the winter of 1887 the mill had burned for two days and a night.",
    "A dog barked somewhere behind the wall, then stopped, as if it had been told a secret.",
    "There are people who cannot pass a closed door without trying the handle; Edith was one of them.",
    "The soup was hot, the bread was old, and the company was better than either.",
    "“Quick! The tide won't wait for your hat.”",
    "By the time the bell had rung five times, every window in the square was lit.",
    "He wrote slowly, with long pauses, like a man who is listening to someone in the next room.",
    "The orchard went down in terraces to the stream: apples above, pears below, and quinces where nobody looked.",
    "It cost £40, or what was left of it.",
    "Far off, over the marsh, something white rose, turned twice in the wind, and was gone.",
    "They agreed on the price, the day, the colour of the door, and on nothing else.",
    "What she remembered later was not the storm itself but the silence that came before it, wide and a little green.",
    "“I never said that I knew the way,” Thomas explained; “I said that I knew a way.”",
    "The engine coughed, shook itself, and settled into a steady, good-natured rumble.",
    "Between the pages lay a pressed flower, a ticket to Lisbon and half of a photograph.",
    "Old Mr. Finch had an opinion about bridges, and he was not a man to keep it from his neighbours.",
    "Seven times nine is sixty-three, whatever the moon is doing.",
    "The children built a tower of driftwood, and the sea, which is patient, took it apart again.",
    "Somewhere above them a shutter banged, and banged, and banged.",
    "It was, as even her brother had to admit, a remarkably good idea for a Monday.",
    "The cart had lost a wheel at the turn of the road, just where the hedge gives way to the open heath.",
    "“Will there be music?” asked the youngest; “there was music last year, and a cake with twelve candles.”",
    "Snow fell without haste, as if it had the whole of the century to fall in.",
    "No key fitted, so in the end they took out the hinges.",
    "The librarian knew every book by its weight, and most of their readers by their cough.",
    "From the ridge you could see three counties and, on a clear day, the smoke of a fourth.",
    "He laughed, a short dry sound like a twig that breaks.",
    "For a moment the whole room leaned forward; then the kettle whistled, and everybody remembered to breathe.",
    "The bees had chosen the chimney, which was inconvenient, and the best chimney, which was worse.",
    "Good night, good night; mind the third stair.",
)
"""Of our own making, with what a book has: dialogue, numbers, titles, short sentences and long ones."""


@dataclass(frozen=True, slots=True)
class Material:
    """What is read out, the same for all who compete."""

    name: str
    job: Job
    chapters: range
    """0-based numbers of the chapters that are read, from the first on."""
    utterances: tuple[Utterance, ...]
    """What the engine is asked for, in order; their keys are their numbers."""
    file: Path | None
    """The configuration."""
    config: Config
    """What it says, with the engine that speaks and folders below the benchmark's own."""

    @property
    def chars(self) -> int:
        """How much there is to speak."""
        return sum(len(one.text) for one in self.utterances)


def gather(
    book: Path | None, minutes: float, folder: Path, *, file: Path | None = None, engine: str | None = None
) -> Material:
    """Choose the first chapters of a book that make about so many minutes; at least one chapter.

    Args:
        book: by default a text of our own, written into the folder.
        minutes: of audio.
        folder: an empty folder for the copy of the source and for what becomes of it.
        file: the configuration.
        engine: what speaks; by default what the configuration says.

    Raises:
        InputError: if there is no such book, or it cannot be narrated.
        EngineError: if the engine cannot run here.
    """
    config = private_config(folder, file, engine)
    if book is None:
        book = folder / "Sentences of Our Own.md"
        book.write_text(own_text(minutes), encoding="utf-8")
    job = inbox.accept(the_candidate(book), StateDirectory(folder).spool)
    prepared = read_and_plan(job, config)
    language = primary_subtag(prepared.plan.metadata.language) or "en"
    chunks = list(first_minutes(prepared, minutes))
    seen: Counter[str] = Counter()
    utterances: list[Utterance] = []
    for chunk in chunks:
        for text in (segment.text for segment in chunk.segments if segment.text):
            seed = chunk_seed(config.engine.seed, text, seen[text], 0)
            utterances.append(Utterance(str(len(utterances)), text, prepared.voice, chunk.style, seed, language))
            seen[text] += 1
    if not utterances:
        raise InputError(f"There is nothing to read aloud in the first chapter of {job.name}.")
    chapters = range(chunks[-1].chapter + 1)
    return Material(job.name, job, chapters, tuple(utterances), file, private_config(folder, file, prepared.engine))


def private_config(folder: Path, file: Path | None, engine: str | None) -> Config:
    """Return what the configuration says, with inbox, outbox and state below a folder, and no quiet hours.

    What engines have fetched stays where the configuration has it.

    Args:
        folder: of the benchmark.
        file: the configuration.
        engine: what speaks instead of what the configuration says.

    Raises:
        ConfigError: if it is wrong.
    """
    named = {"engine": {"name": engine}} if engine else {}
    config = load_config(file, overrides={"workers": {"quiet_hours": ""}, **named})
    places = {name: folder / name for name in ("inbox", "outbox", "state")}
    return config.model_copy(update={"paths": config.paths.model_copy(update=places)})


def first_minutes(prepared: Prepared, minutes: float) -> Iterator[Chunk]:
    """Yield the chunks of the first chapters that make about so many minutes."""
    wanted_chars = minutes * 60 * CHARS_PER_SECOND
    chars, chapter = 0, 0
    for chunk in prepared.plan.chunks:
        if chunk.chapter != chapter and chars >= wanted_chars:
            return
        chapter = chunk.chapter
        chars += sum(len(segment.text) for segment in chunk.segments)
        yield chunk


def own_text(minutes: float) -> str:
    """Write a Markdown book about so many minutes long out of our own sentences, the same every time."""
    dice = random.Random(SEED)  # noqa: S311 - not for secrets
    left = int(minutes * 60 * CHARS_PER_SECOND)
    per_chapter = int(min(CHAPTER_MINUTES, minutes) * 60 * CHARS_PER_SECOND)
    lines = ["# Sentences of Our Own", ""]
    chapter = 0
    pack: list[str] = []
    while left > 0:
        chapter += 1
        lines += [f"## Chapter {chapter}", ""]
        room = min(left, per_chapter)
        left -= room
        while room > 0:
            paragraph = []
            for _ in range(dice.randint(*PARAGRAPH_SENTENCES)):
                if not pack:
                    pack = dice.sample(SENTENCES, len(SENTENCES))
                paragraph.append(pack.pop())
                room -= len(paragraph[-1]) + 1
                if room <= 0:
                    break
            lines += [" ".join(paragraph), ""]
    return "\n".join(lines)


def repeat_as_json(material: Material, times: int, out: Path) -> None:
    """Write a chunk JSON that holds the material so many times over."""
    prepared = read_and_plan(material.job, material.config)
    count = len(material.chapters)
    chunks = [chunk for chunk in prepared.plan.chunks if chunk.chapter in material.chapters]
    titles = [prepared.plan.chapters[number] for number in material.chapters]

    def repeated() -> Iterator[Chunk]:
        for turn in range(times):
            for place, chunk in enumerate(chunks):
                yield replace(chunk, index=turn * len(chunks) + place, chapter=turn * count + chunk.chapter)

    plan = Plan(prepared.plan.metadata, tuple(titles * times), repeated(), voice=prepared.voice.name)
    with out.open("w", encoding="utf-8") as stream:
        planning.write_chunk_json(stream, plan)
