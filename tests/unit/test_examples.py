"""Every public name has an example in its docstring, which is executed."""

from __future__ import annotations

import doctest
import inspect
import os

import pytest
import torch

import hybridq as hq

NAMES = sorted(set(hq.__all__) - {"__version__"})
"""What stands at the root; the version is a text."""


pytestmark = pytest.mark.usefixtures("isolated")


def examples(name):
    """The examples of a name, and of its methods, as one script: they share their variables."""
    found = doctest.DocTestFinder(exclude_empty=True).find(getattr(hq, name), name, globs={})
    return [test for test in sorted(found, key=lambda test: test.lineno or 0) if test.examples]


@pytest.fixture
def same_environment():
    """Give back the environment and the threads, which `share_machine` sets for the process."""
    before, threads = dict(os.environ), torch.get_num_threads()
    yield
    os.environ.clear()
    os.environ.update(before)
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("same_environment")
@pytest.mark.parametrize("name", NAMES)
def test_an_example_does_what_it_says(name, capsys):
    found = examples(name)
    assert found, f"{name} has no example"
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    shared = {}
    for test in found:
        test.globs = shared
        runner.run(test, clear_globs=False)
    assert runner.failures == 0, capsys.readouterr().out


def test_methods_of_a_model_have_examples():
    methods = {"predict", "features", "expvals", "evaluate", "save"}
    with_example = {test.name.partition(".")[2] for test in examples("Model")}
    assert methods <= with_example
    assert inspect.getdoc(hq.Model).count(">>>") >= 3
