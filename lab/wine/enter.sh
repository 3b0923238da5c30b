#!/bin/sh
# enter.sh DIR PROGRAM ARG...: runs a program in the folder that setup.sh made, with
# processes of its own, which end with it. Of the environment WINEPATH goes along,
# which Wine puts before PATH.
exec unshare --mount --uts --pid --fork --kill-child sh -c '
	mount -t proc proc "$0/proc" && mount -t tmpfs tmp "$0/tmp" &&
		hostname rich-w2k-os-1 || exit 125
	exec chroot "$0" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
		XDG_RUNTIME_DIR=/tmp WINEDEBUG=-all "WINEDLLOVERRIDES=mscoree=;mshtml=" \
		"WINEPATH=${WINEPATH:-}" "$@"
' "$@"
