"""The image, the compose file and the manifests say what there is, and run nothing as root. No container engine is needed for that."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest
import typer
import yaml

from predictkpi.cli.app import app
from predictkpi.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
DOCKERFILE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
COMPOSE_TEXT = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load(COMPOSE_TEXT)
OURS = {name: service for name, service in COMPOSE["services"].items() if service["image"].startswith("predictkpi:")}
MANIFESTS = [
    found for path in sorted((DEPLOY / "kubernetes").glob("*.yaml")) for found in yaml.safe_load_all(path.read_text(encoding="utf-8"))
]


def of_kind(kind: str) -> dict[str, dict]:
    return {found["metadata"]["name"]: found for found in MANIFESTS if found["kind"] == kind}


def pods() -> dict[str, dict]:
    """Pod specs by the name of what makes them."""
    made = {name: found["spec"]["template"]["spec"] for name, found in of_kind("Deployment").items()}
    return made | {name: found["spec"]["jobTemplate"]["spec"]["template"]["spec"] for name, found in of_kind("CronJob").items()}


CONTAINERS = {
    f"{name}/{container['name']}": container
    for name, pod in pods().items()
    for container in [*pod.get("initContainers", []), *pod["containers"]]
}
INSTRUCTIONS = [
    (line.split(None, 1)[0], line.split(None, 1)[1])
    for line in re.sub(r"\\\n\s*", " ", re.sub(r"(?m)^#.*\n", "", DOCKERFILE)).splitlines()
    if line.strip()
]


def instruction(name: str) -> str:
    """The last one of that name: that of the image, not of a build stage."""
    return [rest for word, rest in INSTRUCTIONS if word == name][-1]


def parsed(arguments: list[str]) -> str:
    """The name of the command that these arguments call; raises `UsageError` for an option or command there is not."""
    group = typer.main.get_command(app)
    with group.make_context("predictkpi", list(arguments)) as context:
        name, command, rest = group.resolve_command(context, context._protected_args + context.args)
        command.make_context(name, rest, parent=context)
        return str(name)


# the image


def test_image__is_built_of_hashed_wheels_alone_and_runs_as_nobody():
    pips = [word for name, rest in INSTRUCTIONS if name == "RUN" for word in re.findall(r"pip install [^&]*", rest)]
    assert len(pips) == 3
    assert all("--require-hashes --only-binary :all:" in pip or "--no-deps" in pip for pip in pips)
    uid, gid = instruction("USER").split(":")
    assert int(uid) == int(gid) > 0
    final = DOCKERFILE[DOCKERFILE.rindex("FROM ") :]
    assert not re.search(r"gcc|build-essential|pip install", final)
    assert "libgomp1" in final
    assert json.loads(instruction("ENTRYPOINT")) == ["predictkpi"]
    assert parsed(json.loads(instruction("CMD"))) == "serve"
    assert {rest.split()[0] for name, rest in INSTRUCTIONS if name == "FROM"} == {"python:3.12-slim"}


def test_image__health_is_asked_at_the_port_of_the_settings():
    command = json.loads(instruction("HEALTHCHECK").split("CMD ", 1)[1])
    assert command[:2] == ["python", "-c"]
    assert "/health/live" in command[2]
    assert f"'{Settings.model_fields['port'].default}'" in command[2]
    assert instruction("EXPOSE") == str(Settings.model_fields["port"].default)


def test_image__sets_no_variable_that_is_no_setting():
    known = {f"PREDICTKPI_{name.upper()}" for name in Settings.model_fields}
    assert set(re.findall(r"PREDICTKPI_\w+", instruction("ENV"))) <= known


def test_image__takes_what_the_ignore_file_lets_through():
    lines = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    let_through = {line[1:] for line in lines if line.startswith("!")}
    copied = {word for name, rest in INSTRUCTIONS if name == "COPY" and "--from" not in rest for word in rest.split()[:-1]}
    assert copied == let_through
    assert all((ROOT / name).exists() for name in copied)
    assert lines[1] == "*"


def test_requirements__of_the_image_are_those_the_tests_run_with():
    def pins(name: str) -> dict[str, set[str]]:
        text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
        blocks = re.split(r"\n(?=\S)", text.strip())
        return {re.match(r"([\w.-]+)==(\S+)", block)[0]: set(re.findall(r"sha256:\w+", block)) for block in blocks}

    image, tested, base = pins("image.txt"), pins("dev.txt"), pins("base.txt")
    assert image.items() <= tested.items()
    assert base.keys() < image.keys()
    names = {pin.split("==")[0] for pin in image}
    assert {"psycopg", "psycopg-binary", "simple-salesforce"} <= names
    assert not names & {"pytest", "playwright", "optuna"}
    assert list(pins("build.txt")) == [pin for pin in pins("bench.txt") if pin.startswith("setuptools==")]


# compose


def test_compose__takes_the_tracking_server_from_its_own_file():
    (included,) = COMPOSE["include"]
    tracking = yaml.safe_load((DEPLOY / included).read_text(encoding="utf-8"))
    assert not set(tracking["services"]) & set(COMPOSE["services"])
    assert not set(tracking["volumes"]) & set(COMPOSE["volumes"])
    needed = {name for service in OURS.values() for name in service["depends_on"]}
    assert needed <= set(tracking["services"]) | set(COMPOSE["services"])
    port = re.search(r"http://mlflow:(\d+)", COMPOSE_TEXT)[1]
    assert f"--port={port}" in tracking["services"]["mlflow"]["command"]


def test_compose__holds_no_password_and_says_what_is_missing():
    secrets = {value for service in COMPOSE["services"].values() for name, value in service["environment"].items() if "PASSWORD" in name}
    assert all(re.fullmatch(r"\$\{STORE_POSTGRES_PASSWORD:\?.+\}", value) for value in secrets)
    assert secrets
    assert "${PREDICTKPI_" not in COMPOSE_TEXT  # such a variable that is no setting would be an error of every command in that shell
    assert not re.search(r"://[^/@\s]*:[^/@\s]*@", COMPOSE_TEXT)


@pytest.mark.parametrize("name", OURS)
def test_compose__runs_commands_that_there_are_on_a_file_system_that_is_read_only(name):
    service = OURS[name]
    assert parsed(service["command"])
    assert service["image"] == f"predictkpi:{VERSION}"
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert all(condition == {"condition": "service_healthy"} for condition in service["depends_on"].values())
    assert ("profiles" in service) == (name != "service")
    assert {volume.split(":")[0] for volume in service["volumes"] if not volume.startswith("$")} <= set(COMPOSE["volumes"])
    dockerfile = (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).resolve()
    assert dockerfile == DEPLOY / "Dockerfile"


def test_compose__is_reached_from_this_machine_alone_by_default():
    assert [port.split(":")[0] for port in COMPOSE["services"]["service"]["ports"]] == ["${SERVICE_BIND"]
    assert "${SERVICE_BIND:-127.0.0.1}:" in COMPOSE["services"]["service"]["ports"][0]
    assert [name for name, service in COMPOSE["services"].items() if "ports" in service] == ["service"]


# Kubernetes


def test_kubernetes__applies_every_manifest_but_the_example_of_a_secret():
    (kustomization,) = [found for found in MANIFESTS if found["kind"] == "Kustomization"]
    files = {path.name for path in (DEPLOY / "kubernetes").glob("*.yaml")}
    assert set(kustomization["resources"]) == files - {"kustomization.yaml", "secret.example.yaml"}
    assert [(image["name"], image["newTag"]) for image in kustomization["images"]] == [("predictkpi", VERSION)]


@pytest.mark.parametrize("name", CONTAINERS)
def test_kubernetes__containers_are_locked_up_named_by_version_and_run_commands_that_there_are(name):
    container = CONTAINERS[name]
    assert container["image"] == f"predictkpi:{VERSION}"
    assert parsed(container["args"])
    security = container["securityContext"]
    assert security["readOnlyRootFilesystem"] is True
    assert security["allowPrivilegeEscalation"] is False
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert "memory" in container["resources"]["limits"]
    assert "cpu" in container["resources"]["requests"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert {"tmp": "/tmp", "data": "/var/lib/predictkpi"}.items() <= mounts.items()
    sources = [next(iter(source.values()))["name"] for source in container["envFrom"]]
    assert sources == ["predictkpi", "predictkpi"]


@pytest.mark.parametrize("name", pods())
def test_kubernetes__pods_run_as_the_images_user_and_declare_what_they_mount(name):
    pod = pods()[name]
    uid = int(instruction("USER").split(":")[0])
    security = pod["securityContext"]
    assert (security["runAsNonRoot"], security["runAsUser"], security["runAsGroup"]) == (True, uid, uid)
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False  # PREDICTKPI_PORT and PREDICTKPI_SERVICE_HOST are no settings of ours
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    claims = {volume["persistentVolumeClaim"]["claimName"] for volume in volumes.values() if "persistentVolumeClaim" in volume}
    assert claims <= set(of_kind("PersistentVolumeClaim"))
    for container in [*pod.get("initContainers", []), *pod["containers"]]:
        assert {mount["name"] for mount in container["volumeMounts"]} <= set(volumes)


def test_kubernetes__service_is_found_by_its_labels_and_asked_for_its_health():
    (deployment,) = of_kind("Deployment").values()
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["replicas"] >= 2
    assert deployment["spec"]["selector"]["matchLabels"] == labels
    assert of_kind("Service")["predictkpi"]["spec"]["selector"] == labels
    assert of_kind("PodDisruptionBudget")["predictkpi"]["spec"]["selector"]["matchLabels"] == labels
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    paths = {kind: container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "readiness", "liveness")}
    assert paths == {"startup": "/health/live", "readiness": "/health/ready", "liveness": "/health/live"}
    assert container["ports"] == [{"name": "http", "containerPort": Settings.model_fields["port"].default}]


def test_kubernetes__jobs_do_not_run_twice_at_once_and_do_the_whole_night():
    jobs = of_kind("CronJob")
    assert all(job["spec"]["concurrencyPolicy"] == "Forbid" for job in jobs.values())
    called = {parsed(container["args"]) for name, container in CONTAINERS.items() if not name.startswith("predictkpi/")}
    assert called == {"sync", "score", "scoreboard", "monitor", "retrain", "retain"}


def test_kubernetes__secret_is_an_example_and_sets_what_are_settings():
    (secret,) = of_kind("Secret").values()
    assert "REPLACE-ME" in secret["stringData"]["PREDICTKPI_DATABASE_URL"]
    known = {f"PREDICTKPI_{name.upper()}" for name in Settings.model_fields} | {"MLFLOW_TRACKING_URI"}
    assert {*secret["stringData"], *of_kind("ConfigMap")["predictkpi"]["data"]} <= known


def test_parsed__refuses_what_is_no_command_or_option():
    for arguments in (["serv"], ["serve", "--hosts", "0.0.0.0"], shlex.split("retrain --now")):
        with pytest.raises(Exception, match=r"No such (command|option)"):
            parsed(arguments)
