#!/bin/sh
# Runs before copyservices-server is removed ("remove" from dpkg, 0 from rpm) or
# replaced, when the server goes on.
set -e

case $1 in
remove | 0)
	if [ -d /run/systemd/system ]; then
		systemctl --no-reload disable --now copyserver.service || true
	fi
	;;
esac
