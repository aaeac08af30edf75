"""The documents name what there is: verbs and options of the command line, files that links lead to."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import click
import pytest

from escalade.cli import VERBS, group

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / name for name in ("README.md", "README.zh-CN.md", "CONTRIBUTING.md", "CHANGELOG.md")]
PAGES += sorted((ROOT / "docs").rglob("*.md"))
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)
SHELL = ("", "sh", "shell", "bash", "console")
"""What a fence with command lines is marked as; output, JSON and YAML are marked otherwise or begin otherwise."""
CODE = re.compile(r"`+[^`\n]*`+")
CALL = re.compile(r"(?:^|[|&;(])\s*(?:\$ )?(?:\w+=\S*\s+)*escalade(?=\s|$)")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*(?![\w-])")


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


# -- what there is ----------------------------------------------------------------------------------------------------


def command_of(*path: str) -> click.Command | None:
    """The command of a verb, or of a verb below a verb; None where there is none."""
    found: click.Command | None = group
    for name in path:
        assert isinstance(found, click.Group)
        found = found.get_command(click.Context(found), name)
        if found is None:
            return None
    return found


def leaves(verb: str) -> Iterator[tuple[str, click.Command]]:
    """A verb with its name, or every verb below it."""
    command = command_of(verb)
    assert command is not None
    if not isinstance(command, click.Group):
        yield verb, command
        return
    for name in command.list_commands(click.Context(command)):
        below = command_of(verb, name)
        assert below is not None
        yield f"{verb} {name}", below


def options_of(command: click.Command) -> set[str]:
    """The long names of a command's options, of both sides of a flag."""
    named = [name for p in command.params if isinstance(p, click.Option) for name in (*p.opts, *p.secondary_opts)]
    return {name for name in named if name.startswith("--")}


EVERYWHERE = options_of(group) | {"--help"}
"""Options that may stand behind any verb."""


def refusal(words: list[str]) -> str | None:
    """Why the command line would not take these words behind ``escalade``; None where it would."""
    words = without_language(words)
    if not words:
        return None
    if words[0].startswith("-"):
        said = words[0].partition("=")[0]
        return None if said in EVERYWHERE | {"-h"} else f"no option {said}"
    if (command := command_of(words[0])) is None:
        return f"no verb {words[0]}"
    rest = words[1:]
    if isinstance(command, click.Group):
        if not rest or rest[0].startswith("-"):
            return None
        if (below := command_of(words[0], rest[0])) is None:
            return f"no verb {words[0]} {rest[0]}"
        command, rest = below, rest[1:]
    try:
        command.make_context(command.name, rest)
    except click.exceptions.Exit:
        return None
    except click.UsageError as error:
        return error.format_message()
    return None


def without_language(words: list[str]) -> list[str]:
    """The words without ``--lang``, which may stand anywhere."""
    kept, language = [], False
    for word in words:
        if not language and not word.startswith("--lang="):
            kept += [] if word == "--lang" else [word]
        language = word == "--lang"
    return kept


# -- what is written --------------------------------------------------------------------------------------------------


def fenced(text: str) -> Iterator[str]:
    """Every line with a call of escalade in a fence of command lines, continued lines joined."""
    for mark, content in FENCE.findall(text):
        if mark.strip() in SHELL:
            yield from (line for line in content.replace("\\\n", " ").split("\n") if CALL.search(line))


def calls(line: str) -> Iterator[list[str]]:
    """The words behind each ``escalade`` of a shell line, up to where its command ends."""
    reader = shlex.shlex(line, posix=True, punctuation_chars="|&;<>()")
    reader.whitespace_split, reader.commenters = True, "#"
    command: list[str] = []
    for word in (*reader, ";"):
        if word and set(word) <= set("|&;<>()"):
            while command and (command[0] == "$" or re.fullmatch(r"\w+=.*", command[0])):
                del command[0]
            if command[:1] == ["escalade"]:
                yield command[1:]
            command = []
        else:
            command.append(word)


def inline(text: str) -> Iterator[list[str]]:
    """The words of each ``escalade VERB ...`` between backticks in running text."""
    for span in CODE.findall(FENCE.sub("", text)):
        words = span.strip("` ").split()
        if words[:1] == ["escalade"] and words[1:] and not words[1].isupper():
            yield words[1:]


