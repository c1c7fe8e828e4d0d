"""The same images on several backends: one plan, one budget, one command, one table."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from hybridq.submissions import compare
from hybridq.submissions.plan.comparison import Comparison, labels
from tests.integration.submissions import folders, posts, states

FEW = "ibm,resilience_level=0,shots=256"
MANY = "ibm,resilience_level=0,shots=512"
CUT = ("--job-executions", "1600")  # two jobs or more for each


def comparison():
    (folder,) = Path("runs/compare").iterdir()
    return folder


def tags(server):
    return [job.tags[0] for job in server.accepted]


def test_levels_are_one_plan_one_budget_and_one_table(loopback, submit, command):
    levels = ("--levels", "0", "1")
    code, out, _ = submit(*levels, "--dry-run", backend=FEW)
    assert code == 0
    rows = [
        line.split() for line in out.splitlines() if re.match(r"(resilience_level=|total)", line)
    ]
    assert [row[0] for row in rows] == ["resilience_level=0", "resilience_level=1", "total"]
    assert posts(loopback) == []
    assert not Path("runs").exists()
    (least,) = (int(row[-2]) for row in rows[2:])
    code, _, err = submit(*levels, "--max-qpu-seconds", least - 1, backend=FEW)
    assert code == 2
    assert f"raise --max-qpu-seconds to {least}," in err
    assert posts(loopback) == []
    assert not list(Path("runs").glob("*/*"))
    code, out, _ = submit(*levels, "--max-qpu-seconds", least, "--wait", "60", backend=FEW)
    assert code == 0
    assert len(loopback.accepted) == 2
    assert {job.backend for job in loopback.accepted} == {"ibm_loopback"}
    assert sum(job.cost for job in loopback.accepted) <= least
    heading = next(line for line in out.splitlines() if "ideal" in line)
    assert "resilience_level=0" in heading
    assert "resilience_level=1" in heading
    assert f"of a budget of {least}" in out
    result = json.loads((comparison() / "result.json").read_text())
    assert result["complete"]
    assert [one["label"] for one in result["members"]] == [
        "resilience_level=0",
        "resilience_level=1",
    ]
    assert submit(*levels, backend=FEW)[0] == 0  # the same command again
    assert len(loopback.accepted) == 2
    assert command("jobs", "collect", comparison())[0] == 0
    assert command("jobs", "status", comparison())[1].count("done") == 2
    assert comparison().name in command("jobs", "list")[1]


def test_a_comparison_is_rehearsed_first_and_reported(submit, command, isolated):
    backend = "ibm_rehearsal,shots=64"
    code, out, _ = submit(
        "--levels", "0", "1", "--wait", "60", "--layout-seeds", "1", backend=backend
    )
    assert code == 0
    assert "QPU seconds charged" in out
    result = json.loads((comparison() / "result.json").read_text())
    assert [set(one["compared"]) for one in result["members"]] == [
        {"ideal", "simulated", "rehearsal"}
    ] * 2
    code, _, err = command("report", comparison(), "--out", "page.html")
    assert code == 0, err
    page = Path("page.html").read_text()
    for member in result["members"]:
        assert member["submission"] in page


def test_killed_between_two_it_goes_on_posts_nothing_twice_and_keeps_the_budget(
    loopback, submit, command, monkeypatch
):
    both = (*CUT, "--compare", MANY, "--max-qpu-seconds", "50")
    go_on, calls = compare.go_on, []

    def killed(*arguments, **options):
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return go_on(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(compare, "go_on", killed)
        assert submit(*both, backend=FEW)[0] == 130
    first = tags(loopback)
    assert len(first) >= 2
    before = sum(job.cost for job in loopback.accepted)
    assert before < 50
    names = [member.name for member in Comparison.load(comparison()).members]
    two = Path("runs/submit") / names[1]
    assert set(states(two)) == {"planned"}

    # one of its backends alone, too, knows what the others took
    code, _, err = submit(*CUT, "--max-qpu-seconds", before + 1, backend=MANY)
    assert code == 2
    assert "jobs took or may still take" in err
    # a backend that is not of the comparison is refused as ever
    code, _, err = submit(backend="ibm,resilience_level=0,shots=300")
    assert code == 2
    assert "Expected images that no other submission has posted" in err
    assert tags(loopback) == first

    assert (
        submit(*both[:-2], "--wait", "60", backend=FEW)[0] == 0
    )  # with the budget it was made with
    assert len(set(tags(loopback))) == len(loopback.accepted) > len(first)
    assert sum(job.cost for job in loopback.accepted) <= 50
    assert len(folders()) == 2
    assert submit(*both, backend=FEW)[0] == 0
    assert submit(*CUT, "--compare", FEW, backend=MANY)[0] == 0  # the order does not matter
    assert len(set(tags(loopback))) == len(loopback.accepted)


def test_nothing_is_posted_where_nobody_knows_what_the_others_took(loopback, submit, command):
    loopback.faults.add("POST", r"^/jobs$", status=401)
    both = ("--compare", MANY, "--max-qpu-seconds", "60")
    assert submit(*both, backend=FEW)[0] == 2
    (comparison() / "comparison.json").write_text("{}")
    code, _, err = submit(backend=FEW)
    assert code == 2
    assert "restore it" in err
    assert loopback.accepted == []


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--compare", FEW), "Expected backends that differ"),
        (("--levels", "0", "0"), "Expected backends that differ"),
        (("--levels", "3"), "levels"),
        (("--compare", "statevector"), "Expected a backend that takes jobs"),
        (("--levels", "0", "1", "--compare", "ibm,max_qpu_seconds=9"), "--max-qpu-seconds"),
    ],
)
def test_what_cannot_be_compared(loopback, submit, options, complaint):
    code, _, err = submit(*options, backend=FEW)
    assert code == 2
    assert complaint in err
    assert posts(loopback) == []
    assert not Path("runs").exists()


def test_labels_are_what_differs():
    assert labels(["ibm,shots=9,device=a", "ibm,device=b,shots=9"]) == ["device=a", "device=b"]
    assert labels(["ibm", "ibm,shots=9"]) == ["ibm", "shots=9"]
    assert labels(["ibm"]) == ["ibm"]
