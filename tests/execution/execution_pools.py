"""What the tests of the pool share: utterances by the dozen, and running a pool to its end."""

from speedd.execution.takes import chunk_seed, take_key
from speedd.model import Style, Utterance


def utterance(info, text, *, index=0, voice=None, speed=1.0):
    voice = voice or info.voices[0]
    style = Style(speed=speed)
    seed = chunk_seed(0, text, index, 0)
    key = take_key(info, text=text, voice=voice, style=style, seed=seed, language="en")
    return Utterance(key, text, voice, style, seed)


def utterances(info, count, text="The time traveller went on."):
    return [utterance(info, f"{text} {index}") for index in range(count)]


def results(pool, work):
    """Run to the end; every utterance is answered exactly once."""
    work = list(work)
    answers = [result for batch in pool.run(work) for result in batch]
    assert sorted(answer.key for answer in answers) == sorted(one.key for one in work)
    return {answer.key: answer for answer in answers}
