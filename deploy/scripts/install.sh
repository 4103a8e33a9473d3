#!/bin/sh
# Install on a system without dpkg, or from a checkout: deploy/scripts/install.sh, as root. Again: an upgrade. Needs Python 3.11 or later with venv, systemd, and
# the package index, or a folder of wheels: PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels deploy/scripts/install.sh. FAST=1 brings the extra `fast`,
# DICOM=1 the extra `dicom` and its service, PAGE=1 the extra `page` and its service; once there they stay.
set -eu
umask 022
cd "$(dirname "$0")/../.."

fail() { echo "install.sh: $*" >&2; exit 1; }
[ "$(id -u)" = 0 ] || fail "run it as root"
command -v systemctl > /dev/null || fail "no systemd here"
[ "$(dpkg-query -W -f '${db:Status-Status}' mammo-edge 2> /dev/null)" != installed ] || fail "the Debian package is installed: apt remove mammo-edge first, or upgrade that"
python=${PYTHON:-python3}
"$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' || fail "$python is not Python 3.11 or later with venv"

# A new environment beside the old one, which serves until the new one is whole: whatever interrupts this, the old one is as it was.
home=/opt/mammo-edge
venv=$home/venv
lock=requirements/litert.txt
if [ "${FAST:-0}" != 0 ] || ls -d "$venv"*/lib/python*/site-packages/imagecodecs > /dev/null 2>&1; then lock=requirements/litert-fast.txt; fi
dicom=
if [ "${DICOM:-0}" != 0 ] || ls -d "$venv"*/lib/python*/site-packages/pynetdicom > /dev/null 2>&1; then dicom="-r requirements/dicom.txt"; fi
page=
if [ "${PAGE:-0}" != 0 ] || ls -d "$venv"*/lib/python*/site-packages/starlette > /dev/null 2>&1; then page="-r requirements/page.txt"; fi
rm -rf "$venv.new" "$venv.old"
"$python" -m venv "$venv.new"
# shellcheck disable=SC2086 # two words each, or none
"$venv.new/bin/python" -m pip --disable-pip-version-check --quiet install --no-compile --require-hashes -r "$lock" $dicom $page
"$venv.new/bin/python" -m pip --disable-pip-version-check --quiet install --no-compile --no-deps .
grep -lIF "$venv.new" "$venv.new"/bin/* | xargs sed -i "s|$venv\.new|$venv|" # scripts name their interpreter by its path

running=$(systemctl list-units --plain --no-legend --state=active,activating,reloading 'mammo-edge.service' 'mammo-edge@*.service' 'mammo-edge-dicom.service' 'mammo-edge-page.service' 2> /dev/null | cut -d' ' -f1)
# shellcheck disable=SC2086 # one word a unit
trap '[ -z "$running" ] || systemctl start $running' EXIT
trap 'exit 1' HUP INT TERM # without it dash would leave out the line above
# shellcheck disable=SC2086
[ -z "$running" ] || systemctl stop $running
[ ! -e "$venv" ] || mv "$venv" "$venv.old"
mv "$venv.new" "$venv"
rm -rf "$venv.old"
"$venv/bin/python" -m compileall -q "$venv/lib" > /dev/null || true # the service may not write there
ln -sf "$venv/bin/mammo-edge" /usr/local/bin/mammo-edge
"$venv/bin/python" -B -c 'from deploy.debian.documents import for_people; for_people("/usr/local/share")'

install -D -m 644 -t /etc/systemd/system systemd/mammo-edge.service systemd/mammo-edge@.service
[ -z "$dicom" ] || install -D -m 644 -t /etc/systemd/system systemd/mammo-edge-dicom.service
[ -z "$page" ] || install -D -m 644 -t /etc/systemd/system systemd/mammo-edge-page.service
install -D -m 644 -t /etc/sysusers.d systemd/sysusers.d/mammo-edge.conf
install -D -m 644 -t /etc/tmpfiles.d systemd/tmpfiles.d/mammo-edge.conf
install -D -m 644 -t /etc/udev/rules.d systemd/udev/60-mammo-edge.rules
systemd-sysusers mammo-edge.conf
systemd-tmpfiles --create mammo-edge.conf
[ -e /etc/mammo-edge/edge.toml ] || install -m 640 -g mammo-edge deploy/edge.toml /etc/mammo-edge/edge.toml
# `setup` was here before the daemon's user and groups were, in an image say: what it wrote for them is root's.
find /etc/mammo-edge -maxdepth 1 -type f -user root -gid 0 -perm 640 -exec chgrp -h mammo-edge {} +
if [ -d /srv/mammo-edge ]; then
  find /srv/mammo-edge -mindepth 2 -maxdepth 2 -type d -user root -gid 0 \( -perm 3770 -exec chown -h mammo-edge:mammo-inbox {} + -o -perm 750 -exec chown -h mammo-edge:mammo-edge {} + \)
fi

if [ -d /run/systemd/system ]; then
  systemctl daemon-reload
  udevadm control --reload 2> /dev/null || true
  udevadm trigger --action=change --subsystem-match=usb --subsystem-match=apex 2> /dev/null || true # an accelerator that is plugged in already
fi
echo 'installed: next "mammo-edge setup", then "systemctl enable --now mammo-edge"'
