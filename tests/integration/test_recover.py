"""A lost or damaged ledger is rebuilt; a finished submission is read where nobody can write."""

from __future__ import annotations

import json
import shutil

import pytest

from hybridq.submissions.plan.submission import Submission
from hybridq_backends.jobs.ledger.ledger import Ledger
from tests.integration.submissions import newest, states
from tests.unit.test_hardware.test_ledger_rows import nobody

CUT = ("--job-executions", "8000")
SETTLED = ("--settle-seconds", "0.1")


def damage(folder):
    path = folder / "jobs.sqlite"
    path.write_bytes(path.read_bytes()[:5000])


@pytest.mark.parametrize("lose", [lambda folder: (folder / "jobs.sqlite").unlink(), damage])
def test_a_ledger_is_rebuilt_from_what_the_service_lists(loopback, submit, command, lose):
    assert submit(*CUT, "--max-qpu-seconds", "60")[0] == 0
    folder = newest()
    with Ledger.read(folder) as ledger:
        jobs = [chunk.job_id for chunk in ledger.chunks()]
        spent = ledger.spent({})
        account = ledger.account
    lose(folder)
    assert "jobs recover" in command("jobs", "list")[1]
    for refused in (("jobs", "collect", folder), ("jobs", "status", folder)):
        code, _, err = command(*refused)
        assert code == 2
        assert "jobs recover" in err
    assert command("jobs", "recover", folder, *SETTLED)[0] == 0
    with Ledger.read(folder) as ledger:
        assert [chunk.job_id for chunk in ledger.chunks()] == jobs
        assert ledger.spent({}) == spent  # limits as they were planned
        assert ledger.account == account
    assert command("jobs", "collect", folder, "--wait", "60")[0] == 0
    assert submit(*CUT)[0] == 0
    assert len(loopback.accepted) == len(jobs)
    code, _, err = command("jobs", "recover", folder, *SETTLED)
    assert code == 2
    assert "got one that can be read" in err


def test_what_is_not_listed_stays_in_doubt_until_it_is_given_up(loopback, submit, command):
    loopback.faults.add("POST", r"^/jobs$", after=1, status=401)
    assert submit(*CUT, "--max-qpu-seconds", "60")[0] == 3
    folder = newest()
    (folder / "jobs.sqlite").unlink()
    loopback.faults.clear()
    loopback.faults.add("GET", r"^/jobs$", status=401, times=99)
    assert (
        command("jobs", "recover", folder, *SETTLED)[0] == 2
    )  # the service cannot be asked: nothing is made
    assert not (folder / "jobs.sqlite").exists()
    assert not list(folder.glob(".recovering*"))
    loopback.faults.clear()
    assert command("jobs", "recover", folder, *SETTLED)[0] == 3
    assert states(folder)[0] == "posted"
    assert set(states(folder)[1:]) == {"uncertain"}
    assert submit(*CUT, "--give-up")[0] == 3  # not a day old
    assert len(loopback.accepted) == 1
    assert submit(*CUT, "--give-up", "--give-up-after", "0", "--wait", "60")[0] == 0
    assert len({tuple(job.tags) for job in loopback.accepted}) == len(states(folder))
    assert sum(job.cost for job in loopback.accepted) <= 60


def test_a_folder_of_an_earlier_version_says_what_is_missing(loopback, submit, command):
    assert submit()[0] == 0
    folder = newest()
    path = folder / "submission.json"
    fields = json.loads(path.read_text())
    name = fields.pop("name")
    path.write_text(json.dumps(fields))
    (folder / "jobs.sqlite").unlink()
    code, _, err = command("jobs", "recover", folder, *SETTLED)
    assert code == 2
    assert "Expected the name of its jobs' tags" in err
    assert "--tag" in err
    assert command("jobs", "recover", folder, "--tag", name, *SETTLED)[0] == 0
    assert states(folder) == ["posted"]
    assert Submission.load(folder).name == name


def test_a_finished_submission_is_told_to_another_user_from_read_only_storage(
    loopback, submit, command, tmp_path_factory
):
    assert submit("--wait", "60")[0] == 0
    (job,) = loopback.accepted
    archive = tmp_path_factory.mktemp("archive")
    folder = archive / "runs" / "submit" / newest().name
    shutil.copytree(newest(), folder)
    above = [one for one in folder.parents if one.owner() != "root" or one.stat().st_mode & 1 == 0]
    modes = {one: one.stat().st_mode for one in above}
    asked = (
        ("jobs", "status", folder),
        ("jobs", "list", "--runs", archive / "runs"),
        ("jobs", "collect", folder),
    )
    expected = [command(*one) for one in asked]  # and everything is loaded
    for one in above:
        one.chmod(0o755)
    for one in (*folder.rglob("*"), folder):
        one.chmod(0o555 if one.is_dir() else 0o444)
    requests = len(loopback.requests)
    try:
        with nobody():
            found = [command(*one) for one in asked]
    finally:
        for one, mode in modes.items():
            one.chmod(mode)
        folder.chmod(0o755)
    assert [(code, out) for code, out, _ in found] == [(code, out) for code, out, _ in expected]
    assert "cannot be written to" in found[-1][2]
    assert len(loopback.requests) == requests
    assert job.id in found[0][1]
