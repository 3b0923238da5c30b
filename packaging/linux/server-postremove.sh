#!/bin/sh
# Runs after copyservices-server was removed, purged or replaced. The state folder
# holds volumes: no package manager deletes it, whatever it is told. Its owner
# stays too, so that no other account can inherit the files.
set -e

if [ -d /run/systemd/system ]; then
	systemctl daemon-reload || true
fi
case $1 in
remove | purge | 0)
	if [ -d /var/lib/copyserver ]; then
		echo "copyservices-server: the volumes and tasks in /var/lib/copyserver are kept," \
			"and the user copyserver; delete them by hand if nobody needs them"
	fi
	;;
esac
