"""What the pages say is true: their commands run, their examples load, their links lead somewhere, and what they name is there.

Every block of code says by its info string what becomes of it:

    sh              runs, and has to end well; the blocks of a page share a directory and run in order
    sh,stays        starts, and stays up until the end of the page; lines `NAME=value` that it prints are variables from then on
    console         runs each line behind `$ `, and has to print what stands under it
    yaml,bundle     is loaded as a policy bundle; the head of one is put before what has none
    json,config     is loaded as a plugin configuration; members alone are put into the first one of docs/configuration.md
    …,no_run        does not run: the line before says why, as `<!-- not run: … -->`
    text            is read by people alone
"""

from __future__ import annotations

import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Iterator, NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = Path(os.environ.get("RERANK_GUARD_TOOLS") or ROOT / "target" / "debug").resolve()
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]

WORDS_OF_THE_FRONT_PAGE = 900
COLUMNS = 100
# A page whose commands take longer than this hangs.
SECONDS = 120

KINDS = {"sh", "sh,stays", "sh,no_run", "console", "console,no_run", "python,no_run", "yaml,bundle", "yaml,no_run", "json,config",
         "json,no_run", "rust,no_run", "text"}


class Block(NamedTuple):
    """A block of code on a page."""

    line: int
    kind: str
    text: str
    before: str


def blocks(page: Path) -> Iterator[Block]:
    opened, kind, lines, before = 0, "", [], ""
    for number, line in enumerate(page.read_text().splitlines(), 1):
        if opened and line.strip() == "```":
            yield Block(opened, kind, "\n".join(lines) + "\n", before)
            opened = 0
        elif opened:
            lines.append(line)
        elif line.startswith("```"):
            opened, kind, lines = number, line[3:].strip(), []
        else:
            assert "```" not in line, f"{page}:{number}: a fence has to stand at the start of its line"
            before = line
    assert not opened, f"{page}:{opened}: a block that does not end"


def prose(page: Path) -> Iterator[tuple[int, str]]:
    """The lines outside of blocks."""
    inside = False
    for number, line in enumerate(page.read_text().splitlines(), 1):
        if line.startswith("```"):
            inside = not inside
        elif not inside:
            yield number, line


# ---- commands --------------------------------------------------------------------------------------------------------------

class Desk:
    """A directory with the repository's files at hand, and what runs in it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        for name in ("policies", "envoy", "schema", "demo", "src", "tests"):
            (directory / name).symlink_to(ROOT / name)
        programs = directory / ".programs"
        programs.mkdir()
        # What has to be built is there already: `make test` has built it, and a test that builds would take minutes.
        made = " ".join(f"-o {name}" for name in ("wasm", "tools", "check-tools", ".venv/envoy"))
        make = programs / "make"
        make.write_text(f'#!/bin/sh\nexec {shutil.which("make")} --no-print-directory -C "{ROOT}" {made} "$@"\n')
        make.chmod(0o755)
        # Nothing of a `make` that runs these tests.
        outside = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
        self.environment = {**outside, "PATH": f"{programs}:{TOOLS}:{outside['PATH']}", "PYTHON": sys.executable}
        self.staying: list[subprocess.Popen] = []

    def run(self, script: str) -> subprocess.CompletedProcess:
        return subprocess.run(["sh", "-euc", script], cwd=self.directory, env=self.environment, text=True, timeout=SECONDS,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def start(self, script: str) -> None:
        """Starts what stays, and waits until it says that it is there."""
        log = self.directory / f".stays-{len(self.staying)}"
        with log.open("w") as out:
            self.staying.append(subprocess.Popen(["sh", "-euc", script], cwd=self.directory, env=self.environment, stdin=subprocess.DEVNULL,
                                                 stdout=out, stderr=subprocess.STDOUT, start_new_session=True))
        deadline = time.monotonic() + SECONDS
        while "Ctrl-C" not in log.read_text():
            assert self.staying[-1].poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        self.environment.update(re.findall(r"^([A-Z_]+)=(\S+)$", log.read_text(), re.M))

    def close(self) -> None:
        for one in self.staying:
            if one.poll() is None:
                # Its own session: this ends what was started here, as Ctrl-C does.
                os.killpg(one.pid, signal.SIGINT)
            one.wait(timeout=SECONDS)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    one = Desk(tmp_path)
    yield one
    one.close()


@pytest.fixture(scope="session")
def made() -> set[str]:
    """Targets of the Makefile that another page has made: they need no page's files, and take seconds."""
    return set()


