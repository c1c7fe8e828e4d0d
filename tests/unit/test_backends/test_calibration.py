"""Saved calibrations are the devices they were saved from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit_ibm_runtime import IBMBackend
from qiskit_ibm_runtime.fake_provider import FakeManilaV2
from qiskit_ibm_runtime.fake_provider.backend_encoder import BackendEncoder

from hybridq.cli import main as cli
from hybridq_backends import open_backend, parse_backend
from hybridq_backends.devices.calibration import (
    SnapshotBackend,
    calibration_date,
    load_calibration,
    save_calibration,
)
from hybridq_backends.devices.snapshots import fake_device
from hybridq_backends.errors import HybridqError, InvalidValueError, MissingFileError

SECRET = "a-very-secret-token"


def noisy_values(device, scale=1.0):
    """Exact values of a small circuit, and where it ran."""
    circuit = QuantumCircuit(3)
    circuit.ry(0.4, 0)
    circuit.cx(0, 1)
    circuit.cx(1, 2)
    with open_backend("aer_noisy", device=str(device), shots=None, noise_scale=scale) as executable:
        prepared = executable.prepare(circuit, ["IIZ", "ZZZ", "XXX"])
        record = executable.describe()
        return prepared.qubits, executable.run(prepared, np.zeros((1, 0))).values, record


@pytest.mark.parametrize("name", ["FakeTorino", "FakeSherbrooke", "FakeManilaV2"])
def test_saved_devices_have_the_same_noise_and_date(name, tmp_path):
    path = save_calibration(fake_device(name), tmp_path / "device.json")
    assert [item.name for item in tmp_path.iterdir()] == ["device.json"]
    loaded = load_calibration(path)
    assert isinstance(loaded, SnapshotBackend)
    assert calibration_date(loaded) == calibration_date(fake_device(name)) is not None
    assert loaded.target.dt == pytest.approx(fake_device(name).target.dt, rel=1e-15)
    for scale in (1.0, 1.6):
        qubits, expected, named = noisy_values(name, scale)
        places, found, record = noisy_values(path, scale)
        assert places == qubits
        np.testing.assert_allclose(found, expected, atol=1e-12)
        assert record["calibration_date"] == named["calibration_date"]
        assert record["device"] == named["device"] == fake_device(name).name


def test_a_saved_device_can_be_saved_again(tmp_path):
    first = save_calibration(fake_device("manila"), tmp_path / "a.json")
    second = save_calibration(load_calibration(first), tmp_path / "b.json")
    once, again = (json.loads(path.read_text()) for path in (first, second))
    assert once.pop("configuration").pop("dt") == pytest.approx(
        again.pop("configuration").pop("dt"), rel=1e-15
    )
    assert once == again


def test_rehearsing_on_a_saved_device(tmp_path):
    path = save_calibration(fake_device("manila"), tmp_path / "device.json")
    circuit = QuantumCircuit(2)
    circuit.ry(0.6, 0)
    circuit.cx(0, 1)
    values = []
    for device in ("fake_manila", str(path)):
        with open_backend("ibm_rehearsal", rehearse=device, shots=512) as executable:
            prepared = executable.prepare(circuit, ["IZ", "ZI"])
            values.append(executable.run(prepared, np.zeros((1, 0))).values)
            date = executable.describe()["calibration_date"]
            assert date == calibration_date(fake_device("manila"))
    np.testing.assert_array_equal(*values)


class Undated(FakeManilaV2):
    """A fake device whose properties carry no date."""

    def _set_props_dict_from_json(self):
        super()._set_props_dict_from_json()
        self._props_dict["last_update_date"] = None


def test_a_device_without_a_date(tmp_path):
    assert calibration_date(Undated()) is None
    path = save_calibration(Undated(), tmp_path / "device.json")
    assert json.loads(path.read_text())["calibration_date"] is None
    assert calibration_date(load_calibration(path)) is None
    _, found, record = noisy_values(path)
    np.testing.assert_allclose(found, noisy_values("FakeManilaV2")[1], atol=1e-12)
    assert record["calibration_date"] is None


class Client:
    """Stands in for the client of the service, and keeps a secret."""

    token = SECRET

    def backend_properties(self, *_args, **_kwargs):
        properties = FakeManilaV2().properties().to_dict()
        return json.loads(json.dumps(properties, cls=BackendEncoder))


def test_an_ibm_device_is_saved_without_its_account(tmp_path):
    configuration = FakeManilaV2().configuration()
    configuration.backend_name = "ibm_manila"
    configuration._data["url"] = f"https://user:{SECRET}@example.org"
    configuration._data["instance"] = f"crn:{SECRET}"
    device = IBMBackend(configuration, service=None, api_client=Client(), instance=SECRET)
    path = save_calibration(device, tmp_path / "device.json")
    assert SECRET not in path.read_text()
    loaded = load_calibration(path)
    assert loaded.name == "ibm_manila"
    assert calibration_date(loaded) == calibration_date(device)
    np.testing.assert_allclose(noisy_values(path)[1], noisy_values("FakeManilaV2")[1], atol=1e-12)


def change(path, **fields):
    content = json.loads(path.read_text())
    content.update(fields)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: path.unlink(), "No such file"),
        (lambda path: path.write_text(path.read_text()[:500]), "damaged JSON"),
        (lambda path: path.write_bytes(b"\xff\xfe\x00"), "damaged JSON"),
        (lambda path: path.write_text("[1, 2]"), "another format"),
        (lambda path: path.write_text('{"a": 1}'), "another format"),
        (lambda path: change(path, version=2), "another format"),
        (lambda path: change(path, properties=None), "damaged one"),
        (lambda path: change(path, properties={}), "damaged one"),
        (lambda path: change(path, configuration={}), "damaged one"),
        (lambda path: change(path, configuration=[1]), "damaged one"),
    ],
)
def test_damaged_files_get_one_line(damage, words, tmp_path, capsys):
    path = save_calibration(fake_device("manila"), tmp_path / "device.json")
    damage(path)
    for text in (f"aer_noisy,device={path}", f"ibm_rehearsal,rehearse={path}"):
        with pytest.raises(HybridqError) as caught:
            open_backend(text)
        assert words in str(caught.value)
        assert cli.main(["backends", "check", text]) == 2
        said = capsys.readouterr().err.strip()
        assert said.startswith("hybridq: error: Expected")
        assert "\n" not in said


def put(content, path, value):
    for key in path[:-1]:
        content = content[key]
    content[path[-1]] = value


T1 = ("properties", "qubits", 0, 0)
LENGTH = ("properties", "gates", -1, "parameters", 0)


@pytest.fixture(scope="module")
def manila(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "manila.json"
    return save_calibration(fake_device("manila"), path).read_text()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        *(((*T1, "value"), value) for value in (-1, 0, 1e308, 10**400, "x", None, True, [])),
        *(((*T1, "unit"), value) for value in ("x", "", None, 3)),
        ((*T1, "name"), "T1\n"),
        *(((*LENGTH, "value"), value) for value in (-1, 1e300)),
        (("properties", "gates", 0, "parameters", 0, "value"), 1.5),
        (("properties", "gates", 0, "qubits"), [99]),
        (("properties", "qubits"), []),
        (("properties", "last_update_date"), "yesterday"),
        *((("configuration", "n_qubits"), value) for value in (0, -1, 10**9, 1.5, True)),
        *((("configuration", "dt"), value) for value in (0, -1, 1e-308, 1e308)),
        (("configuration", "gates"), []),
        (("configuration", "basis_gates"), []),
        (("configuration", "backend_name"), "a\nb"),
        (("configuration", "coupling_map"), [[0, 5]]),
    ],
    ids=str,
)
def test_values_that_cannot_be(path, value, manila, tmp_path):
    content = json.loads(manila)
    put(content, path, value)
    (tmp_path / "device.json").write_text(json.dumps(content))
    with pytest.raises(InvalidValueError, match="Expected a whole calibration in") as caught:
        load_calibration(tmp_path / "device.json")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("text", ["aer_noisy,device=", "ibm_rehearsal,rehearse="])
def test_a_qubit_without_a_readout_error(text, manila, tmp_path):
    content = json.loads(manila)
    qubits = content["properties"]["qubits"]
    qubits[4] = [value for value in qubits[4] if value["name"] != "readout_error"]
    (tmp_path / "device.json").write_text(json.dumps(content))
    circuit = QuantumCircuit(2)
    circuit.cx(0, 1)
    with open_backend(f"{text}{tmp_path / 'device.json'}") as executable:
        with pytest.raises(InvalidValueError, match="got none of qubit 4 in the calibration"):
            executable.run(
                executable.prepare(circuit, "ZZ", initial_layout=[3, 4]), np.zeros((1, 0))
            )
        elsewhere = executable.prepare(circuit, "ZZ", initial_layout=[0, 1])
        assert executable.run(elsewhere, np.zeros((1, 0))).values[0, 0] > 0.5


@pytest.mark.parametrize("text", ["aer_noisy,device=", "ibm_rehearsal,rehearse="])
def test_a_qubit_out_of_order_is_left_alone(text, manila, tmp_path):
    content = json.loads(manila)
    broken = {"name": "operational", "unit": "", "value": 0, "date": "2021-03-15T00:00:00+00:00"}
    content["properties"]["qubits"][1].append(broken)
    (tmp_path / "device.json").write_text(json.dumps(content))
    circuit = QuantumCircuit(3)
    circuit.cx(0, 1)
    circuit.cx(1, 2)
    with open_backend(f"{text}{tmp_path / 'device.json'}") as executable:
        prepared = executable.prepare(circuit, "ZZZ")
        assert prepared.qubits == (2, 3, 4)
        assert executable.run(prepared, np.zeros((1, 0))).values[0, 0] > 0.5
        with pytest.raises(InvalidValueError, match="got qubit 1, which lacks some"):
            executable.prepare(circuit, "ZZZ", initial_layout=[1, 2, 3])


def test_what_a_device_reports_and_cannot_be_is_left_out(tmp_path):
    """As an IBM device may: then it is unknown, and the file can be read."""
    device = load_calibration(save_calibration(fake_device("manila"), tmp_path / "a.json"))
    properties = device.properties()
    properties.qubits[0][0].value = float("nan")
    properties.gates[0].parameters[0].value = -1.0
    again = load_calibration(save_calibration(device, tmp_path / "b.json"))
    assert again.target.qubit_properties[0].t1 is None
    assert again.target.qubit_properties[1].t1 == device.target.qubit_properties[1].t1


def test_what_cannot_be_saved(tmp_path):
    with pytest.raises(InvalidValueError, match="with configuration and properties"):
        save_calibration(GenericBackendV2(2), tmp_path / "device.json")
    with pytest.raises(InvalidValueError, match=r"ends in \.json"):
        save_calibration(fake_device("manila"), tmp_path / "device.toml")
    (tmp_path / "file").write_text("")
    for place in ("file/device.json", "nowhere/device.json"):
        with pytest.raises(MissingFileError, match="Expected to write"):
            save_calibration(fake_device("manila"), tmp_path / place)
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(MissingFileError, match="Expected to write"):
        save_calibration(fake_device("manila"), tmp_path / "folder.json")
    assert not [*tmp_path.glob("*.partial"), *tmp_path.glob(".*.part")]


def test_the_command_saves_and_does_not_overwrite(capsys):
    arguments = ["backends", "save", "fake_manila", "--out", "device.json"]
    assert cli.main(arguments) == 0
    assert capsys.readouterr().out.strip() == "device.json"
    before = Path("device.json").read_text()
    assert cli.main(arguments) == 2
    assert "--force" in capsys.readouterr().err
    assert Path("device.json").read_text() == before
    assert cli.main([*arguments, "--force"]) == 0
    for backend in ("ibm_rehearsal,rehearse=device.json", "aer_noisy,device=device.json"):
        assert cli.main(["backends", "save", backend, "--out", "again.json", "--force"]) == 0
    assert parse_backend("aer_noisy,device=again.json").device == "again.json"
    assert cli.main(["backends", "check", "aer_noisy,device=again.json,shots=none"]) == 0


@pytest.mark.parametrize("backend", ["statevector", "depolarizing", "aer_noisy,t1_us=50"])
def test_a_backend_without_a_device_is_not_saved(backend, capsys):
    assert cli.main(["backends", "save", backend, "--out", "device.json"]) == 2
    said = capsys.readouterr().err
    assert "a backend with a device" in said
    assert said.count("\n") == 1
    assert not Path("device.json").exists()
