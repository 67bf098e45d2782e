"""The list of events is whole: every event in the source stands in it, with its level."""

import ast
import re
import string
from pathlib import Path

import speedd
from speedd.service.events import EVENTS, sentence_of

LEVELS = {"debug", "info", "warning", "error"}


def logged(tree):
    """Every ``….log.<level>("name")``: name (or pattern), level and fields."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
            continue
        level = "error" if node.func.attr == "exception" else node.func.attr
        if level not in LEVELS or not ast.unparse(node.func.value).endswith("log"):
            continue
        fields = {keyword.arg for keyword in node.keywords}
        yield ast.unparse(node.args[0]), pattern(node.args[0]), level, fields


def pattern(argument):
    """A pattern for the names an argument may have, for a constant or an f-string."""
    if isinstance(argument, ast.Constant):
        return re.escape(str(argument.value))
    if isinstance(argument, ast.JoinedStr):
        return "".join(re.escape(part.value) if isinstance(part, ast.Constant) else r"\w+" for part in argument.values)
    return r"[a-z_.]+"


def sources():
    folder = Path(speedd.__file__).parent
    return {path: ast.parse(path.read_text()) for path in sorted(folder.rglob("*.py"))}


def test_every_event_of_the_source_is_listed_with_its_level_and_fields():
    missing = []
    for path, tree in sources().items():
        for name, names, level, fields in logged(tree):
            known = [event for event in EVENTS if re.fullmatch(names, event)]
            if not [event for event in known if EVENTS[event].level == level and wanted(event) <= fields]:
                missing.append(f"{path.name}: log.{level}({name}) with {sorted(fields)}")
    assert missing == []


def test_every_listed_event_is_logged_somewhere():
    told = [names for tree in sources().values() for _, names, _, _ in logged(tree)]
    of_the_log_itself = {"log.dropped", "library.warned", "library.failed"}
    silent = {event for event in EVENTS if not any(re.fullmatch(names, event) for names in told)}
    assert silent == of_the_log_itself


def wanted(event):
    """The fields that an event's sentence names."""
    return {field for _, field, _, _ in string.Formatter().parse(EVENTS[event].sentence) if field}


def test_names_are_a_thing_and_what_happened_to_it():
    assert [name for name in EVENTS if not re.fullmatch(r"[a-z]+\.[a-z_]+", name)] == []


def test_an_event_says_its_sentence():
    assert sentence_of("job.published", {"book": "Emma", "out_path": "/srv/Emma"}) == "Published Emma in /srv/Emma."


def test_without_its_fields_or_a_sentence_an_event_names_what_it_has():
    assert sentence_of("job.published", {"book": "Emma"}) == "job.published: book=Emma"
    assert sentence_of("tea.served", {"cups": 2}) == "tea.served: cups=2"
    assert sentence_of("tea.served", {}) == "tea.served"


def test_braces_in_a_books_name_are_only_braces():
    assert sentence_of("job.accepted", {"book": "{job.__class__}"}) == "Accepted {job.__class__}."
