"""Which folders are read, which are refused, and which are left out with a note."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from hybridq.config import PretrainConfig
from hybridq.errors import InvalidValueError
from hybridq.reports.page.elements import Text
from hybridq.reports.page.page import _order
from hybridq.reports.sections.card import provenance
from hybridq.reports.sources.sources import read_sources


def pretrain(folder, **config):
    folder.mkdir()
    full = PretrainConfig(data="cells").model_dump(mode="json") | config
    (folder / "config.json").write_text(json.dumps(full))
    result = {"loss": 1.0, "epochs": 1, "images": 4, "seconds": 1.0}
    (folder / "result.json").write_text(json.dumps(result))
    (folder / "encoder.safetensors").write_bytes(b"")
    return folder


@pytest.mark.parametrize("fault", ["config", "result"])
def test_a_run_that_was_not_named_and_cannot_be_read_is_left_out(tmp_path, fault):
    old = pretrain(tmp_path / "old", **({"gone_option": 1} if fault == "config" else {}))
    if fault == "result":
        (old / "result.json").write_text("{")
    new = pretrain(tmp_path / "new", encoder=str(old))
    sources = read_sources([new])
    assert [source.folder for source in sources.all] == [new]
    (why,) = sources.left_out
    assert str(old) in why
    told = [part for part in provenance(sources).parts if isinstance(part, Text)]
    assert told[0] == Text(why, "Left out")


@pytest.mark.parametrize("fault", ["gone", "unfinished"])
def test_a_run_that_is_not_there_is_told(tmp_path, fault):
    old = tmp_path / "old"
    if fault == "unfinished":
        (pretrain(old) / "encoder.safetensors").unlink()
    (why,) = read_sources([pretrain(tmp_path / "new", encoder=str(old))]).left_out
    ending = {"gone": "is not there", "unfinished": "is no finished run"}[fault]
    assert why == f"{old}, which S1 recorded, {ending}."


@pytest.mark.parametrize("origin", ["none", "imagenet"])
def test_weights_of_no_run_are_not_looked_for(tmp_path, monkeypatch, origin):
    monkeypatch.chdir(tmp_path)
    pretrain(tmp_path / origin)
    sources = read_sources([pretrain(tmp_path / "new", encoder=origin)])
    assert (len(sources.all), sources.left_out) == (1, ())


@pytest.mark.parametrize("part", ["", "encoder.safetensors"])
def test_a_relative_path_is_found_from_another_folder(tmp_path, monkeypatch, part):
    """Commands record paths as they were given: here `runs/old`, in `work`."""
    runs, elsewhere = tmp_path / "work" / "runs", tmp_path / "elsewhere"
    runs.mkdir(parents=True)
    elsewhere.mkdir()
    old = pretrain(runs / "old")
    new = pretrain(runs / "new", encoder=f"runs/old/{part}")
    for here, given in ((tmp_path / "work", "runs/new"), (elsewhere, "../work/runs/new")):
        monkeypatch.chdir(here)
        sources = read_sources([Path(given)])
        assert [source.folder.resolve() for source in sources.all] == [new, old]
        assert sources.named_by(sources.all[0], "encoder") is sources.all[1]
        assert sources.left_out == ()


@pytest.mark.parametrize("part", ["", "encoder.safetensors"])
def test_an_encoder_is_followed_by_its_folder_or_its_file(tmp_path, part):
    old = pretrain(tmp_path / "old")
    sources = read_sources([pretrain(tmp_path / "new", encoder=str(old / part))])
    assert [source.folder for source in sources.all] == [tmp_path / "new", old]
    assert sources.named_by(sources.all[0], "encoder") is sources.all[1]


def test_a_named_run_of_another_version_is_refused_in_one_line(tmp_path):
    old = pretrain(tmp_path / "old", gone_option=1)
    with pytest.raises(InvalidValueError, match=r"^Expected a config .*'gone_option': run .*$"):
        read_sources([old])


def test_options_that_a_config_leaves_out_have_their_defaults(tmp_path):
    run = pretrain(tmp_path / "run")
    config = json.loads((run / "config.json").read_text())
    del config["batch_size"]
    (run / "config.json").write_text(json.dumps(config))
    (source,) = read_sources([run]).all
    assert source.config["batch_size"] == PretrainConfig().batch_size


def test_the_table_of_sources_has_the_seeds_of_trainings(make_source, make_evaluation):
    run = make_source("finetune", data="cells", seed=7)
    make_evaluation(run.folder, seed=7)  # whose own seed, of the bootstrap, is 99
    table = provenance(make_source.all()).parts[0]
    k = table.columns.index("training seed")
    assert [(row[k].text, row[k].order) for row in table.rows] == [("7", 7), ("7", 7)]


def test_numbers_to_sort_by_are_those_of_javascript():
    assert [_order(x) for x in (math.inf, -math.inf, 2.5, math.nan, None, 10**400)] == [
        "Infinity",
        "-Infinity",
        "2.5",
        "",
        "",
        "1" + 400 * "0",
    ]
