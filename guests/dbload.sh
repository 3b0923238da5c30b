#!/bin/sh
# dbload start DATABASE: inserts numbered rows in the background, each a
# transaction of its own that is on the disk before the next begins.
# dbload stop: ends that, and tells how it ended.
set -u

insert() {
	rm -f /run/dbload.stop
	pad=$(head -c 400 /dev/urandom | od -An -v -tx1 | tr -d ' \n')
	n=$(sqlite3 "$1" 'SELECT coalesce(max(n), 0) FROM log') || return 1
	{
		# A small log is copied into the database every second or so.
		echo 'PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 100;'
		# The pipe holds 64 KiB: long statements keep this from running far ahead.
		until [ -e /run/dbload.stop ]; do
			n=$((n + 1))
			echo "INSERT INTO log VALUES ($n, '$n $pad');"
		done
	} | sqlite3 -bail "$1"
}

case $1 in
start)
	rm -f /run/dbload.status
	sqlite3 "$2" 'PRAGMA journal_mode = WAL' \
		'CREATE TABLE IF NOT EXISTS log (n INTEGER PRIMARY KEY, body TEXT NOT NULL)' || exit
	{
		insert "$2"
		echo $? >/run/dbload.status
	} >/run/dbload.out 2>&1 &
	;;
stop)
	touch /run/dbload.stop
	until [ -s /run/dbload.status ]; do sleep 0.1; done
	cat /run/dbload.out
	exit "$(cat /run/dbload.status)"
	;;
esac
