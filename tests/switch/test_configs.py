"""The sample configurations that come with the project work as they are."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from switch.config.models import Config
from switch.config.reference import reference
from switch.files.model_errors import model_within

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "configs"


def run(*command):
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_prometheus_configuration_and_rules():
    run("promtool", "check", "config", str(CONFIGS / "prometheus/prometheus.yml"))
    run("promtool", "check", "rules", str(CONFIGS / "prometheus/rules.yml"))


def test_alerts_fire_when_they_should():
    run("promtool", "test", "rules", str(CONFIGS / "prometheus/rules_test.yml"))


def test_every_alert_is_tried():
    """That it fires, and that it does not when it should not."""
    rules = (CONFIGS / "prometheus/rules.yml").read_text()
    tried = (CONFIGS / "prometheus/rules_test.yml").read_text()
    names = re.findall(r"- alert: (\w+)", rules)
    assert len(names) == len(set(names)) > 30
    fires = set(re.findall(r"alertname: (\w+)\n\s+exp_alerts:\n", tried))
    assert set(names) == fires


def test_haproxy_configuration():
    for path in (CONFIGS / "haproxy").glob("*.cfg"):
        run("haproxy", "-c", "-f", str(path))


def test_reference_of_the_configuration_is_up_to_date():
    assert (ROOT / "docs/configuration.md").read_text() == reference()


def keys_of(model, prefix):
    """Every key that a model knows, with the tables within it."""
    for name, field in model.model_fields.items():
        key = field.alias or name
        inner = model_within(field.annotation)
        yield f"{prefix}{key}"
        if inner is not None:
            yield from keys_of(inner, f"{prefix}{key}.")


def keys_in(table, prefix):
    """Every key of a TOML table, with the tables within it."""
    for key, value in table.items():
        yield f"{prefix}{key}"
        for entry in value if isinstance(value, list) else [value]:
            if isinstance(entry, dict):
                yield from keys_in(entry, f"{prefix}{key}.")


def test_production_sample_names_every_key():
    text = (CONFIGS / "production.toml").read_text()
    uncommented = re.sub(r"(?m)^# (?=[a-z_]+ = |\[)", "", text)
    # Some keys exclude each other, so the uncommented text is read as TOML but is no valid configuration.
    assert set(keys_of(Config, "")) - set(keys_in(tomllib.loads(uncommented), "")) == set()


def test_commented_values_of_the_production_sample_are_the_defaults():
    text = (CONFIGS / "production.toml").read_text()
    defaults = {}
    for key in keys_of(Config, ""):
        field = find(key.split("."))
        defaults.setdefault(key.split(".")[-1], set()).add(str(field.default))
    mesh = text[text.index("# [mesh]") :]  # which a machine alone does not have
    required = set(re.findall(r"(?m)^# ([a-z_]+) =", mesh)) - {"silence_ms", "workers"}
    token = {"module", "token", "key", "pin_file", "pin_credential"}
    without_default = required | token | {"master_key_env", "master_key_credential", "client_ca", "partitions"}
    without_default |= {
        "url",
        "password_file",
        "store_copy",
        "group",
        "tokens_file",
        "certificate",
        "private_key",
        "bind",
        "rules",
        "key_exchange",
        "networks",
        "chart",
        "metrics",
    }
    for name, value in re.findall(r"(?m)^# ([a-z_]+) = ([^#\n]+)", text):
        if name in without_default:
            continue
        assert str(tomllib.loads(f"x = {value}")["x"]) in defaults[name], name


def find(path):
    model, field = Config, None
    for step in path:
        field = next(f for n, f in model.model_fields.items() if (f.alias or n) == step)
        model = model_within(field.annotation)
    return field


@pytest.mark.parametrize("name", ["README.md", "docs/configuration.md", "docs/operations.md", "docs/metrics.md"])
def test_files_that_the_documents_name_exist(name):
    text = (ROOT / name).read_text()
    named = set(re.findall(r"`(configs/[\w./-]+)`", text)) - {"configs/secrets"}
    assert {path for path in named if not (ROOT / path).exists()} == set()


def documented_metrics():
    return set(re.findall(r"`(authswitch_[a-z_]+)`", (ROOT / "docs/metrics.md").read_text()))


def test_metrics_in_rules_are_documented():
    rules = (CONFIGS / "prometheus/rules.yml").read_text()
    used = {name.removesuffix("_bucket") for name in re.findall(r"\bauthswitch_[a-z]\w+", rules)}
    assert used - documented_metrics() == {"authswitch_rates", "authswitch_alerts"}


def test_metrics_of_the_program_are_documented():
    sources = [*ROOT.glob("ext/**/*.pyx"), *ROOT.glob("switch/**/*.py")]
    names = set()
    for source in sources:
        text = source.read_text()
        names |= set(re.findall(r'"(authswitch_[a-z_]+)"', text))
        if 'f"authswitch_{' in text:
            names |= {f"authswitch_{name}" for name in re.findall(r'"([a-z_]+_(?:total|seconds))"', text)}
    names = {"authswitch_build_info" if name == "authswitch_build" else name for name in names}
    assert names - documented_metrics() == set()
