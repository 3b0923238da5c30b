#!/bin/sh
# setup.sh DIR: makes a folder with Debian 13 and its Wine 10, if it is not there
# yet. Nothing is installed on this machine. It takes a minute, and 2 GB of disk.
set -eu

release=trixie
fail() {
	echo "lab/wine: error: $*" >&2
	exit 1
}

[ $# -eq 1 ] || fail "usage: setup.sh DIR"
dir=$1
if [ -e "$dir/wine-is-ready" ]; then
	exit 0
fi
[ "$(uname -sm)" = "Linux x86_64" ] || fail "Wine runs on Linux on x86-64 only"
[ "$(id -u)" = 0 ] || fail "a Debian folder of its own for Wine needs root (debootstrap, chroot)"
missing=
for program in debootstrap unshare chroot; do
	command -v $program >/dev/null || missing="$missing $program"
done
[ -z "$missing" ] || fail "missing:$missing (Debian: debootstrap, util-linux, coreutils)"

if [ -e "$dir" ] && [ ! -e "$dir/made-by-lab-wine" ]; then
	fail "$dir is there already, and not from here"
fi
rm -rf "$dir"
mkdir -p "$dir"
touch "$dir/made-by-lab-wine"
log=$dir.log
# A folder that is made again whenever it is not whole need not survive a power loss.
mkdir -p "$dir/etc/dpkg/dpkg.cfg.d"
cat >"$dir/etc/dpkg/dpkg.cfg.d/lab-wine" <<EOF
force-unsafe-io
path-exclude=/usr/share/doc/*
path-exclude=/usr/share/man/*
path-exclude=/usr/share/locale/*
EOF
echo "lab/wine: making Debian $release with Wine in $dir"
debootstrap --variant=minbase --include=wine64 "$release" "$dir" >"$log" 2>&1 ||
	fail "debootstrap failed: $(tail -n 5 "$log")"
rm -f "$dir"/var/cache/apt/archives/*.deb
"$(dirname "$0")/enter.sh" "$dir" sh -c \
	'/usr/lib/wine/wine64 wineboot -i && /usr/lib/wine/wineserver -w' >>"$log" 2>&1 ||
	fail "wineboot failed: $(tail -n 5 "$log")"
chmod -R a+rX "$dir" # for others, whose tools look into every folder of the tree
touch "$dir/wine-is-ready"
