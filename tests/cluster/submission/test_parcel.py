"""What travels with a job, and what does not."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
import yaml

from cluster.settings import from_environment
from cluster.submission import parcel
from jobs.adopt import Adopt
from jobs.evaluate import Evaluate
from jobs.spec import SpecError

JOB = Evaluate(corpus="photos/day", model=("models:/geo@champion", "small"), output="out", where="a/b > 1")


def test_paths_are_made_absolute_and_nothing_else(tmp_path: Path) -> None:
    for name in ("small", "classification", "label"):
        (tmp_path / name).mkdir()
    job = parcel.placed(JOB.model_copy(update={"task": "classification", "by": ("label",)}))
    assert job == JOB.model_copy(
        update={
            "task": "classification", "by": ("label",), "corpus": str(tmp_path / "photos/day"),
            "model": ("models:/geo@champion", str(tmp_path / "small")), "output": str(tmp_path / "out"),
        }
    )  # fmt: skip
    assert parcel.local_paths(job) == sorted(str(tmp_path / name) for name in ("photos/day", "small", "out"))


def test_urls_and_names_stay_as_they_are() -> None:
    job = Evaluate(corpus="s3://photos/flickr@7", model=("nets.lenet:lenet5",), output="s3://out/x/")
    assert parcel.placed(job) == job


def test_every_path_field_is_one_of_a_job() -> None:
    from cluster.commands import job_class, job_names

    fields = {name for job in job_names() for name in job_class(job).model_fields}
    assert set(parcel.PLACES) | set(parcel.PATHS) <= fields


ENVIRONMENT = {
    "AWS_ENDPOINT_URL": "http://s3:8333", "AWS_ACCESS_KEY_ID": "key-of-mine", "AWS_SECRET_ACCESS_KEY": "secret-of-mine",
    "HOME": "/home/me", "MINE": "mine", "RAY_AUTH_TOKEN": "ray-token",
}  # fmt: skip


def test_keys_stay_here_unless_asked_for() -> None:
    where = from_environment({"MLFLOW_TRACKING_URI": "http://mlflow:5000"}, Path("/w"))
    told, secret = parcel.variables(ENVIRONMENT, where, False, ())
    assert told == {"MLFLOW_TRACKING_URI": "http://mlflow:5000", "AWS_ENDPOINT_URL": "http://s3:8333"}
    assert secret == {}
    told, secret = parcel.variables(ENVIRONMENT, where, True, ("MINE",))
    assert sorted(secret) == ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "MINE"]
    assert not set(told) & set(secret)


def test_a_password_in_an_address_is_a_secret() -> None:
    where = from_environment({"MLFLOW_TRACKING_URI": "postgresql://me:pass-of-mine@db/mlflow"}, Path("/w"))
    with pytest.raises(SpecError, match="MLFLOW_TRACKING_URI holds a password: give --credentials"):
        parcel.variables({}, where, False, ())
    told, secret = parcel.variables({}, where, True, ())
    assert told == {}
    assert secret == {"MLFLOW_TRACKING_URI": "postgresql://me:pass-of-mine@db/mlflow"}


def test_a_variable_that_is_not_set_is_named() -> None:
    with pytest.raises(SpecError, match="--env NOTHERE: this variable is not set here"):
        parcel.variables({}, from_environment({}, Path("/w")), False, ("NOTHERE",))


def test_the_package_holds_spec_code_and_order_and_secrets_for_the_owner_only(tmp_path: Path) -> None:
    code, folder = tmp_path / "mine", tmp_path / "package"
    (code / "__pycache__").mkdir(parents=True)
    (code / "nets.py").write_text("x = 1\n")
    folder.mkdir()
    order = parcel.Order("adopt", "adopt-1", "me", 2, {"safelight.night": "n@d"}, None, "session")
    job = Adopt(net="nets:build", output="/out", code=str(code))
    parcel.pack(folder, job, order, {"KEY": "secret-of-mine"})
    fields = yaml.safe_load((folder / parcel.SPEC).read_text())
    assert fields.pop("job") == "adopt"
    assert Adopt(**fields) == job.model_copy(update={"code": "code"})
    assert [path.name for path in (folder / "code").iterdir()] == ["nets.py"]
    assert parcel.Order.read(folder) == order
    secrets = folder / parcel.SECRETS
    assert json.loads(secrets.read_text()) == {"KEY": "secret-of-mine"}
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o600
    assert not [p for p in folder.rglob("*") if p.is_file() and p != secrets and "secret-of-mine" in p.read_text()]


def test_without_secrets_no_process_is_given_a_hook(tmp_path: Path) -> None:
    plain = parcel.runtime_environment(tmp_path, {"AWS_REGION": "x"}, False)
    assert "worker_process_setup_hook" not in plain
    assert {Path(module).name for module in plain["py_modules"]} == {"vision", "jobs", "cluster"}
    assert plain["env_vars"]["AWS_REGION"] == "x"
    assert parcel.runtime_environment(tmp_path, {}, True)["worker_process_setup_hook"] == parcel.HOOK