def has_commands(page: Path) -> bool:
    return any(block.kind in ("sh", "sh,stays", "console") for block in blocks(page))


@pytest.mark.parametrize("page", [page for page in PAGES if has_commands(page)], ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_of_a_page_run_in_order(page: Path, desk: Desk, made: set[str]) -> None:
    for block in blocks(page):
        place = f"{page.relative_to(ROOT)}:{block.line}"
        if block.kind == "sh":
            if block.text in made:
                continue
            ran = desk.run(block.text)
            assert ran.returncode == 0, f"{place}: ended with {ran.returncode}:\n{ran.stdout}"
            if re.fullmatch(r"make [a-z]+\n", block.text):
                made.add(block.text)
        elif block.kind == "sh,stays":
            desk.start(block.text)
        elif block.kind == "console":
            for command, output in shown(block.text):
                assert output == desk.run(command).stdout, f"{place}: {command}"


def shown(text: str) -> Iterator[tuple[str, str]]:
    """Commands and what they print."""
    for part in re.split(r"^\$ ", text, flags=re.M)[1:]:
        command, output = re.fullmatch(r"((?:[^\n]*\\\n)*[^\n]*\n)(.*)", part, re.S).groups()
        yield command, output


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_block_says_what_becomes_of_it(page: Path) -> None:
    for block in blocks(page):
        place = f"{page.relative_to(ROOT)}:{block.line}"
        assert block.kind in KINDS, f"{place}: `{block.kind}` is none of {', '.join(sorted(KINDS))}"
        if block.kind.endswith("no_run"):
            assert re.fullmatch(r"<!-- not run: .+ -->", block.before), f"{place}: say why in the line before"


# ---- examples --------------------------------------------------------------------------------------------------------------

HEAD = "schema: rerank-guard/v1\nbundle: {id: example, serial: 1, not_after: 2031-01-01T00:00:00Z}\n"


def examples(kind: str) -> list:
    found = [(page, block) for page in PAGES for block in blocks(page) if block.kind == kind]
    return [pytest.param(block.text, id=f"{page.relative_to(ROOT)}:{block.line}") for page, block in found]


def checked(*arguments: str, stdin: str = "") -> None:
    ran = subprocess.run([str(TOOLS / "rerank-guard"), "check", *arguments], input=stdin, text=True, cwd=ROOT, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, timeout=SECONDS)
    assert ran.returncode == 0, ran.stdout


@pytest.mark.parametrize("text", examples("yaml,bundle"))
def test_a_bundle_on_a_page_loads(text: str) -> None:
    checked("-", stdin=text if "schema:" in text else HEAD + text)


@pytest.mark.parametrize("text", examples("json,config"))
def test_a_configuration_on_a_page_loads(text: str, tmp_path: Path) -> None:
    if not text.startswith("{"):
        whole = next(block.text for block in blocks(ROOT / "docs" / "configuration.md") if block.kind == "json,config")
        text = json.dumps({**json.loads(whole), **json.loads("{" + text + "}")})
    file, bundle = tmp_path / "config.json", tmp_path / "bundle.yaml"
    file.write_text(text)
    built_in = (ROOT / "policies" / "one-team.yaml").read_text()
    bundle.write_text(built_in.replace("{id: one-team, serial: 1,", "{id: search, serial: 412,"))
    checked("--config", str(file), "--bundle", str(bundle))


# ---- names and links -------------------------------------------------------------------------------------------------------

def anchors(page: Path) -> set[str]:
    """As mdBook and code hosts make them."""
    found: set[str] = set()
    for _, line in prose(page):
        if heading := re.match(r"#+ (.*)", line):
            text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading[1]).replace("`", "").replace("*", "")
            slug = re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", text.strip().lower()))
            number = next(number for number in range(len(PAGES) * 100) if (f"{slug}-{number}" if number else slug) not in found)
            found.add(f"{slug}-{number}" if number else slug)
    return found


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_link_leads_somewhere(page: Path) -> None:
    book = ROOT / "docs"
    for number, line in prose(page):
        for target in re.findall(r"\]\(([^)\s]*)\)", re.sub(r"`[^`]*`", "", line)):
            place = f"{page.relative_to(ROOT)}:{number}: {target}"
            if target.startswith(("https://", "http://")) or (not target and page.name == "SUMMARY.md"):
                continue
            path, _, anchor = target.partition("#")
            file = (page.parent / path).resolve() if path else page
            assert file.exists(), f"{place}: nothing is there"
            assert file.is_relative_to(ROOT), place
            assert not anchor or anchor in anchors(file), f"{place}: no such heading"
            if page.is_relative_to(book) and file.suffix == ".md":
                assert file.is_relative_to(book), f"{place}: mdBook would look for it as HTML: name it without a link"


