"""A backend's text is logged and recorded, so that it must not hold a secret."""

import pytest

from hybridq_backends import parse_backend
from hybridq_backends.errors import InvalidValueError

SECRET = "sekrit-0123456789"


@pytest.mark.parametrize("key", ["token", "instance", "proxies.password", "anything"])
def test_secret_options_are_refused_without_their_value(key: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        parse_backend(f"ibm,service_options.{key}={SECRET}")
    assert SECRET not in str(caught.value)
    assert key.split(".")[0] in str(caught.value)


def test_a_whole_table_as_text_is_refused() -> None:
    with pytest.raises(InvalidValueError) as caught:
        parse_backend(f"ibm,service_options={SECRET}")
    assert SECRET not in str(caught.value)


def test_public_options_are_taken() -> None:
    spec = parse_backend("ibm,service_options.filename=account.json")
    assert spec.service_options == {"filename": "account.json"}


def test_an_override_from_python_may_be_secret_and_is_not_shown() -> None:
    spec = parse_backend("ibm", service_options={"token": SECRET})
    assert SECRET not in repr(spec)
    assert SECRET not in str(spec.model_dump())
