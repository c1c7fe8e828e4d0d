from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from hybridq_backends import IbmRuntime, Noisy, Statevector, list_backends, parse_backend
from hybridq_backends.errors import HybridqError, InvalidValueError, MissingFileError
from hybridq_backends.specs.profiles import override_spec

ROOT = Path(__file__).parents[3]
SHIPPED = {
    *("aer_statevector", "aer_shots", "aer_noisy", "fake_torino", "fake_marrakesh"),
    *("fake_manila", "depolarizing", "thermal", "coherent"),
    *("ibm", "ibm_rehearsal", "statevector"),
}
SECRET = "a-very-secret-token"


def test_every_profile_is_listed_with_a_line():
    profiles = list_backends()
    assert set(profiles) == SHIPPED
    assert all(profile.source == "shipped" for profile in profiles.values())
    assert all(0 < len(profile.summary) < 100 for profile in profiles.values())


def test_reading_a_spec_imports_no_qiskit():
    code = (
        "import sys, hybridq_backends, hybridq_backends.errors; hybridq_backends.list_backends();"
        "hybridq_backends.parse_backend('aer_noisy,shots=none');"
        "sys.exit(any(m.split('.')[0].startswith(('qiskit', 'torch')) for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_public_names_resolve():
    import hybridq_backends

    for name in hybridq_backends.__all__:
        assert getattr(hybridq_backends, name) is not None
    assert set(hybridq_backends.__all__) <= set(dir(hybridq_backends))
    with pytest.raises(AttributeError, match="nonsense"):
        _ = hybridq_backends.nonsense


def test_fields_in_text_and_overrides():
    spec = parse_backend("aer_noisy, device=FakeManilaV2, shots=none ,noise_scale=0.5", shots=8)
    assert spec == Noisy(device="FakeManilaV2", shots=8, noise_scale=0.5)
    assert parse_backend("aer_statevector") == Statevector(shots=None)
    assert parse_backend("aer_shots").shots == 4096
    ibm = parse_backend("ibm,service_options.filename=a.json,resilience_level=2")
    assert isinstance(ibm, IbmRuntime)
    assert ibm.service_options == {"filename": "a.json"}
    assert ibm.resilience_level == 2


def test_rates_replace_a_profiles_device_and_the_reverse():
    rates = parse_backend("aer_noisy,error_rate_2q=0.02")
    assert isinstance(rates, Noisy)
    assert rates.device is None
    assert rates.is_parametric
    device = parse_backend("depolarizing,device=FakeTorino")
    assert isinstance(device, Noisy)
    assert device.device == "FakeTorino"
    assert device.error_rate_2q is None
    assert override_spec(rates, device="FakeTorino") == Noisy(device="FakeTorino")


def test_readout_error_in_one_form_replaces_the_profiles_other_form():
    thermal = parse_backend("thermal,readout_error=0")
    assert thermal.readout_error == 0.0
    assert thermal.prob_meas1_prep0 is thermal.prob_meas0_prep1 is None
    depolarizing = parse_backend("depolarizing,prob_meas1_prep0=0.01")
    assert (depolarizing.readout_error, depolarizing.prob_meas1_prep0) == (None, 0.01)
    assert parse_backend("thermal,prob_meas1_prep0=0.3").prob_meas0_prep1 == 0.02
    assert parse_backend("fake_manila,readout_error=0.1") == Noisy(readout_error=0.1)


def test_a_rehearsal_replaces_a_profiles_device():
    hardware = IbmRuntime(device="ibm_fez")
    assert override_spec(hardware, rehearse="FakeTorino") == IbmRuntime(rehearse="FakeTorino")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("aer_nosy", "did you mean 'aer_noisy'"),
        ("", "begin with a name"),
        ("aer_shots,shts=3", "did you mean `shots`"),
        ("aer_shots,shots=0", "got '0'"),
        ("aer_shots,shots=many", "got 'many'"),
        ("aer_shots,1024", "write for example"),
        ("aer_shots,seed=-1", "`seed`"),
        ("aer_noisy,noise_scale=-1", "`noise_scale`"),
        ("aer_noisy,noise_scale=nan", "`noise_scale`"),
        ("depolarizing,readout_error=0.7", "`readout_error`"),
        ("aer_noisy,device=FakeTorino,error_rate_1q=0.1", "got both"),
        ("aer_noisy,device=none", "got neither"),
        ("aer_noisy,engine=torch", "engine=aer"),
        ("aer_noisy,device=FakeOslo,engine=torch", "fake_torino,device=FakeOslo,engine=torch"),
        ("aer_noisy,error_rate_2q=0.1,engine=torch", "with the same rates"),
        ("aer_statevector,engine=torch", "or take `statevector`"),
        ("fake_sherbrooke", "`aer_noisy,device=fake_sherbrooke`"),
        ("FakeManilaV2", "did you mean 'fake_manila'"),
        ("ibm_rehearsal,shots=none", "hardware has no exact mode"),
        ("statevector,shots=100", "take `aer_shots`"),
        ("statevector,engine=aer,dtype=float32", "take `statevector`"),
        ("aer_statevector,dtype=float32", "take `statevector`"),
        ("statevector,dtype=float16", "dtype"),
        ("ibm,shots=none", "`shots`"),
        ("ibm,resilience_level=3", "0, 1 or 2"),
        ("ibm,mode=bulk", "`mode`"),
        ("ibm_rehearsal,device=FakeManilaV2", "give `rehearse=FakeManilaV2`"),
        ("ibm_rehearsal,device=a/b.json", "give `rehearse=a/b.json`"),
        ("ibm_rehearsal,device=ibm_fez", "`ibm,device=ibm_fez`"),
        ("thermal,readout_error=0,prob_meas1_prep0=0.1", "got both"),
        ("ibm,service_options=x", "to be a table"),
    ],
)
def test_mistakes_get_one_line(text, words):
    with pytest.raises(InvalidValueError) as caught:
        parse_backend(text)
    message = str(caught.value)
    assert isinstance(caught.value, HybridqError)
    assert words in message
    assert message.startswith(("Expected", "Backend"))
    assert "\n" not in message


