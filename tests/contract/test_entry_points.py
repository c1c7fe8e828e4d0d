"""Parts of other distributions, sound and broken."""

from __future__ import annotations

import pickle
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from hybridq.cli import main as cli
from hybridq.config import choices
from hybridq.data import load_data
from hybridq.errors import InvalidValueError
from hybridq_backends import KINDS, open_backend
from hybridq_backends.specs import kinds
from tests.contract.white_noise import WhiteNoise

pytestmark = pytest.mark.usefixtures("isolated")

POINTS = {
    "hybridq.sources": {"broken": "tests.nowhere:SOURCE", "stacks": "tests.contract.stacks:STACKS"},
    "hybridq.kinds": {
        "white_noise": "tests.contract.white_noise:WHITE_NOISE",
        "gone": "tests.nowhere:KIND",
        "other": "os.path:join",
    },
    "hybridq.studies": {"label-share": "tests.contract.label_share:LABEL_SHARE"},
    "hybridq.heads": {"swap": "tests.contract.swap_attention:SWAP", "gone": "os.path:nothing"},
}


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    """Entry points as of another distribution; kinds that were loaded are forgotten after."""

    def entry_points(*, group):
        return [EntryPoint(name, value, group) for name, value in POINTS.get(group, {}).items()]

    monkeypatch.setattr(choices, "entry_points", entry_points)
    monkeypatch.setattr(kinds, "entry_points", entry_points)
    before = dict(KINDS)
    yield
    KINDS.clear()
    KINDS.update(before)


def test_a_broken_source_keeps_no_other_away(caplog):
    assert load_data("phantom,size=16,count=20").name == "phantom"
    assert "tests.nowhere:SOURCE" in caplog.text
    with pytest.raises(InvalidValueError, match="did you mean `phantom`"):
        load_data("phantm")


def test_parts_are_found_by_name(capsys):
    assert choices.find_entry("head", "swap").label
    with pytest.raises(SystemExit):
        cli.main(["study", "--help"])
    assert "label-share" in capsys.readouterr().out
    assert cli.main(["finetune", "--head", "gone"]) == 2
    assert "mend or remove that distribution" in capsys.readouterr().err
    assert cli.main(["finetune", "--head", "swp"]) == 2
    assert "did you mean 'swap'?" in capsys.readouterr().err


def test_a_kind_opens_wherever_it_is_first_met():
    spec = WhiteNoise(error_rate=0.3)
    with open_backend(spec) as executable:
        text = pickle.dumps(executable)
    KINDS.pop("white_noise")  # as in another process
    with pickle.loads(text) as again:
        assert again.describe()["error_rate"] == 0.3


@pytest.mark.parametrize(
    ("kind", "message"),
    [("gone", "to be importable"), ("other", "to be a KindEntry"), ("none", "to be one of")],
)
def test_a_broken_kind_is_one_line_and_breaks_no_other(capsys, kind, message):
    folder = Path("backends.d")
    folder.mkdir()
    (folder / "mine.toml").write_text(f'summary = "Mine"\nkind = "{kind}"\n')
    assert cli.main(["backends", "show", "mine"]) == 2
    assert message in capsys.readouterr().err
    cli.main(["backends", "list"])
    assert "statevector" in capsys.readouterr().out
