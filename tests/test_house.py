"""What the project says about itself is true: README, CHANGELOG, version, public face, links."""

import functools
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import scorelm

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ("generate_data.py", "train.py", "infer.py", "reconstruct.py")
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("*/README.md")])
HEAVY = ("torch", "transformers", "music21", "datasets", "fsspec", "ray")

# A script's help, then the heavy packages that were loaded to print it.
SHOW_HELP = f"""
import runpy, sys
sys.argv = [sys.argv[1], "--help"]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as end:
    print("loaded:", *[name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)
    raise
"""


@functools.cache
def help_of(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", SHOW_HELP, script], cwd=ROOT, capture_output=True, text=True, timeout=120
    )


def commands(page: str) -> list[str]:
    """The commands in a page's code blocks: a `$` before, a comment behind and continued lines are taken care of."""
    blocks = re.findall(r"^```[^\n]*\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    lines = [re.sub(r"\s#\s.*$", "", line.strip().removeprefix("$ ")).strip() for line in lines]
    return [line for line in lines if re.match(r"(python3?|make|accelerate launch|deepspeed)\s", line)]


README_COMMANDS = commands((ROOT / "README.md").read_text(encoding="utf-8"))


def test_the_readme_shows_the_two_commands_and_every_script() -> None:
    assert {"make demo", "make test"} <= set(README_COMMANDS)
    shown = " ".join(README_COMMANDS)
    assert [script for script in SCRIPTS if script not in shown] == []


@pytest.mark.parametrize("command", sorted(set(README_COMMANDS)))
def test_a_command_of_the_readme_names_what_exists(command: str) -> None:
    program, *words = command.split()
    if program == "make":
        targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
        assert {word for word in words if re.fullmatch(r"[a-z]+", word)} <= targets
        return
    files = [word for word in words if re.search(r"\.(py|yaml)$", word)]
    assert [file for file in files if not (ROOT / file).is_file()] == []
    scripts = [file for file in files if file in SCRIPTS]
    if scripts:
        known = set(re.findall(r"(?<![\w-])--?[A-Za-z][\w-]*", help_of(scripts[0]).stdout))
        after = words[words.index(scripts[0]) + 1 :]
        used = {word.split("=")[0] for word in after if re.match(r"--?[A-Za-z]", word)}
        assert used <= known


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_explains_itself_without_loading_what_is_heavy(script: str) -> None:
    shown = help_of(script)
    assert shown.returncode == 0, shown.stderr
    assert "usage:" in shown.stdout
    assert shown.stderr.strip().endswith("loaded:")


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_refuses_an_option_that_it_does_not_know(script: str) -> None:
    ended = subprocess.run(
        [sys.executable, script, "-", "--no-such-option"], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert ended.returncode == 2
    assert "no-such-option" in ended.stderr or "no_such_option" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_is_thin(script: str) -> None:
    assert len((ROOT / script).read_text(encoding="utf-8").splitlines()) <= 130


def test_the_version_is_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert scorelm.__version__ == project["version"]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## \[{re.escape(scorelm.__version__)}\] - \d{{4}}-\d\d-\d\d$", changelog, re.MULTILINE)
    assert re.search(r"^## \[Unreleased\]$", changelog, re.MULTILINE)


def test_the_public_face_is_small_and_whole() -> None:
    assert sorted(scorelm.__all__) == [
        "FormatError",
        "ScorelmError",
        "__version__",
        "decode",
        "encode",
        "extract",
        "generate",
        "generate_measures",
        "repair",
        "save",
        "transpose",
    ]
    for name in scorelm.__all__:
        assert getattr(scorelm, name) is not None


def test_the_constraints_name_a_version_for_each_requirement_and_it_is_allowed() -> None:
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    extras = project["optional-dependencies"]
    wanted = [
        *project["dependencies"],
        *(r for name, rs in extras.items() if name not in ("unsloth", "vllm") for r in rs),
    ]
    for requirement in map(Requirement, wanted):
        if requirement.name == "scorelm":  # extras of its own, which stand among the others
            assert requirement.extras <= extras.keys()
            continue
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), requirement


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    links = re.findall(r"\]\(([^)\s#]+)", re.sub(r"`[^`\n]*`", "", text))
    assert [link for link in links if ":" not in link and not (page.parent / link).exists()] == []


def test_the_pages_of_the_house_are_there() -> None:
    for name in ("README.md", "FORMAT.md", "CHANGELOG.md", "LICENSE", "vlm/README.md", ".ci/run"):
        assert (ROOT / name).is_file(), name


def test_the_student_that_reads_images_is_announced_honestly() -> None:
    page = (ROOT / "vlm" / "README.md").read_text(encoding="utf-8").lower()
    for word in ("it was not taught", "nemotron", "alignment", "information extraction", "analysis"):
        assert word in page