def sections(text: str) -> dict[str, str]:
    """The text below each heading of the second level."""
    parts = re.split(r"^## +(.+?) *$", FENCE.sub("", text), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def links(text: str) -> Iterator[str]:
    """The files that relative links lead to."""
    for target in re.findall(r"\]\(<?([^)\s>]+)", CODE.sub("", FENCE.sub("", text))):
        if not re.match(r"[a-z]+:|#", target):
            yield unquote(target.partition("#")[0])


# -- the documents ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_command_lines_are_what_the_program_takes(page: Path) -> None:
    read = [(line, words) for line in fenced(text_of(page)) for words in calls(line)]
    assert {line: why for line, words in read if (why := refusal(words))} == {}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_in_running_text_name_verbs_and_options_that_there_are(page: Path) -> None:
    wrong = []
    for words in inline(text_of(page)):
        path = words[:2] if words[0] == "runs" and len(words) > 1 and not words[1].startswith("-") else words[:1]
        command = group if words[0].startswith("-") else command_of(*path)
        named = {option for word in words for option in OPTION.findall(word.partition("=")[0])}
        if command is None or named - options_of(command) - EVERYWHERE:
            wrong.append(" ".join(words))
    assert wrong == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_relative_links_lead_to_files(page: Path) -> None:
    assert [target for target in links(text_of(page)) if not (page.parent / target).exists()] == []


VERB_PAGE = sections(text_of(ROOT / "docs" / "cli.md"))


def test_the_page_of_verbs_has_a_section_for_each() -> None:
    assert tuple(VERB_PAGE) == VERBS


@pytest.mark.parametrize("verb", VERBS)
def test_the_section_of_a_verb_names_its_options_and_no_others(verb: str) -> None:
    said = VERB_PAGE[verb]
    # Another verb that is named in passing brings options of its own.
    prose = re.sub(r"`escalade [^`]*`", "", said)
    commands = dict(leaves(verb))
    known = {option for command in commands.values() for option in options_of(command)}
    assert sorted(known - set(OPTION.findall(prose))) == []
    assert sorted(set(OPTION.findall(prose)) - known - EVERYWHERE) == []
    assert [name for name in commands if " " in name and f"`{name}" not in said] == []


# -- the reading of them ----------------------------------------------------------------------------------------------


def test_the_documents_were_read() -> None:
    found = [words[0] for page in PAGES for line in fenced(text_of(page)) for words in calls(line)]
    assert set(VERBS) <= set(found) and len(found) > 30
    assert sum(len(list(links(text_of(page)))) for page in PAGES) > 15
    assert sum(len(list(inline(text_of(page)))) for page in PAGES) > 10


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("escalade climb rows.csv", "no verb climb"),
        ("escalade runs lsit", "no verb runs lsit"),
        ("escalade run --datta rows.csv", "No such option"),
        ("escalade check mine --task a", "No such option"),
        ("escalade plan", "Missing option"),
        ("escalade evaluate a --split train", "Invalid value"),
        ("escalade doctor now", "unexpected extra argument"),
        ("cat a | escalade predict m --texts", "No such option"),
        ("KEY=1 escalade --long zh", "no option --long"),
        ("make demo && escalade scope --json # all\n", None),
        ('escalade predict m "a | b; c" --lang zh > out.txt', None),
        ("escalade --lang zh run --help", None),
        ("escalade runs show 12ab --project p", None),
    ],
)
def test_the_reader_refuses_what_the_program_would(line: str, why: str | None) -> None:
    assert CALL.search(line)
    (words,) = calls(line)
    found = refusal(words)
    assert found is None if why is None else why in str(found)


def test_the_reader_of_fences_and_links_sees_what_counts() -> None:
    page = """See [one](a/b.md#c), ![two](d.png), [three](https://x.org/y), [four](#e) and `[five](f.md)`.
```text
escalade nothing
```
```
escalade run \\
  --data x
release: escalade-rows
[six](g.md)
```
Say `escalade check --schema`, `escalade VERB --help` or `--json`.
"""
    assert list(links(page)) == ["a/b.md", "d.png"]
    assert [words for line in fenced(page) for words in calls(line)] == [["run", "--data", "x"]]
    assert list(inline(page)) == [["check", "--schema"]]
