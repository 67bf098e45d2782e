"""Records of any content, whatever fields they have: what a codec must bring back."""

from dataclasses import fields
from pathlib import Path
from typing import get_type_hints

from hypothesis import strategies as st

from speedd.model import Chunk, Metadata, Segment, Skipped, Style, Voice
from speedd.pipeline.preparation import PlanSummary

_PATHS = st.sampled_from([None, Path("/voices/ann.wav"), Path("/voices/\udcff.wav")])
_NUMBERS = st.integers(-(10**40), 10**40) | st.floats(allow_nan=False, allow_infinity=False)
_JSON = st.recursive(
    st.none() | st.booleans() | _NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
_OBJECTS = st.dictionaries(st.text(), _JSON, max_size=3)


def any_record(kind, **given):
    """Build a dataclass of any content, of its fields with a default, too."""
    hints = get_type_hints(kind)
    return st.builds(kind, **{one.name: given.get(one.name, st.from_type(hints[one.name])) for one in fields(kind)})


def any_chunk(**given):
    """A chunk of any content."""
    segments = st.lists(any_record(Segment), max_size=3).map(tuple)
    nested = {"segments": segments, "style": any_record(Style), "record": st.none() | _OBJECTS}
    return any_record(Chunk, **nested | given)


def any_summary():
    """A summary of a plan of any content."""
    return any_record(
        PlanSummary,
        metadata=any_record(Metadata),
        voice=any_record(Voice, path=_PATHS),
        config=_OBJECTS,
        header=st.none() | _OBJECTS,
        skipped=st.lists(any_record(Skipped), max_size=2).map(tuple),
    )
