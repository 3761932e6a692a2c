"""Addresses and masking."""

from __future__ import annotations

from pathlib import Path

import pytest

from cluster import masking, reach
from cluster.settings import from_environment
from jobs.spec import JobFailed


def test_without_variables_everything_stays_in_the_folder() -> None:
    settings = from_environment({}, Path("/home/me/somewhere"))
    assert settings.tracking_uri == "sqlite:////home/me/somewhere/mlflow.db"
    assert settings.artifacts == "file:///home/me/somewhere/mlruns"
    assert settings.ray_address == "local"
    assert settings.state == Path("/home/me/somewhere/.safelight")


def test_standard_names_win_and_empty_ones_do_not() -> None:
    environment = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:5000/", "RAY_ADDRESS": "", "AWS_ENDPOINT_URL": "http://s3"}
    settings = from_environment(environment, Path("/x"))
    assert settings.tracking_uri == "http://127.0.0.1:5000"
    assert settings.database is None
    assert settings.artifacts is None
    assert settings.ray_address == "local"
    assert settings.s3_endpoint == "http://s3"


def test_a_database_elsewhere_keeps_its_records_beside_it() -> None:
    settings = from_environment({"MLFLOW_TRACKING_URI": "sqlite:////data/runs.db"}, Path("/x"))
    assert settings.state == Path("/data/.safelight")
    assert from_environment({"MLFLOW_TRACKING_URI": "sqlite:///r.db"}, Path("/x")).database == Path("/x/r.db")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgresql://me:secret@db/mlflow", "postgresql://***@db/mlflow"),
        ("https://h/x?X-Amz-Signature=abc123&X-Amz-Date=1", "https://h/x?X-Amz-Signature=***&X-Amz-Date=1"),
        ("s3://b/k?access_key=AKIAABCDEFGHIJKLMNOP", "s3://b/k?access_key=***"),
        ("AKIAABCDEFGHIJKLMNOP", "***"),
        ("s3://photos/flickr@7", "s3://photos/flickr@7"),
        ("s3://photos@7", "s3://photos@7"),
        ("models:/net@champion", "models:/net@champion"),
        ("label < 10 AND key = 'f'", "label < 10 AND key = 'f'"),
    ],
)
def test_what_looks_like_a_key_is_masked_and_nothing_else(text: str, expected: str) -> None:
    assert masking.masked(text, {}) == expected


def test_values_of_secret_variables_are_masked_wherever_they_stand() -> None:
    environment = {"AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI", "RAY_AUTH_TOKEN_PATH": "/home/me/token"}
    assert masking.masked("a wJalrXUtnFEMI b /home/me/token", environment) == "a *** b /home/me/token"


def test_a_long_value_is_cut_with_the_digest_of_the_whole() -> None:
    one, other = masking.as_parameter("x" * 9000), masking.as_parameter("x" * 9001)
    assert len(one) == masking.PARAMETER_LIMIT
    assert one != other, "two values that begin alike stay apart"


def test_a_folder_that_is_not_there_is_said_at_once(tmp_path: Path) -> None:
    settings = from_environment({"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/none/mlflow.db"}, tmp_path)
    with pytest.raises(JobFailed, match="no such folder"):
        reach.check(settings)
