"""The documentation tells the truth: its code runs, its commands parse, its names are complete."""

from __future__ import annotations

import ast
import importlib
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hybridq.cli import main as cli
from hybridq.config import FinetuneConfig
from hybridq.data import MEDMNIST
from hybridq.models.heads import HEADS
from hybridq_backends import IbmRuntime, Noisy, Statevector, list_backends
from hybridq_backends.specs.kinds import build_spec

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
QUICKSTART = ROOT / "docs" / "quickstart.md"
MAIN_JOB = ROOT / "docs" / "main_job.md"
GUIDES = sorted((ROOT / "docs").glob("*.md"))
PAGES = [README, ROOT / "CONTRIBUTING.md", *GUIDES]

LONG = {
    "pretrain": ["--epochs", "1"],
    "finetune": ["--epochs", "1"],
    "evaluate": ["--resamples", "100"],
}
PHANTOM = "phantom,size=16,count=40"

pytestmark = pytest.mark.usefixtures("isolated")


def blocks(path: Path, *languages: str) -> list[str]:
    """The fenced blocks of a page in one of the languages."""
    found = re.findall(r"^```(\w+)[^\n]*\n(.*?)^```", path.read_text(encoding="utf-8"), re.M | re.S)
    return [body for language, body in found if language in languages]


def commands(path: Path) -> list[tuple[str | None, list[str], str]]:
    """The `hybridq` lines of a page: the shell variable they set, arguments, comment."""
    found = []
    for line in "".join(blocks(path, "sh")).splitlines():
        text, _, comment = line.partition("#")
        match = re.fullmatch(r"(?:(\w+)=\$\()?hybridq (.*?)(?: \| tail -n 1)?\)?", text.strip())
        if match:
            found.append((match[1], shlex.split(match[2]), comment.strip()))
    return found


def parse(arguments: list[str]) -> object:
    """What the command line makes of the arguments."""
    name, command, rest = cli.find_command(arguments)
    return cli.parse(name, command.model, rest)


def python_blocks() -> list[object]:
    names = (
        "quickstart",
        "python",
        "backends",
        "statistics",
        "feature_classifier",
        "export",
        "locked_model",
    )
    return [
        pytest.param(body, id=f"{page.stem}-{number}")
        for page in (ROOT / "docs" / f"{name}.md" for name in names)
        for number, body in enumerate(blocks(page, "python"))
    ]


def shapes(text: str) -> set[str]:
    """The lines of a printed text, whatever their numbers and widths."""
    return {re.sub(r"\d+(\.\d*)?", "#", line).replace(" ", "") for line in text.splitlines()}


def quick(body: str) -> str:
    """A block with one epoch of each training, on tiny images."""
    body = re.sub(r"(epochs\"?[=:] ?)\d+", r"\g<1>1", body)
    return re.sub(r"phantom,(finding=texture,)?size=\d+,count=\d+", PHANTOM, body)


@pytest.mark.parametrize("body", python_blocks())
def test_python_blocks_run(body, capsys):
    exec(compile(quick(body), "<block>", "exec"), {"__name__": "block"})
    assert capsys.readouterr().out


def test_readme_goes_from_arrays_to_a_submission_in_ten_lines(capsys):
    (body,) = blocks(README, "python")
    assert len([line for line in body.splitlines() if line.strip()]) <= 10
    space: dict = {"__name__": "block"}
    exec(compile(quick(body), "<block>", "exec"), space)
    assert space["model"].predict(space["data"].splits["test"]).shape[1] == 2
    assert space["sent"].result["complete"]
    assert shapes(blocks(README, "text")[1]) <= shapes(capsys.readouterr().out)


def test_the_layer_has_the_same_weights_on_both_backends():
    space: dict = {"__name__": "block"}
    exec(compile(blocks(QUICKSTART, "python")[1], "<block>", "exec"), space)
    assert space["expvals"].shape == space["noisy_expvals"].shape == (8, 4)
    assert space["angles"].grad.abs().sum() > 0
    assert len(space["layer"].weight) == 12  # as its comment says
    assert 0 < (space["expvals"] - space["noisy_expvals"]).abs().max() < 0.5


