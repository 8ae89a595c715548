from __future__ import annotations

from pathlib import Path

import pytest

from goldpress.definition import Definition, load_definition
from goldpress.errors import DocumentError, MissingError

MINIMAL = """\
name: web
summary: a web server
distribution: centos-stream-9
arch: x86_64
packages: [nginx, bash]
disk: {esp_mib: 64, var_mib: 512}
verify: {suite: web, boot_seconds: 60}
"""

FULL = (
    MINIMAL.replace("packages: [nginx, bash]", "packages: [php-fpm, nginx]")
    + """\
exclude: [linux-firmware*]
modules:
  php: 8.20
  nodejs: 18
weak_dependencies: true
with: [epel-9]
services:
  enable: [sshd.service, nginx.service]
  mask: [sshd-keygen@.service]
parameters:
  workers: 8
  root: /srv
  debug: false
  ratio: 1.50
  answer: yes
selinux:
  booleans: {httpd_can_network_connect: false}
  disabled: [tftp, games]
kernel:
  command_line: [panic=30, "console=ttyS0,115200"]
  initrd: {add_drivers: [nvme], omit_modules: [plymouth], add_modules: [systemd]}
"""
).replace(
    "boot_seconds: 60",
    "boot_seconds: 60, listen: [{port: 22, protocol: tcp, address: '::1'}]",
)


def written(tmp_path: Path, text: str) -> Path:
    directory = tmp_path / "images" / "web"
    directory.mkdir(parents=True)
    (directory / "image.yaml").write_text(text)
    return directory


def fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> str:
    directory = written(tmp_path, text)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DocumentError) as caught:
        load_definition(directory)
    return str(caught.value)


def test_a_minimal_definition_has_quiet_defaults(tmp_path: Path) -> None:
    definition = load_definition(written(tmp_path, MINIMAL))
    assert definition.packages == ("bash", "nginx")
    assert definition.exclude == ()
    assert definition.modules == {}
    assert not definition.weak_dependencies
    assert definition.extra == ()
    assert definition.services.enable == ()
    assert definition.kernel.initrd.add_drivers == ()
    assert definition.verify.listen == ()


def test_every_key_is_read(tmp_path: Path) -> None:
    definition = load_definition(written(tmp_path, FULL))
    assert definition.modules == {"php": "8.20", "nodejs": "18"}
    assert definition.extra == ("epel-9",)
    assert definition.services.enable == ("nginx.service", "sshd.service")
    assert definition.services.mask == ("sshd-keygen@.service",)
    assert definition.selinux.booleans == {"httpd_can_network_connect": False}
    assert definition.selinux.disabled == ("games", "tftp")
    assert definition.kernel.command_line == ("panic=30", "console=ttyS0,115200")
    assert definition.kernel.initrd.omit_modules == ("plymouth",)
    assert definition.disk.var_mib == 512
    assert definition.verify.listen[0].address == "::1"


def test_only_true_false_and_whole_numbers_are_not_text(tmp_path: Path) -> None:
    parameters = load_definition(written(tmp_path, FULL)).parameters
    assert parameters == {
        "workers": 8,
        "root": "/srv",
        "debug": False,
        "ratio": "1.50",
        "answer": "yes",
    }
    assert type(parameters["debug"]) is bool


def test_places_follow_from_the_folder(tmp_path: Path) -> None:
    directory = written(tmp_path, MINIMAL)
    (directory / "selinux").mkdir()
    for name in ("b.cil", "a.cil", "notes.md"):
        (directory / "selinux" / name).touch()
    definition = load_definition(directory)
    assert definition.files == directory / "files"
    assert [p.name for p in definition.selinux_modules] == ["a.cil", "b.cil"]
    assert definition.lock_path("sandbox") == directory / "locks" / "sandbox.x86_64.json"
    assert "directory" not in definition.model_dump()


def test_the_request_is_what_decides_the_packages(tmp_path: Path) -> None:
    assert load_definition(written(tmp_path, FULL)).request() == {
        "arch": "x86_64",
        "exclude": ["linux-firmware*"],
        "modules": {"nodejs": "18", "php": "8.20"},
        "packages": ["nginx", "php-fpm"],
        "weak_dependencies": True,
        "with": ["epel-9"],
    }


