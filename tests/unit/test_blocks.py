"""Blocks of a classifier: described, frozen, taken from another run, and exchanged."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from pydantic import ValidationError

from hybridq.config import FinetuneConfig, head_config
from hybridq.errors import InvalidValueError
from hybridq.models.blocks import BLOCKS, block_of, blocks_of, freeze_blocks
from hybridq.models.checkpoint import load_model
from hybridq.models.classifier import build_model
from hybridq.models.encoders.encoder import Encoder, EncoderSpec
from hybridq.training.finetune import finetune

pytestmark = [pytest.mark.trains, pytest.mark.usefixtures("isolated", "single_thread")]

PHANTOM = "phantom,size=16,count=40"
SHORT = {"data": PHANTOM, "image_size": 16, "epochs": 1, "batch_size": 8}


def config(name="mlp", **fields):
    return head_config(name=name, num_qubits=2, num_layers=1, **fields)


def trained(head, **fields):
    run = finetune(FinetuneConfig(**(SHORT | {"head": head} | fields)))
    return run, load_model(run, backend="statevector")[0].state_dict()


def test_dimensions_parameters_and_shares():
    encoder = Encoder(EncoderSpec(image_size=32))
    model = build_model(encoder, config("pqc"), 3, backend="statevector", seed=0)
    freeze_blocks(model, ["encoder"])
    encoder_block, reducer, head = blocks_of(model, 3)
    assert encoder_block.trained == 0 < encoder_block.parameters
    assert (reducer.in_shape, reducer.out_shape, reducer.parameters) == ((1280,), (2,), 2560)
    assert (head.in_shape, head.out_shape) == ((2,), (3,))
    assert head.parameters == 4 + 9  # the circuit's, and the readout's
    assert reducer.share == pytest.approx(2560 / 2573)
    assert sum(one.share for one in (encoder_block, reducer, head)) == pytest.approx(1)
    assert dataclasses.asdict(head)["name"] == "head"


@pytest.mark.parametrize("name", BLOCKS)
def test_a_frozen_block_changes_no_weight_and_no_statistic(name):
    run, before = trained(config())
    frozen, after = trained(config(), start=run, freeze=name, seed=1)
    _, moved = trained(config(), start=run, seed=1)
    own = [key for key in before if block_of(key) == name]
    assert own
    for key in own:
        assert torch.equal(before[key], after[key]), key
    # the negative control: without --freeze weights and statistics move
    assert any(not torch.equal(before[key], moved[key]) for key in own)
    if name != "head":  # a head has no statistics of its own
        statistics = [key for key in own if key.endswith("running_mean")]
        assert all(not torch.equal(before[key], moved[key]) for key in statistics)
        assert statistics
    others = [key for key in before if block_of(key) != name and key.endswith("weight")]
    assert any(not torch.equal(before[key], after[key]) for key in others)
    assert load_model(frozen, backend="statevector")[1].head == config()


@pytest.mark.parametrize(
    ("blocks", "head"),
    [("encoder", config("pqc")), ("encoder,reducer", config("pqc")), ("reducer", config())],
)
def test_blocks_that_are_taken_are_those_of_the_run(blocks, head):
    run, before = trained(config())
    kept = [name for name in blocks.split(",") if name != "encoder" or "encoder" in blocks]
    frozen = ",".join(kept)
    _, after = trained(head, start=run, start_blocks=blocks, freeze=frozen, seed=5)
    for key in before:
        if block_of(key) in kept:
            assert torch.equal(before[key], after[key]), key
    others = [key for key in after if block_of(key) not in kept and key.endswith("weight")]
    assert all(key not in before or not torch.equal(before[key], after[key]) for key in others)


def test_a_fresh_reducer_is_not_frozen():
    with pytest.raises(InvalidValueError, match="Expected --start RUN with a frozen reducer"):
        trained(config(), freeze="reducer")


def test_a_head_without_a_reducer_has_none_to_freeze():
    run, _ = trained(head_config(name="linear"))
    with pytest.raises(InvalidValueError, match="Expected a head with a reducer, got LinearHead"):
        trained(head_config(name="linear"), start=run, freeze="reducer")


def test_something_has_to_be_trained():
    run, _ = trained(config())
    with pytest.raises(InvalidValueError, match="Expected a block that is trained"):
        trained(config(), start=run, freeze="encoder,reducer,head")


def test_reducers_of_another_kind_are_not_taken():
    run, _ = trained(config())
    with pytest.raises(
        InvalidValueError, match=r"Expected --reducer linear, as .* has it, got pca"
    ):
        trained(config(reducer="pca"), start=run, freeze_encoder=True)
    with pytest.raises(InvalidValueError, match="Expected weights of a model of the same encoder"):
        trained(head_config(name="linear"), start=run, freeze_encoder=True)
    moved, _ = trained(config(reducer="pca"), start=run, start_blocks="encoder", freeze="encoder")
    assert load_model(moved, backend="statevector")[1].head.reducer == "pca"


def test_reducers_that_are_not_trained_are_not_frozen():
    with pytest.raises(InvalidValueError, match="--freeze without reducer for --reducer random"):
        trained(config(reducer="random"), freeze="reducer")


def test_a_frozen_head_has_no_first_steps():
    run, _ = trained(config())
    with pytest.raises(InvalidValueError, match="Expected a head that is trained with --probe"):
        trained(config(), start=run, freeze="head", probe_steps=3)


def test_the_reducer_of_a_frozen_head_trains_its_statistics():
    """Also where a start computes features with the head in evaluation mode."""
    run, before = trained(config())
    options = {"start": run, "start_blocks": "encoder,head", "freeze": "encoder,head"}
    _, after = trained(config(), **options, head_start="random")
    key = "head.reducer.norm.num_batches_tracked"
    assert after[key] > 0
    assert not torch.equal(
        before["head.reducer.linear.weight"], after["head.reducer.linear.weight"]
    )


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"start_blocks": "encoder"}, "Expected --start RUN with --start-blocks"),
        ({"start": "run", "start_blocks": ""}, "Expected blocks of --start that are taken"),
    ],
)
def test_blocks_are_taken_of_a_run(fields, words):
    with pytest.raises(ValidationError, match=words):
        FinetuneConfig(**fields)


def test_a_flag_undoes_what_a_file_froze():
    kept = FinetuneConfig(freeze="encoder,head").model_dump()
    assert (kept["freeze"], kept["freeze_encoder"]) == ("head", True)
    assert FinetuneConfig(**kept | {"freeze_encoder": False}).frozen_blocks == ("head",)


@pytest.mark.parametrize("field", ["freeze", "start_blocks"])
def test_unknown_blocks_are_refused(field):
    with pytest.raises(ValidationError, match="Expected blocks of encoder, reducer, head, got"):
        FinetuneConfig(**{field: "encoder,body"})


def test_freezing_the_encoder_is_freeze_encoder():
    assert FinetuneConfig(freeze="encoder").freeze_encoder
    assert FinetuneConfig(freeze_encoder=True).frozen_blocks == ("encoder",)
    assert FinetuneConfig(freeze="reducer , encoder").frozen_blocks == ("encoder", "reducer")
