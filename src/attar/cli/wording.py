"""Errors in the command's words: the parser's in one sentence, and the help that says more; a method's on its settings."""

from __future__ import annotations

import difflib
import re
import shlex
import typing
from collections.abc import Callable, Container, Iterable, Sequence
from typing import Any, Literal

from cyclopts import (
    CoercionError,
    CycloptsError,
    MissingArgumentError,
    RepeatArgumentError,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
)

from attar.errors import AttarError

__all__ = ["as_option", "as_word", "help_command", "in_options", "near", "of_settings", "sentence", "unreadable"]


def sentence(error: CycloptsError) -> str:
    """What was wrong with the words, and what to do."""
    match error:
        case UnknownCommandError():
            return _unknown_command(error)
        case UnknownOptionError():
            return _unknown_option(error)
        case RepeatArgumentError():
            return f"{error.token.keyword} is given more than once: give it once."
        case MissingArgumentError():
            return _missing(error)
        case CoercionError() if error.token is not None:
            return _wrong_value(error)
        case UnusedCliTokensError():
            return _too_many(error)
    error.verbose = False
    return " ".join(str(error).split())


def help_command(error: CycloptsError) -> str:
    """The command that prints the help of whatever was called."""
    return " ".join(["attar", *(error.command_chain or ()), "--help"])


def near(word: str, known: Iterable[str]) -> str:
    """ "did you mean ...? " where a known word looks like this one."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"did you mean {near[0]}? " if near else ""


def as_option(name: str, value: str) -> str:
    """A setting as an option of ``attar distill``: ``--centres medoids``."""
    return f"--{name.replace('_', '-')} {value}".rstrip()


def as_word(name: str, value: str) -> str:
    """A setting as it follows a method's name in ``attar compare``: ``centres=medoids``."""
    return f"{name}={value}" if value else name


def of_settings(sentence: str, names: Sequence[str], given: Container[str], told: Callable[[str, str], str]) -> str:
    """A method's sentence on its settings, which speaks Python (``centres='medoids'``, ``keep=``), in the command's words.

    What stands in quotes stays as it is, for it may be the name of a file or a class, as does a setting without them that
    was not given.

    Args:
        sentence: what the method says.
        names: of its settings.
        given: names of those that were given.
        told: a setting and its value in the command's words.
    """
    if not names:
        return sentence

    def reworded(found: re.Match[str]) -> str:
        name, quoted, plain = found.groups()
        return told(name, quoted or plain or "") if name and (quoted or name in given) else found[0]

    setting = rf"(?<![\w./-])({'|'.join(names)})=(?:'([^']*)'|(-?\w+(?:[.+-]\w+)*))?"
    return re.sub(rf"(?<!\w)'[^']*'(?!\w)|{setting}", reworded, sentence)


def in_options(sentence: str) -> str:
    """A sentence on reading a table, which speaks Python (``impute=True``, ``types={'id': 'drop'}``), in the command's words."""
    plain = re.sub(r"(?<![\w./-])(impute|drop_missing)=True", lambda found: as_option(found[1], ""), sentence)
    kinds = r"(?<![\w./-])types=\{'([^',=]*)': '([^',=]*)'\}"  # of other names the option cannot speak
    plain = re.sub(kinds, lambda found: f"--types {shlex.quote(f'{found[1]}={found[2]}')}", plain)
    return re.sub(r"(?<![\w./-])options=\{('\w+': [^{}]*)\}", lambda found: _settings_in_options(found[1]), plain)


def _settings_in_options(settings: str) -> str:
    """``'augmentation': '', 'factor': 1`` as ``--augmentation '' --factor 1``."""
    found = re.findall(r"'(\w+)': ('[^']*'|[^,]+)", settings)
    return " ".join(as_option(name, value) for name, value in found)


def _unknown_command(error: UnknownCommandError) -> str:
    word = (error.unused_tokens or [""])[0]
    if "distill" in (error.command_chain or ()):
        return _unknown_method(word)
    known = [name for name in error.app or () if not name.startswith("-")]
    hint = near(word, known)
    return f"There is no command '{word}'{': ' + hint if hint else '. '}Commands are {', '.join(known)}."