def test_a_definition_does_not_change(tmp_path: Path) -> None:
    definition = load_definition(written(tmp_path, MINIMAL))
    with pytest.raises(ValueError, match="frozen"):
        definition.name = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("nginx, bash", "nginx, 3", "packages[1]: expected a valid string, not 3"),
        ("nginx, bash", "a, b, c, 'd e'", "packages[3]: 'd e' is not a package name "),
        ("nginx, bash", "nginx, nginx", "packages: 'nginx' is listed twice"),
        ("[nginx, bash]", "[]", "packages: at least one is needed"),
        ("[nginx, bash]", "nginx", "packages: expected a valid array, not 'nginx'"),
        ("summary:", "sumary:", "sumary: unknown key; nearest: summary"),
        ("summary:", "directory:", "directory: unknown key"),
        ("summary: a web server\n", "", "summary: this key is required"),
        ("name: web", "name: db", "name: is 'db', but the folder is 'web'"),
        ("x86_64", "riscv64", "arch: expected 'x86_64' or 'aarch64', not 'riscv64'"),
        ("esp_mib: 64", "esp_mb: 64", "disk.esp_mb: unknown key; nearest: esp_mib"),
        ("esp_mib: 64", "esp_mib: '64'", "disk.esp_mib: expected a valid integer, not '64'"),
        ("esp_mib: 64", "esp_mib: 6", "disk.esp_mib: expected greater than or equal to 32, not 6"),
        ("seconds: 60", "seconds: 60, listen: [{port: 22}]", "verify.listen[0].protocol: this key"),
        (
            "seconds: 60",
            "seconds: 60, listen: [{port: 22, protocol: tcp, adress: x}]",
            "verify.listen[0].adress: unknown key; nearest: address",
        ),
    ],
)
def test_a_fault_is_named_with_its_composed_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, message: str
) -> None:
    assert old in MINIMAL
    said = fault(tmp_path, monkeypatch, MINIMAL.replace(old, new))
    assert f"images/web/image.yaml: {message}" in said


@pytest.mark.parametrize(
    ("added", "message"),
    [
        ("weak_dependencies: yes", "weak_dependencies: expected a valid boolean, not 'yes'"),
        ("kernel: {comand_line: []}", "kernel.comand_line: unknown key; nearest: command_line"),
        ("kernel: {command_line: ['a b']}", "kernel.command_line[0]: 'a b' is not one word"),
        (
            "kernel: {initrd: {add_driver: []}}",
            "kernel.initrd.add_driver: unknown key; nearest: add_drivers",
        ),
        ("services: {enable: [nginx]}", "services.enable[0]: 'nginx' is not a unit name"),
        (
            "services: {enable: [a.service], mask: [a.service]}",
            "services: 'a.service' is in more than one of enable, disable and mask",
        ),
        ("exclude: [nginx]", "exclude: 'nginx' is asked for in `packages`"),
        ("wiht: [epel-9]", "wiht: unknown key; nearest: with"),
        ("extra: [epel-9]", "extra: unknown key"),
        ("with: [epel-9, epel-9]", "with: 'epel-9' is listed twice"),
        ("with: [centos-stream-9]", "with: 'centos-stream-9' is the image's distribution already"),
        ("parameters: {a: [1]}", "parameters.a: expected text, a whole number, or true or false"),
        ("parameters: {a: null}", "parameters.a: expected text, a whole number, or true or false"),
        ("parameters:", "parameters: expected an object, not None"),
        ("modules: {php: true}", "modules.php: expected a valid string, not True"),
        (
            "selinux: {booleans: {a: 1}}",
            "selinux.booleans.a: expected a valid boolean, not 1",
        ),
        ("name: web", "line 8: the key `name` is there twice"),
        ("parameters: &x {a: 1}\nmodules: *x", "line 8: anchors are not allowed"),
        ("modules: *x", "line 8: aliases are not allowed"),
        ("parameters: !!python/name:os.system x", "line 8: tags are not allowed"),
        ("a: [", "line 9: expected the node content"),
        ("? [a]\n: b", "line 8: a key is text"),
    ],
)
def test_a_fault_in_an_optional_part_is_named_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, added: str, message: str
) -> None:
    said = fault(tmp_path, monkeypatch, f"{MINIMAL}{added}\n")
    assert f"images/web/image.yaml: {message}" in said


def test_all_faults_are_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = MINIMAL.replace("name: web", "nam: web").replace("esp_mib: 64, ", "")
    assert fault(tmp_path, monkeypatch, text).splitlines() == [
        "images/web/image.yaml: name: this key is required",
        "images/web/image.yaml: disk.esp_mib: this key is required",
        "images/web/image.yaml: nam: unknown key; nearest: name",
    ]


@pytest.mark.parametrize("text", ["", "- a\n", "text\n"])
def test_a_document_is_a_mapping(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    said = fault(tmp_path, monkeypatch, text)
    assert said == "images/web/image.yaml: expected a mapping of keys at the top"


def test_a_missing_file_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MissingError, match=r"^images/web/image\.yaml: there is no such file"):
        load_definition(tmp_path / "images" / "web")


def test_the_committed_web_image_can_be_read() -> None:
    definition = load_definition(Path(__file__).parents[1] / "images" / "web")
    assert isinstance(definition, Definition)
    assert "nginx" in definition.packages
