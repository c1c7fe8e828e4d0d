"""Units of a study: one file each, read before anything is computed."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from hybridq.errors import InvalidValueError
from hybridq.studies.engine.units import Stages, unit_file


@dataclass(frozen=True)
class Square:
    number: int

    @property
    def name(self):
        return f"square-{self.number}"

    def compute(self):
        return {"value": self.number**2}


def run(folder, numbers):
    """The values, and the numbers that were computed for them."""
    computed = []

    def compute(function, works):
        for work in works:
            computed.append(work.number)
            yield work, function(work)

    stages = Stages(folder, compute)
    found = stages.run("squares", [Square(number) for number in numbers])
    assert len(stages.seconds["squares"]) == len(numbers)
    return [result["value"] for result in found], computed


def test_what_is_there_is_not_computed_again(tmp_path):
    assert run(tmp_path, [3, 1]) == ([9, 1], [3, 1])
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.json")}
    assert run(tmp_path, [2, 1, 3]) == ([4, 1, 9], [2])
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.parametrize("content", [b"garbage", b"", b"[]", b"{}", b"\xff", b"3"])
def test_a_damaged_file_is_told_before_anything_is_computed(tmp_path, content):
    run(tmp_path, [1, 2])
    (damaged, lost) = (tmp_path / f"units/squares/square-{number}.json" for number in (2, 1))
    damaged.write_bytes(content)
    lost.unlink()
    with pytest.raises(InvalidValueError, match="remove it, and it is computed again") as info:
        run(tmp_path, [1, 2])
    assert str(damaged) in str(info.value)
    assert "\n" not in str(info.value)
    assert not lost.exists()
    damaged.unlink()
    assert run(tmp_path, [1, 2])[0] == [1, 4]


def test_two_units_of_one_name_are_told(tmp_path):
    with pytest.raises(InvalidValueError, match="different names in the stage 'squares'"):
        run(tmp_path, [1, 2, 1])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "a/b", "a" * 300, "", ".", "-x", "M\udcfcller"]
)
def test_a_name_that_is_none_of_a_file(tmp_path, name):
    path = unit_file(tmp_path, "squares", name)
    assert path.parent == tmp_path / "units" / "squares"
    assert len(path.name) < 100
    assert path != unit_file(tmp_path, "squares", name + "+")
    assert unit_file(tmp_path, "squares", "simclr-s0-l0.25").name == "simclr-s0-l0.25.json"