def _unknown_method(word: str) -> str:
    from attar import methods
    from attar.cli.ahead import is_data
    from attar.signatures import settings_of

    if is_data(word):
        return f"'{word}' is data and no method: the method comes first, as in attar distill kmeans {word}."
    try:
        settings_of(word, methods.find(word))
    except AttarError as unknown:
        return str(unknown)
    except Exception as broken:  # an installed package's function, which may have any signature
        return unreadable(word, broken)
    return f"The method '{word}' has no command."


def unreadable(name: str, broken: Exception) -> str:
    """That an installed package's function has a signature of which no options can be made."""
    return f"The options of the method '{name}' cannot be read from its signature ({broken}): mend its package."


def _unknown_option(error: UnknownOptionError) -> str:
    word = (error.token.keyword or error.token.value).partition("=")[0]
    shown = [argument for argument in error.argument_collection if argument.show]
    hint = near(word, [name for argument in shown for name in argument.names if name.startswith("-")])
    return f"There is no option {word} here{': ' + hint.strip() if hint else '.'}"


def _missing(error: MissingArgumentError) -> str:
    assert error.argument is not None
    name = error.keyword or next((token.keyword for token in reversed(error.argument.tokens) if token.keyword), None)
    said, name = ("needs a value" if name else "is missing"), name or error.argument.name
    needed = next((_help(known) for known in _options(error) if error.argument.name in known.names), "")
    needed = " ".join(needed.split())
    if error.argument.field_info.is_positional:
        name = name.lstrip("-").upper()
    return f"{name} {said}{f': {needed}' if needed else ''}."


def _wrong_value(error: CoercionError) -> str:
    token = error.token
    assert token is not None
    name = token.keyword or (error.argument.name.upper() if error.argument else "a value")
    if error.msg is not None:
        return f"{name}: {error.msg}"
    if error.target_type is bool:
        return f"{name}: give true or false, not '{token.value}'."
    if typing.get_origin(error.target_type) is Literal:
        choices = [str(choice) for choice in typing.get_args(error.target_type)]
        hint = near(token.value, choices)
        return f"{name}: there is no '{token.value}': {hint + 'Give' if hint else 'give'} {' or '.join(choices)}."
    return f"{name}: '{token.value}' does not suit it."


def _too_many(error: UnusedCliTokensError) -> str:
    """One word too many; most often it stands behind an option that takes one value, or none."""
    words, extra = error.root_input_tokens or [], (error.unused_tokens or [""])[0]
    before = words[: words.index(extra)] if extra in words else []
    option = next((word for word in reversed(before) if word.startswith("-")), None)
    argument = next((known for known in _options(error) if option in known.names), None)
    if option is None or argument is None:
        return f"'{extra}' is one word too many: leave it out."
    values = [*before[before.index(option) + 1 :], extra]
    if argument.token_count()[0] == 0:
        return f"{option} is a switch and takes no value: leave '{values[0]}' out."
    if typing.get_origin(_plain(argument.hint)) in (list, tuple):
        each = " ".join(f"{option} {value}" for value in values[:2])
        return f"{option} takes one value: give {option} once for each row, as in {each}."
    if "separated by commas" in _help(argument):
        return f"{option} takes one word: separate several by commas, as in {option} {','.join(values[:2])}."
    return f"'{extra}' is one word too many: {option} takes one value."


def _options(error: CycloptsError) -> Sequence[Any]:
    """The arguments of the command, with their lines of help."""
    return list(error.app.assemble_argument_collection(parse_docstring=True)) if error.app is not None else []


def _help(argument: Any) -> str:
    return str(argument.parameter.help or "").rstrip(".")


def _plain(hint: Any) -> Any:
    """A type without "or None"."""
    given = [kind for kind in typing.get_args(hint) if kind is not type(None)]
    return given[0] if type(None) in typing.get_args(hint) and len(given) == 1 else hint
