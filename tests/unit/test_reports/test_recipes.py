"""Which runs are seeds of one model, and what their names tell apart."""

from __future__ import annotations

import pytest

from hybridq.config import AugmentConfig
from hybridq.reports.sections.labels import label_curve
from hybridq.reports.sections.resources import resources
from hybridq.reports.sources.predictions import evaluation_facets
from hybridq.reports.sources.recipes import source_names


def finetune(make, encoder, **config):
    return make("finetune", data="cells", encoder=str(encoder), **config)


def test_runs_that_differ_in_seed_labels_and_folder_share_a_name(make_source):
    encoders = [make_source("pretrain", data="cells", seed=seed) for seed in (0, 1)]
    runs = [
        finetune(make_source, encoders[seed].folder, seed=seed, labels=labels, name=f"r{seed}")
        for seed in (0, 1)
        for labels in (0.1, 1.0)
    ]
    names = source_names(make_source.all())
    assert {names[run] for run in runs} == {"SimCLR fine-tuned, pqc"}
    assert {names[encoder] for encoder in encoders} == {"SimCLR on cells"}


def test_frozen_and_fine_tuned_are_two_models_and_nothing_else_is_said(make_source):
    encoder = make_source("pretrain", data="cells")
    frozen = finetune(make_source, encoder.folder, freeze_encoder=True, epochs=10)
    whole = finetune(make_source, encoder.folder, epochs=60)
    names = source_names(make_source.all())
    assert names[frozen] == "SimCLR frozen, pqc"
    assert names[whole] == "SimCLR fine-tuned, pqc"


def test_a_name_says_what_differs_and_only_that(make_source):
    encoder = make_source("pretrain", data="cells")
    runs = [
        finetune(make_source, encoder.folder, **more)
        for more in (
            {},
            {"epochs": 30},
            {"backend": "fake_torino", "seed": 3},
            {"augment": AugmentConfig(rotation=45).model_dump()},
        )
    ]
    names = [source_names(make_source.all())[run] for run in runs]
    assert len(set(names)) == 4
    assert all("60 epochs" in name or "30 epochs" in name for name in names)
    assert "trained on fake_torino" in names[2]
    assert "augment rotation 45.0" in names[3]
    assert not any("batch" in name or "seed" in name for name in names)


def test_networks_of_an_ablation_have_equal_steps_whatever_their_epochs(make_source, make_ablation):
    study = make_ablation("study")
    (study.folder / "whole").mkdir()
    encoder = make_source("pretrain", name="study/whole/e", data="cells", epochs=200)
    runs = [
        finetune(make_source, "none", name=f"study/whole/r{k}", labels=labels, epochs=epochs)
        for k, (labels, epochs) in enumerate([(0.1, 480), (1.0, 60)])
    ]
    other = finetune(make_source, "none", epochs=30)
    sources = make_source.all()
    assert [sources.study_of(source) for source in (*runs, other)] == [study, study, None]
    assert source_names(sources)[encoder] == "SimCLR on cells"
    names = source_names(sources)
    assert names[runs[0]] == names[runs[1]]
    assert names[runs[0]] == "from scratch, pqc, the study's epochs"
    assert names[other] == "from scratch, pqc, 30 epochs"


def test_time_of_an_ablation_is_counted_once_and_shared_by_its_processes(
    make_source, make_ablation
):
    study = make_ablation("study", workers=2)
    (study.folder / "seconds.csv").write_text("stage,seconds\nfrozen,100\nwhole,500\n")
    (study.folder / "whole").mkdir()
    finetune(make_source, "none", name="study/whole/r", result={"seconds": 250.0})
    finetune(make_source, "none", name="apart", result={"seconds": 40.0})
    table = resources([], make_source.all(), {}, 65.0).parts[0]
    rows = {row[0].text: [cell.order for cell in row[1:]] for row in table.rows}
    assert rows["study ablation"] == [1, 300.0, pytest.approx(300 * 65 / 3600)]
    assert rows["finetune"] == [1, 40.0, pytest.approx(40 * 65 / 3600)]


