"""The user data's known keys become files for nginx and the pools; anything else does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from pressing import PROJECT

from goldpress.host.run import run

SCRIPT = PROJECT / "images/web/files/usr/libexec/goldpress/settings"


def settings(tmp_path: Path, user_data: str) -> tuple[str, dict[str, str]]:
    """What the script says, and the files that it leaves, below /run/goldpress."""
    place = tmp_path / "run"
    for folder in ("nginx", "pools"):
        (place / folder).mkdir(parents=True)
    (place / "user-data.env").write_text(user_data)
    known = tmp_path / "settings.conf"
    known.write_text("app DB_HOST DB_NAME\nstatus\n")
    text = SCRIPT.read_text().replace("/usr/lib/goldpress/settings.conf", str(known))
    done = run(("bash", "-s"), stdin=text.replace("/run/goldpress", str(place)).encode())
    files = {
        str(path.relative_to(place)): path.read_text()
        for path in place.rglob("*")
        if path.is_file() and path.name != "user-data.env"
    }
    return done.text, files


def test_known_keys_become_files(tmp_path: Path) -> None:
    said, files = settings(
        tmp_path,
        "REAL_IP_FROM=10.0.0.0/16, 2001:db8::/32\n"
        "HOSTS_APP=www.example.com *.example.com\n"
        "DB_HOST=db.internal\nDB_NAME=shop\n",
    )
    assert said == ""
    assert files == {
        "nginx/real-ip.conf": "set_real_ip_from 10.0.0.0/16;\nset_real_ip_from 2001:db8::/32;\n",
        "nginx/app.hosts.conf": "server_name www.example.com *.example.com;\n",
        "pools/app.env": 'DB_HOST="db.internal"\nDB_NAME="shop"\n',
        "pools/status.env": "",
    }
    assert (tmp_path / "run/pools/app.env").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "run/nginx/app.hosts.conf").stat().st_mode & 0o777 == 0o644


def test_where_secrets_are_is_known_and_left_to_who_fetches_them(tmp_path: Path) -> None:
    said, files = settings(tmp_path, "SECRETS_PATH=/web/prod\nSECRETS_SERVICE=ssm\n")
    assert said == ""
    assert set(files.values()) == {""}


TRUST = "/etc/pki/tls/certs/ca-bundle.crt"


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://logs.example.com:443", "https://logs.example.com:443"),
        (
            "https://logs.example.com:443/insert/journald/",
            "https://logs.example.com:443/insert/journald",
        ),
        ("https://10.0.0.5:19532", "https://10.0.0.5:19532"),
        ("http://169.254.0.19:80", "http://169.254.0.19:80"),
    ],
)
def test_a_log_host_is_for_who_sends_the_logs(tmp_path: Path, url: str, kept: str) -> None:
    said, files = settings(tmp_path, f"LOG_URL={url}\n")
    assert said == ""
    assert files["logs.env"] == f'LOG_URL="{kept}"\nLOG_TRUST="{TRUST}"\n'


@pytest.mark.parametrize(
    "url",
    [
        "http://logs.example.com:80",
        "http://10.0.0.5:80",
        "http://169.254.169.254:80",
        "http://169.254.0.19.example.com:80",
        "https://logs.example.com",
        "https://logs.example.com:22",
        "https://logs.example.com:443 --trust",
        "https://user:word@logs.example.com:443",
        "logs.example.com:443",
    ],
)
def test_logs_never_go_in_plain_nor_to_another_port(tmp_path: Path, url: str) -> None:
    said, files = settings(tmp_path, f"LOG_URL={url}\n")
    assert said.strip() == f"goldpress-settings: LOG_URL is left out: {url} is not of its form"
    assert "logs.env" not in files


def test_no_user_data_is_no_file(tmp_path: Path) -> None:
    assert settings(tmp_path, "") == ("", {})


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("REAL_IP_FROM=10.0.0.0/8 all", "REAL_IP_FROM is left out: all is not of its form"),
        ("HOSTS_APP=www.example.com /etc", "HOSTS_APP is left out: /etc is not of its form"),
        ("HOSTS_APP=*", "HOSTS_APP is left out: * is not of its form"),
        ("HOSTS_SHOP=a.example.com", "HOSTS_SHOP is not a key that this image knows"),
        ("PATH=/tmp", "PATH is not a key that this image knows"),
    ],
)
def test_what_is_not_of_its_form_is_named_and_left_out(
    tmp_path: Path, line: str, said: str
) -> None:
    found, files = settings(tmp_path, f"{line}\n")
    assert found.strip() == f"goldpress-settings: {said}"
    assert set(files) == {"pools/app.env", "pools/status.env"}
    assert set(files.values()) == {""}