def test_specs_are_frozen_and_strict():
    spec = Statevector()
    with pytest.raises(ValidationError):
        spec.shots = 3
    with pytest.raises(ValidationError):
        Statevector(shot=3)
    assert pickle.loads(pickle.dumps(spec)) == spec


def test_torch_engine_is_kept_for_later():
    assert parse_backend("fake_manila,engine=torch").engine == "torch"


def test_own_profiles(tmp_path, monkeypatch):
    extra = tmp_path / "extra"
    extra.mkdir()
    (extra / "lab.toml").write_text('summary = "ours"\nkind = "noisy"\nreadout_error = 0.1\n')
    (extra / "aer_shots.toml").write_text('summary = "few"\nkind = "statevector"\nshots = 16\n')
    monkeypatch.setenv("HYBRIDQ_PROFILES", str(extra))
    assert parse_backend("lab") == Noisy(readout_error=0.1)
    assert parse_backend("aer_shots").shots == 16
    assert list_backends()["lab"].source == str(extra / "lab.toml")
    local = tmp_path / "backends.d"
    local.mkdir()
    (local / "lab.toml").write_text('summary = "nearer"\nkind = "noisy"\nreadout_error = 0.2\n')
    assert parse_backend("lab") == Noisy(readout_error=0.2)
    (local / "bad.toml").write_text("kind = ")
    with pytest.raises(InvalidValueError, match="valid TOML"):
        parse_backend("bad")
    (local / "bad.toml").write_text('kind = "statevector"')
    with pytest.raises(InvalidValueError, match="summary"):
        list_backends()
    monkeypatch.setenv("HYBRIDQ_PROFILES", str(tmp_path / "nowhere"))
    with pytest.raises(MissingFileError, match="HYBRIDQ_PROFILES"):
        list_backends()


def test_unknown_kind(tmp_path):
    folder = tmp_path / "backends.d"
    folder.mkdir()
    (folder / "odd.toml").write_text('summary = "odd"\nkind = "annealer"\n')
    with pytest.raises(InvalidValueError, match="annealer"):
        parse_backend("odd")


def test_secrets_stay_inside():
    spec = parse_backend("ibm", service_options={"token": SECRET, "filename": "a.json"})
    assert isinstance(spec, IbmRuntime)
    assert spec.service_options["token"] == SECRET
    shown = [repr(spec), str(spec), spec.model_dump_json(), json.dumps(spec.model_dump())]
    assert not any(SECRET in text for text in shown)
    assert spec.model_dump()["service_options"] == {"filename": "a.json"}
    kept = override_spec(spec, shots=7)
    assert isinstance(kept, IbmRuntime)
    assert kept.service_options["token"] == SECRET


@pytest.mark.parametrize("text", [f"ibm,token={SECRET}", f"aer_noisy,api_key={SECRET}"])
def test_a_token_as_a_field_is_refused_unseen(text):
    with pytest.raises(InvalidValueError) as caught:
        parse_backend(text)
    assert SECRET not in str(caught.value)
    assert "save_account" in str(caught.value)


def test_a_refused_value_beside_a_secret_hides_it():
    with pytest.raises(InvalidValueError) as caught:
        parse_backend("ibm", service_options=[SECRET])
    chain = [caught.value, caught.value.__cause__]
    assert not any(SECRET in str(error) for error in chain)
