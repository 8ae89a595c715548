"""Owns the other side: Apache prefork with mod_php, configured as lean and as equal as can be.

It runs the same code with the same php.ini files as the image's pool, which it sees at the same
paths; the modules are the five that the page needs.
"""

from __future__ import annotations

from dataclasses import dataclass

from web_debian import DEBIAN, WEB_UID, WEB_USER
from web_service import Service

from goldpress.rootfs.pools import BuiltPool

CONFIGURATION = "/kept/apache.conf"
MODULES = "/usr/lib/apache2/modules"


@dataclass(frozen=True, kw_only=True)
class Prefork:
    """How many children it has, all from the start, and whether connections are kept."""

    children: int
    keep_alive: bool = True


def configuration(prefork: Prefork, pool: BuiltPool, *, host: str, keep_seconds: int) -> str:
    """The whole configuration file.

    nginx closes a connection after 1,000 requests, as this does; and it logs every request.
    """
    children = prefork.children
    loaded = {
        "mpm_prefork_module": "mod_mpm_prefork.so",
        "authz_core_module": "mod_authz_core.so",
        "dir_module": "mod_dir.so",
        "mime_module": "mod_mime.so",
        "php_module": "libphp8.2.so",
    }
    modules = "".join(f"LoadModule {name} {MODULES}/{so}\n" for name, so in loaded.items())
    return f"""\
ServerRoot /run
ServerName {host}
PidFile /run/apache.pid
Listen 127.0.0.1:80
ListenBacklog 1024
User {WEB_USER}
Group {WEB_USER}
{modules}\
ServerLimit {children}
StartServers {children}
MinSpareServers 1
MaxSpareServers {children}
MaxRequestWorkers {children}
KeepAlive {"On" if prefork.keep_alive else "Off"}
KeepAliveTimeout {keep_seconds}
MaxKeepAliveRequests 1000
PHPIniDir /etc
TypesConfig /etc/mime.types
ServerTokens Prod
ErrorLog /kept/logs/apache-errors.log
LogFormat "%h %l %u %t \\"%r\\" %>s %b" common
CustomLog /kept/logs/apache-requests.log common
DocumentRoot {pool.public}
<Directory {pool.public}>
    Require all granted
    AllowOverride None
    DirectoryIndex index.php
    FallbackResource /index.php
    <FilesMatch \\.php$>
        SetHandler application/x-httpd-php
    </FilesMatch>
</Directory>
"""


def plan_apache(prefork: Prefork, pool: BuiltPool, settings: dict[str, str]) -> Service:
    """Apache as a service; `settings` is the environment that the image's pool would have."""
    states = ("", "/sessions", "/uploads", "/tmp")
    folders = " ".join(f"{DEBIAN}{pool.state}{name}" for name in states)
    line = (
        f"mount -t tmpfs tmpfs {DEBIAN}/var/lib &&"
        f" install -d -o {WEB_UID} -g {WEB_UID} -m 0700 {folders} &&"
        f" exec chroot {DEBIAN} /usr/sbin/apache2 -D FOREGROUND -f {CONFIGURATION}"
    )
    scan = f"/etc/php.d:/etc/goldpress/php/{pool.name}"
    return Service(
        name="apache",
        argv=("unshare", "--mount", "sh", "-e", "-c", line),
        env={**settings, "PHP_INI_SCAN_DIR": scan},
        processes=1 + prefork.children,
    )
