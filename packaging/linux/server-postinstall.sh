#!/bin/sh
# Runs after copyservices-server was unpacked, for the first time or over an
# earlier version: "configure VERSION-BEFORE" from dpkg, the number of versions
# that are installed from rpm. Starts nothing.
set -e

# The unit names both, and an administrator may have made either already.
if ! getent group copyserver >/dev/null; then
	groupadd --system copyserver
fi
if ! getent passwd copyserver >/dev/null; then
	shell=/usr/sbin/nologin
	[ -x "$shell" ] || shell=/sbin/nologin
	useradd --system --gid copyserver --no-create-home --home-dir /var/lib/copyserver \
		--comment "Copy Services server" --shell "$shell" copyserver
fi

if [ -d /run/systemd/system ]; then
	systemctl daemon-reload || true
	if systemctl --quiet is-active copyserver.service; then
		echo "copyservices-server: the version before goes on serving;" \
			"when it suits: systemctl restart copyserver"
		exit 0
	fi
fi
case $1:$2 in
configure: | 1:)
	echo "copyservices-server: nothing was started;" \
		"look at /etc/copyserver.yaml, then: systemctl enable --now copyserver"
	;;
esac
