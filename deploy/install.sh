#!/bin/sh
# Install on a system without dpkg, or from a checkout: deploy/install.sh, as root. Again: an upgrade. Needs Python 3.11 or later with venv, systemd, and
# the package index, or a folder of wheels: PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels deploy/install.sh
set -eu
umask 022
cd "$(dirname "$0")/.."

fail() { echo "install.sh: $*" >&2; exit 1; }
[ "$(id -u)" = 0 ] || fail "run it as root"
command -v systemctl > /dev/null || fail "no systemd here"
[ "$(dpkg-query -W -f '${db:Status-Status}' mammo-edge 2> /dev/null)" != installed ] || fail "the Debian package is installed: apt remove mammo-edge first, or upgrade that"
python=${PYTHON:-python3}
"$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' || fail "$python is not Python 3.11 or later with venv"

home=/opt/mammo-edge
[ -d "$home/venv" ] || "$python" -m venv "$home/venv"
running=$(systemctl list-units --plain --no-legend --state=active,activating,reloading 'mammo-edge.service' 'mammo-edge@*.service' 2> /dev/null | cut -d' ' -f1)
# shellcheck disable=SC2086 # one word a unit
[ -z "$running" ] || systemctl stop $running
# shellcheck disable=SC2086
trap '[ -z "$running" ] || systemctl start $running' EXIT # also where the index does not answer: pip then has changed nothing
"$home/venv/bin/python" -m pip --disable-pip-version-check --quiet install --require-hashes -r requirements/litert.txt
"$home/venv/bin/python" -m pip --disable-pip-version-check --quiet install --no-deps --force-reinstall .
ln -sf "$home/venv/bin/mammo-edge" /usr/local/bin/mammo-edge

install -D -m 644 -t /etc/systemd/system systemd/mammo-edge.service systemd/mammo-edge@.service
install -D -m 644 -t /etc/sysusers.d systemd/sysusers.d/mammo-edge.conf
install -D -m 644 -t /etc/tmpfiles.d systemd/tmpfiles.d/mammo-edge.conf
install -D -m 644 -t /etc/udev/rules.d systemd/udev/60-mammo-edge.rules
systemd-sysusers mammo-edge.conf
systemd-tmpfiles --create mammo-edge.conf
[ -e /etc/mammo-edge/edge.toml ] || install -m 640 -g mammo-edge deploy/edge.toml /etc/mammo-edge/edge.toml

if [ -d /run/systemd/system ]; then
  systemctl daemon-reload
  udevadm control --reload 2> /dev/null || true
  udevadm trigger --action=change --subsystem-match=usb --subsystem-match=apex 2> /dev/null || true # an accelerator that is plugged in already
fi
echo 'installed: next "mammo-edge setup", then "systemctl enable --now mammo-edge"'