def test_quickstart_block_counts_its_jobs_rightly():
    body = blocks(QUICKSTART, "python")[0]
    assert "ten jobs" in body
    space: dict = {"__name__": "block"}
    exec(compile(body, "<block>", "exec"), space)
    assert space["backend"].num_jobs == 10


def write_images(folder: Path) -> None:
    """Tiny images as the manifest of the guide lists them, by its own header."""
    header = blocks(MAIN_JOB, "text")[0].splitlines()[0]
    assert header == "path,label,group,split"
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    lines = [header]
    for number in range(24):
        name = f"images/p{number:03d}.png"
        Image.fromarray(rng.integers(0, 256, (16, 16), dtype=np.uint8)).save(folder / name)
        split = ("train", "train", "val", "test")[number // 2 % 4]
        lines.append(f"{name},{('benign', 'malignant')[number % 2]},p{number:03d},{split}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("page", [MAIN_JOB, ROOT / "docs" / "data.md"], ids=lambda page: page.name)
def test_the_manifest_that_is_shown_has_both_classes_in_each_split(page):
    rows = [line.split(",") for line in blocks(page, "text")[0].splitlines()[1:]]
    held = {(label, split) for _, label, _, split in rows}
    assert len(held) == 6


def test_images_without_labels_are_pretrained_on_as_shown(capsys):
    text = blocks(ROOT / "docs" / "data.md", "text")[1]
    Path("scans/scans").mkdir(parents=True)
    Path("scans/manifest.csv").write_text(text)
    rng = np.random.default_rng(0)
    for line in text.splitlines()[1:]:
        pixels = rng.integers(0, 256, (16, 16), dtype=np.uint8)
        Image.fromarray(pixels).save(Path("scans", line.split(",")[0]))
    assert cli.main(["pretrain", "--data", "scans", "--epochs", "1"]) == 0
    folder = Path(capsys.readouterr().out.strip())
    assert json.loads((folder / "result.json").read_text())["images"] == 4


def test_the_readme_is_short():
    assert len(README.read_text(encoding="utf-8").split()) <= 900
    assert 8 <= len(commands(README)) <= 10


@pytest.mark.parametrize("page", [README, MAIN_JOB], ids=lambda page: page.name)
def test_commands_of_the_main_job_run(page, capsys):
    write_images(Path("my_images"))
    pixels = np.random.default_rng(1).integers(0, 256, (20, 24), dtype=np.uint8)
    variables = {"data": PHANTOM}
    printed = ""
    lines = commands(page)
    assert len(lines) >= (8 if page == README else 15)
    for variable, written, comment in lines:
        arguments = [
            variables.get(word[1:], "missing-run") if word.startswith("$") else word
            for word in written
        ]
        parse(arguments)
        if comment.startswith("needs"):
            continue
        arguments = [PHANTOM if word in MEDMNIST else word for word in arguments]
        for word in arguments:
            if word.endswith(".png"):
                Image.fromarray(pixels).save(word)
        if "--epochs" in arguments:
            del arguments[arguments.index("--epochs") :][:2]
        code = cli.main([*arguments, *LONG.get(arguments[0], [])])
        captured = capsys.readouterr()
        printed += captured.out
        assert code == 0, (arguments, captured.err)
        if variable is not None:
            variables[variable] = captured.out.strip()
            assert Path(variables[variable], "result.json").is_file(), captured.out
        if arguments[0] == "predict":
            out = Path("predictions.csv")
            rows = (out.read_text() if out.is_file() else captured.out).splitlines()
            assert rows[0] == "path,predicted,prob_no lesion,prob_lesion"
            assert len(rows) == 1 + sum(word.endswith(".png") for word in arguments)
    assert "predict" in [words[0] for _, words, _ in lines]
    if page == README:
        assert shapes(blocks(README, "text")[0]) <= shapes(printed)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_parse(page):
    Path("finetune.toml").write_text(blocks(ROOT / "docs" / "commands.md", "toml")[0])
    for _, arguments, _ in commands(page):
        parse([word.lstrip("$") for word in arguments])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_toml_blocks_are_valid(page):
    for body in blocks(page, "toml"):
        fields = tomllib.loads(body)
        if "kind" in fields:
            assert fields.pop("summary")
            build_spec(fields, name="block")
        else:
            FinetuneConfig.model_validate(fields)


def test_make_targets_and_files_that_are_named_exist():
    makefile = (ROOT / "Makefile").read_text()
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for target in re.findall(r"^make ([a-z-]+)|`make ([a-z-]+)`", text, re.M):
            assert re.search(rf"^{''.join(target)}:", makefile, re.M), (page.name, target)
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
            assert (page.parent / link).exists(), (page.name, link)
        for named in re.findall(r"`((?:hybridq|backends|tests|docs|benchmarks)/[\w/.]+)`", text):
            assert "NAME" in named or (ROOT / named).exists(), (page.name, named)


def texts_of_the_code() -> list[str]:
    """Every text of the packages, with `…` for what an f-string puts in."""
    found = []
    for path in [*ROOT.glob("hybridq/**/*.py"), *ROOT.glob("backends/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = [getattr(part, "value", None) for part in node.values]
                found.append("".join(part if isinstance(part, str) else "…" for part in parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


def test_messages_of_troubleshooting_are_those_of_the_code():
    text = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    messages = [row.split("` |")[0] for row in re.findall(r"^\| `(.+)$", text, re.M)]
    messages = [message for message in messages if "`, from " not in message.split(" | ")[0]]
    assert len(messages) >= 30
    texts = texts_of_the_code()
    for message in messages:
        assert len(message.replace("…", "")) > 20, message
        pattern = re.compile(".*".join(map(re.escape, message.split("…"))))
        assert any(map(pattern.search, texts)), message


def test_api_pages_name_what_there_is():
    directive = r"^\.\. (\w+):: (\S+)\n(?:   :members: (.+)\n)?"
    for page in sorted((ROOT / "docs" / "api").glob("*.rst")):
        current = ""
        for kind, named, members in re.findall(directive, page.read_text(encoding="utf-8"), re.M):
            if kind in ("automodule", "currentmodule"):
                current = named
                names = [f"{named}.{one.strip()}" for one in members.split(",") if one.strip()]
            else:
                names = [named if "." in named else f"{current}.{named}"]
            importlib.import_module(current)
            for name in names:
                module, _, last = name.rpartition(".")
                assert hasattr(importlib.import_module(module), last), (page.name, name)


def test_every_name_is_in_the_docs():
    text = {page.name: page.read_text(encoding="utf-8") for page in PAGES}
    for name in list_backends():
        assert f"`{name}`" in text["backends.md"], name
        assert f"`{name}`" in text["README.md"], name
    for kind in (Statevector, Noisy, IbmRuntime):
        for field in kind.model_fields:
            assert f"`{field}`" in text["backends.md"] or field == "kind", field
    for name in HEADS:
        assert f"| `{name}` |" in text["commands.md"], name
    for name in cli.COMMANDS:
        assert f"`hybridq {name}" in text["commands.md"], name
    for name in MEDMNIST:
        assert f"`{name}`" in text["data.md"], name


def test_results_have_their_places():
    for page in (README, ROOT / "docs" / "results.md"):
        text = page.read_text(encoding="utf-8")
        assert text.count("<!-- results:") == text.count("<!-- /results -->")
        assert "<!-- results:ablation -->" in text
    for name in ("breastmnist", "bccd_cells"):
        assert (ROOT / "docs" / "results" / f"{name}.md").is_file()
        assert f"results/{name}.md" in (ROOT / "docs" / "results.md").read_text()


@pytest.mark.slow
def test_documentation_builds_without_a_warning(tmp_path):
    for name in ("furo", "sphinx_design", "myst_nb"):
        pytest.importorskip(name)
    options = ["-q", "-W", "--keep-going", "-b", "html", "-d", tmp_path / "trees"]
    result = subprocess.run(
        [sys.executable, "-m", "sphinx", *options, ROOT / "docs", tmp_path / "html"],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "html" / "api" / "hybridq_backends.html").is_file()
