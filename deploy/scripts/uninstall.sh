#!/bin/sh
# Remove what deploy/scripts/install.sh installed, as root. Configuration, images and ledger stay; `uninstall.sh --purge` takes the configuration,
# `uninstall.sh --purge --data` images, results, ledger and models too. Again: nothing happens.
set -eu

[ "$(id -u)" = 0 ] || { echo "uninstall.sh: run it as root" >&2; exit 1; }
[ "$(dpkg-query -W -f '${db:Status-Status}' mammo-edge 2> /dev/null)" != installed ] || { echo "uninstall.sh: the Debian package is installed: apt remove mammo-edge" >&2; exit 1; }
purge=no data=no
for word; do
  case $word in
  --purge) purge=yes ;;
  --data) data=yes ;;
  *) echo "uninstall.sh: found '$word', expected --purge or --data" >&2; exit 2 ;;
  esac
done
[ "$data$purge" != yesno ] || { echo "uninstall.sh: --data goes with --purge only" >&2; exit 2; }

if [ -d /run/systemd/system ]; then
  units=$(systemctl list-units --all --plain --no-legend 'mammo-edge.service' 'mammo-edge@*.service' 'mammo-edge-dicom.service' 'mammo-edge-page.service' 2> /dev/null | cut -d' ' -f1)
  # shellcheck disable=SC2086 # one word a unit
  [ -z "$units" ] || systemctl --quiet disable --now $units 2> /dev/null || true
fi
rm -f /etc/systemd/system/mammo-edge.service /etc/systemd/system/mammo-edge@.service /etc/systemd/system/mammo-edge-dicom.service /etc/systemd/system/mammo-edge-page.service /etc/sysusers.d/mammo-edge.conf \
  /etc/tmpfiles.d/mammo-edge.conf /etc/udev/rules.d/60-mammo-edge.rules /usr/local/bin/mammo-edge \
  /usr/local/share/man/man1/mammo-edge.1.gz /usr/local/share/bash-completion/completions/mammo-edge \
  /usr/local/share/zsh/site-functions/_mammo-edge
rm -rf /opt/mammo-edge
[ "$purge" = no ] || rm -rf /etc/mammo-edge /etc/systemd/system/mammo-edge.service.d /etc/systemd/system/mammo-edge@*.service.d /etc/systemd/system/mammo-edge-dicom.service.d /etc/systemd/system/mammo-edge-page.service.d
[ "$data" = no ] || rm -rf /srv/mammo-edge /var/lib/mammo-edge
[ ! -d /run/systemd/system ] || systemctl daemon-reload
for left in /etc/mammo-edge /srv/mammo-edge /var/lib/mammo-edge; do
  [ ! -d "$left" ] || echo "stays: $left"
done
