"""Units of a study: one file each, read before anything is computed."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from hybridq.errors import InvalidValueError
from hybridq.studies.engine.units import run_stage


@dataclass(frozen=True)
class Square:
    number: int

    @property
    def name(self):
        return f"square-{self.number}"

    def compute(self):
        return {"value": self.number**2}


def run(folder, numbers):
    done = []
    found = run_stage(
        folder, "squares", [Square(n) for n in numbers], pool=None, on_done=done.append
    )
    return [result["value"] for result in found], [work.number for work in done]


def test_what_is_there_is_not_computed_again(tmp_path):
    assert run(tmp_path, [3, 1]) == ([9, 1], [3, 1])
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.json")}
    assert run(tmp_path, [2, 1, 3]) == ([4, 1, 9], [1, 3, 2])
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
