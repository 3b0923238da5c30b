#!/bin/sh
# dbload start DATABASE: inserts numbered rows in the background, each a
# transaction of its own that is on the disk before the next begins.
# dbload rows DATABASE: the number of the last row that readers see; fails where the
# load has ended.
# dbload stop: ends the load, and tells how it ended.
set -u

# Opening and closing a database locks it for a moment.
sqlite() { sqlite3 -bail -cmd '.timeout 20000' "$@"; }

insert() {
	rm -f /run/dbload.stop
	pad=$(head -c 400 /dev/urandom | od -An -v -tx1 | tr -d ' \n')
	n=$(sqlite "$1" 'SELECT coalesce(max(n), 0) FROM log') || return 1
	{
		# A small log is copied into the database every second or so.
		echo 'PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 100;'
		# The pipe holds 64 KiB: long statements keep this from running far ahead.
		until [ -e /run/dbload.stop ]; do
			n=$((n + 1))
			echo "INSERT INTO log VALUES ($n, '$n $pad');"
		done
	} | sqlite "$1"
}

case $1 in
start)
	rm -f /run/dbload.status
	sqlite "$2" 'PRAGMA journal_mode = WAL' \
		'CREATE TABLE IF NOT EXISTS log (n INTEGER PRIMARY KEY, body TEXT NOT NULL)' || exit
	{
		insert "$2"
		echo $? >/run/dbload.status
	} >/run/dbload.out 2>&1 &
	;;
rows)
	if [ -s /run/dbload.status ]; then
		cat /run/dbload.out
		echo "dbload: the load has ended"
		exit 1
	fi
	sqlite "$2" 'SELECT coalesce(max(n), 0) FROM log'
	;;
stop)
	touch /run/dbload.stop
	until [ -s /run/dbload.status ]; do sleep 0.1; done
	cat /run/dbload.out
	exit "$(cat /run/dbload.status)"
	;;
esac
