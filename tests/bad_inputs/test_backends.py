"""Backends that cannot be: strings, profiles, devices and calibration files."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

TEXTS = [
    "",
    " ",
    ",",
    "abacus",
    "AER_NOISY",
    "aer_noisy,",
    "aer_noisy,shots",
    "aer_noisy,shots=",
    "aer_noisy,shots=0",
    "aer_noisy,shots=-1",
    "aer_noisy,shots=1.5",
    "aer_noisy,shots=many",
    "aer_noisy,shots=" + "9" * 5000,
    "aer_noisy,shots=1e308",
    "aer_noisy,shot=100",
    "aer_noisy,shots=100,shots=200",
    "aer_noisy,engine=gpu",
    "aer_noisy,kind=statevector",
    "aer_noisy,device=",
    "aer_noisy,device=os",
    "aer_noisy,device=os.path",
    "aer_noisy,device=FakeNothing",
    "aer_noisy,device=../../etc/passwd",
    "aer_noisy,device=nothing.json",
    "aer_noisy,device=/dev/zero",
    "aer_noisy,noise_scale=-1",
    "aer_noisy,noise_scale=nan",
    "aer_noisy,noise_scale=inf",
    "aer_noisy,noise_scale=1e300",
    "aer_noisy,device=FakeTorino,error_rate_1q=0.1",
    "aer_noisy,optimization_level=4",
    "aer_noisy,optimization_level=-1",
    "depolarizing,error_rate_1q=1.5",
    "depolarizing,error_rate_1q=-0.1",
    "depolarizing,error_rate_2q=nan",
    "depolarizing,readout_error=0.6",
    "depolarizing,prob_meas1_prep0=0.1/2",
    "depolarizing,prob_meas1_prep0=a/b",
    "thermal,t1_us=0",
    "thermal,t1_us=-5",
    "thermal,t1_us=10,t2_us=21",
    "thermal,gate_time_1q_ns=-1",
    "coherent,over_rotation_1q=inf",
    "statevector,shots=100",
    "statevector,dtype=float16",
    "aer_statevector,dtype=float32",
    "statevector,noise_scale=2",
    "ibm,mode=forever",
    "ibm,resilience_level=3",
    "ibm,resilience_level=x",
    "ibm,noise_scale=2",
    "ibm,max_execution_time=0",
    "ibm,max_execution_time=100000",
    "ibm,shots=none",
    "ibm,token=secret-0123456789",
    "ibm,service_options.token=secret-0123456789",
    "ibm,service_options=x",
    "ibm_rehearsal,rehearse=os",
    "ibm_rehearsal,rehearse=nothing.json",
    "ibm_rehearsal,measure_twirling=false",
    "a" * 5000,
    ".".join("a" * 5000) + "=1",
    "aer_noisy," + ".".join("a" * 5000) + "=1",
    "aer_noisy\0,shots=1",
    "aer_noisy,shots=1\0",
    "aer_noisy,device=a\0b",
    "\udcff\udcfe",
    "aer_noisy\nshots=3",
]


@pytest.mark.parametrize("number", range(len(TEXTS)))
def test_texts(bare_bench, number):
    """A secret is never repeated."""
    line = bare_bench.refused(
        "backends", ("show", "check")[number % 2], TEXTS[number], says="xpected"
    )
    assert "secret-0123456789" not in line


@pytest.mark.parametrize("number", range(0, len(TEXTS), 6))
def test_texts_of_training(bare_bench, number):
    bare_bench.refused(
        "finetune", "--data", "phantom,size=16,count=40", "--backend", TEXTS[number], says="xpected"
    )


@pytest.mark.parametrize("number", range(3, len(TEXTS), 6))
def test_texts_of_a_trained_run(bench, number):
    run = bench.copy("pqc")
    bench.refused("evaluate", run, "--backend", TEXTS[number], says="xpected")


GOOD = 'summary = "my own"\nkind = "noisy"\ndevice = "FakeManilaV2"\nshots = 100\n'
PROFILES = {
    "empty": "",
    "no TOML": "kind = ",
    "no kind": GOOD.replace('kind = "noisy"\n', ""),
    "an unknown kind": GOOD.replace("noisy", "analog"),
    "a kind that is a number": GOOD.replace('"noisy"', "3"),
    "no summary": GOOD.replace('summary = "my own"\n', ""),
    "a summary that is a number": GOOD.replace('"my own"', "3"),
    "an unknown field": GOOD + "qubits = 3\n",
    "a value out of range": GOOD.replace("100", "-100"),
    "a value of another type": GOOD.replace("100", '"x"'),
    "a field twice": GOOD + "shots = 3\n",
    "a token": GOOD.replace("noisy", "ibm_runtime") + 'token = "secret-0123456789"\n',
    "deep lists": "a = " + "[" * 100_000,
    "deep tables": "a = " + "{a=" * 5000 + "1" + "}" * 5000,
    "a key of 5,000 dots": ".".join("a" * 5000) + " = 1",
    "Latin-1": GOOD.replace("my own", "Müller's").encode("latin-1"),
    "UTF-16": GOOD.encode("utf-16"),
    "NUL bytes": b"\0" * 50,
    "a number of 5,000 digits": GOOD + "optimization_level = " + "9" * 5000,
}


def named(bench, name: str) -> None:
    """A broken profile is refused by its name, and told by `backends list`, which lists others."""
    line = bench.refused("backends", "show", name, says="xpected")
    assert "secret-0123456789" not in line
    bench.refused("backends", "check", name, says="xpected")
    code, out, err = bench.call("backends", "list")
    assert "Traceback" not in out + err
    assert "secret-0123456789" not in out + err
    assert code in (0, 2), err
    told = [line for line in err.splitlines() if name in line]
    assert len(told) == 1, err
    if code == 0:
        assert "statevector" in out
        assert bench.call("backends", "show", "statevector")[0] == 0


@pytest.mark.parametrize("name", PROFILES)
def test_profiles(bare_bench, name):
    bare_bench.put("backends.d/mine.toml", PROFILES[name])
    named(bare_bench, "mine")


def test_profiles_that_are_no_files(bare_bench):
    for make in (
        lambda path: os.mkfifo(path),
        lambda path: path.mkdir(),
        lambda path: path.symlink_to("/dev/zero"),
        lambda path: path.symlink_to("nothing.toml"),
        lambda path: path.symlink_to("mine.toml"),
    ):
        path = Path("backends.d/mine.toml")
        path.parent.mkdir(exist_ok=True)
        make(path)
        named(bare_bench, "mine")
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()


def test_a_profile_whose_name_is_no_utf8(bare_bench):
    Path("backends.d").mkdir()
    Path(os.fsdecode(b"backends.d/M\xfcller.toml")).write_text(GOOD)
    code, out, err = bare_bench.call("backends", "list")
    assert code in (0, 2)
    assert "Traceback" not in out + err
    (out + err).encode()  # nothing in it that no terminal can show


def test_folders_of_profiles_that_are_none(bare_bench, monkeypatch):
    for value in ("nothing", "/dev/null", "a" * 5000, "nothing:more"):
        monkeypatch.setenv("HYBRIDQ_PROFILES", value)
        bare_bench.refused("backends", "list", says="xpected")
        bare_bench.refused("backends", "show", "aer_noisy", says="xpected")


@pytest.fixture(scope="module")
def calibration(tmp_path_factory):
    """The text of a saved calibration."""
    from hybridq.cli.main import main

    path = tmp_path_factory.mktemp("calibration") / "device.json"
    assert main(["backends", "save", "fake_manila", "--out", str(path)]) == 0
    return path.read_text(encoding="utf-8")


def _gate(content):
    return content["properties"]["gates"][0]["parameters"][0]


def _qubit(content):
    return content["properties"]["qubits"][0][0]


def _negative_error(content):
    for gate in content["properties"]["gates"]:
        for parameter in gate["parameters"]:
            if parameter["name"] == "gate_error":
                parameter["value"] = -0.5


def _error_above_one(content):
    for gate in content["properties"]["gates"]:
        for parameter in gate["parameters"]:
            if parameter["name"] == "gate_error":
                parameter["value"] = 7.0


def _times_below_nothing(content):
    for qubit in content["properties"]["qubits"]:
        for parameter in qubit:
            if parameter["name"] in ("T1", "T2"):
                parameter["value"] = -50.0


def _readout_above_one(content):
    for qubit in content["properties"]["qubits"]:
        for parameter in qubit:
            if parameter["name"].startswith(("readout", "prob")):
                parameter["value"] = 2.0


CHANGES = {
    "errors below nothing": _negative_error,
    "errors above one": _error_above_one,
    "times below nothing": _times_below_nothing,
    "readout errors above one": _readout_above_one,
    "a gate error that is a word": lambda content: _gate(content).update(value="x"),
    "a gate error that is no number": lambda content: _gate(content).update(value=float("nan")),
    "a gate error without end": lambda content: _gate(content).update(value=1e400),
    "a qubit's value that is a list": lambda content: _qubit(content).update(value=[]),
    "no gates": lambda content: content["properties"].update(gates=[]),
    "no qubits": lambda content: content["properties"].update(qubits=[]),
    "no configuration": lambda content: content.pop("configuration"),
    "no properties": lambda content: content.pop("properties"),
    "couplings to nowhere": lambda content: content["configuration"].update(coupling_map=[[0, 99]]),
    "qubits below nothing": lambda content: content["configuration"].update(n_qubits=-5),
    "qubits without end": lambda content: content["configuration"].update(n_qubits=10**9),
    "gates that there are not": lambda content: content["configuration"].update(
        basis_gates=["warp"]
    ),
    "a version to come": lambda content: content.update(version=99),
    "another format": lambda content: content.update(format="other"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_calibrations(bare_bench, calibration, name):
    content = json.loads(calibration)
    CHANGES[name](content)
    bare_bench.put("device.json", json.dumps(content))
    bare_bench.refused("backends", "check", "aer_noisy,device=device.json", says="xpected")


BYTES = {
    "empty": "",
    "text": "no JSON",
    "a list": "[]",
    "deep lists": "[" * 100_000,
    "Latin-1": '{"name": "Müller"}'.encode("latin-1"),
    "NUL bytes": b"\0" * 10,
    "a number of 5,000 digits": '{"version": ' + "9" * 5000 + "}",
}


@pytest.mark.parametrize("name", BYTES)
def test_bytes_of_calibrations(bare_bench, name):
    bare_bench.put("device.json", BYTES[name])
    for backend in ("aer_noisy,device=device.json", "ibm_rehearsal,rehearse=device.json"):
        bare_bench.refused("backends", "check", backend, says="xpected")


def test_calibrations_that_are_no_files(bare_bench):
    os.mkfifo("fifo.json")
    Path("folder.json").mkdir()
    Path("dangling.json").symlink_to("nothing.json")
    Path("zero.json").symlink_to("/dev/zero")
    for name in ("fifo", "folder", "dangling", "zero"):
        bare_bench.refused("backends", "check", f"aer_noisy,device={name}.json", says="xpected")
        bare_bench.refused("backends", "show", f"aer_noisy,device={name}.json", says="xpected")