def test_an_encoder_counts_by_how_it_was_pretrained(make_source):
    first = make_source("pretrain", data="cells", epochs=200)
    second = make_source("pretrain", data="cells", epochs=400, encoder=str(first.folder))
    short = finetune(make_source, first.folder)
    long = finetune(make_source, second.folder)
    names = source_names(make_source.all())
    assert names[first] == "SimCLR on cells, 200 epochs"
    assert names[second] == "SimCLR on cells, continued, 400 epochs"
    assert names[short] == "SimCLR fine-tuned, pqc, encoder 200 epochs"
    assert names[long] == "SimCLR fine-tuned, pqc, encoder continued, encoder 400 epochs"


def test_without_an_encoder_it_is_from_scratch_and_random_only_if_frozen(make_source):
    scratch = finetune(make_source, "none")
    random = finetune(make_source, "none", freeze_encoder=True)
    names = source_names(make_source.all())
    assert names[scratch] == "from scratch, pqc"
    assert names[random] == "random encoder, pqc"


def test_views_tell_evaluations_of_one_run_apart(make_source, make_evaluation):
    run = finetune(make_source, "none")
    one = make_evaluation(run.folder)
    many = make_evaluation(run.folder, views="zoom")
    names = source_names(make_source.all())
    assert names[one] == "from scratch, pqc, views one"
    assert names[many] == "from scratch, pqc, views zoom"
    assert names[run] == "from scratch, pqc"


def test_evaluations_of_runs_that_are_gone_are_not_pooled(make_source, make_evaluation):
    for seed in (0, 1):
        make_evaluation("gone", seed=seed)
    sources = make_source.all()
    (facet,) = evaluation_facets(sources, source_names(sources))
    assert [len(arm.seeds) for arm in facet.arms] == [1, 1]
    assert all("run not here" in arm.name for arm in facet.arms)


def test_seeds_of_one_recipe_are_one_arm_and_a_second_evaluation_is_another(
    make_source, make_evaluation
):
    runs = [finetune(make_source, "none", seed=seed) for seed in (0, 1)]
    for seed, run in enumerate(runs):
        make_evaluation(run.folder, seed=seed)
    again = make_evaluation(runs[0].folder, seed=0)
    sources = make_source.all()
    (facet,) = evaluation_facets(sources, source_names(sources))
    assert [arm.seeds for arm in facet.arms] == [(0, 1), (0,)]
    assert facet.arms[1].name == f"from scratch, pqc (again, {again.key})"


def labels_section(make_source):
    sources = make_source.all()
    return label_curve(evaluation_facets(sources, source_names(sources)))


def test_a_label_curve_joins_one_recipe_at_several_shares(make_source, make_evaluation):
    for labels in (0.1, 1.0):
        run = finetune(make_source, "none", labels=labels)
        make_evaluation(run.folder, labels=labels)
    (figure,) = labels_section(make_source).parts
    assert "from scratch, pqc: 0.800 [0.700, 0.900] at 10%, 0.800" in figure.description


def test_a_label_curve_does_not_join_a_frozen_and_a_fine_tuned_encoder(
    make_source, make_evaluation
):
    encoder = make_source("pretrain", data="cells")
    small = finetune(make_source, encoder.folder, freeze_encoder=True, labels=0.1, epochs=10)
    large = finetune(make_source, encoder.folder, labels=1.0, epochs=60)
    make_evaluation(small.folder, labels=0.1)
    make_evaluation(large.folder, labels=1.0)
    assert labels_section(make_source).parts == ()


def test_a_label_curve_does_not_join_different_numbers_of_epochs(make_source, make_evaluation):
    for labels, epochs in ((0.1, 10), (1.0, 60)):
        run = finetune(make_source, "none", labels=labels, epochs=epochs)
        make_evaluation(run.folder, labels=labels)
    assert labels_section(make_source).parts == ()