def test_every_page_of_the_book_is_in_its_summary() -> None:
    book = ROOT / "docs"
    summary = re.findall(r"\]\(([^)\s]+)\)", (book / "SUMMARY.md").read_text())
    pages = [str(page.relative_to(book)) for page in book.glob("**/*.md") if page.name != "SUMMARY.md"]
    assert sorted(summary) == sorted(pages), "name each page once in docs/SUMMARY.md"


TOP = "|".join(re.escape(path.name) for path in ROOT.iterdir() if path.is_dir() and path.name[0] != "." and path.name not in ("target", "build"))


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    for number, line in prose(page):
        for named in re.findall(rf"`((?:{TOP})/[^`\s:]*)`", line):
            assert "…" in named or glob.glob(str(ROOT / named)), f"{page.relative_to(ROOT)}:{number}: no {named}"


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_target_and_command_that_a_page_names_is_there(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    helped = subprocess.run([str(TOOLS / "rerank-guard"), "help"], text=True, stdout=subprocess.PIPE, check=True).stdout
    commands = set(re.findall(r"^  ([a-z]+)  ", helped, re.M))
    assert "check" in commands
    said = [code for _, line in prose(page) for code in re.findall(r"`([^`]*)`", line)]
    said += [line for block in blocks(page) if block.kind.startswith(("sh", "console")) for line in block.text.splitlines()]
    for code in said:
        for target in re.findall(r"^make ([a-z-]+)", code):
            assert target in targets, f"{page.relative_to(ROOT)}: `make {target}`"
        for command in re.findall(r"(?:^|[|$] )rerank-guard ([a-z]+)", code):
            assert command in commands, f"{page.relative_to(ROOT)}: `rerank-guard {command}`"


def test_the_page_about_the_tool_names_every_command() -> None:
    helped = subprocess.run([str(TOOLS / "rerank-guard"), "help"], text=True, stdout=subprocess.PIPE, check=True).stdout
    page = (ROOT / "docs" / "tool.md").read_text()
    commands = set(re.findall(r"^  ([a-z]+)  ", helped, re.M)) - {"help"}
    assert not {command for command in commands if not re.search(rf"`{command}\b", page)}


# ---- form ------------------------------------------------------------------------------------------------------------------

def test_the_front_page_is_short() -> None:
    words = len((ROOT / "README.md").read_text().split())
    assert words <= WORDS_OF_THE_FRONT_PAGE, f"{words} words"


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_lines_are_read_without_scrolling(page: Path) -> None:
    """But for rows of tables, links, and what programs print."""
    wide = [number for number, line in prose(page) if len(line) > COLUMNS and not line.startswith("|") and "](" not in line]
    wide += [block.line for block in blocks(page) if block.kind not in ("console", "text")
             and any(len(line) > COLUMNS for line in block.text.splitlines())]
    assert not wide, f"{page.relative_to(ROOT)}: lines or blocks at {wide}"
