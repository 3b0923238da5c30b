#!/bin/sh
# Replays the procedure of the white paper "Using IBM TotalStorage ESS FlashCopy
# with the VMware ESX 2.5 Server" with the binaries in bin/: two hosts, a task
# saved under a name, and a copy that is taken while the source goes on.
# KEEP=1 leaves the server running.
set -eu

cd "$(dirname "$0")/../.."
PATH=$PWD/bin:$PATH
work=$(mktemp -d)
server=

finish() {
	status=$?
	trap - EXIT INT TERM
	if [ -n "$server" ] && kill -TERM "$server" 2>/dev/null; then
		wait "$server" || true
	fi
	if [ $status -ne 0 ] && [ -f "$work/log" ]; then
		echo "demo: it ended with $status; the server said:" >&2
		tail -n 20 "$work/log" >&2
	fi
	rm -rf "$work"
	exit $status
}
trap finish EXIT
trap 'exit 130' INT TERM

say() { printf '\n# %s\n' "$*"; }
run() {
	printf '$'
	for word; do
		case $word in
		*' '*) printf " '%s'" "$word" ;;
		*) printf ' %s' "$word" ;;
		esac
	done
	echo
	"$@"
}
sum256() { sha256sum <"$1" | cut -d " " -f 1; }
field() { sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" "$work/ready"; }

say "A Copy Services server with an empty embedded array"
printf '$ copyserver --state STATE --array-serial 13698 --listen 127.0.0.1:0 --nbd-listen 127.0.0.1:0 &\n'
copyserver --state "$work/state" --array-serial 13698 --listen 127.0.0.1:0 \
	--nbd-listen 127.0.0.1:0 --ready-file "$work/ready" 2>"$work/log" &
server=$!
tries=0
until [ -s "$work/ready" ]; do
	tries=$((tries + 1))
	if [ $tries -gt 100 ] || ! kill -0 "$server" 2>/dev/null; then
		echo "demo: the server did not start" >&2
		exit 1
	fi
	sleep 0.1
done
RSCLI_SERVER=$(field address)
RSCLI_USER=superuser
RSCLI_PASSWORD_FILE=$work/password
RSCLI_CONFIG=$work/rscli.yaml
(umask 077 && echo passw0rd >"$RSCLI_PASSWORD_FILE" && : >"$RSCLI_CONFIG")
export RSCLI_SERVER RSCLI_USER RSCLI_PASSWORD_FILE RSCLI_CONFIG
run rsTestConnection

say "Four volumes"
run esscli create volume --size 64MiB --count 4 --first 203 --label "VMware guests"

say "A file system on the source, volume 20313698"
image=$work/image
if command -v mke2fs >/dev/null; then
	truncate -s 64M "$image"
	run mke2fs -q -t ext4 -d testscripts "$image"
else
	run tar -cf "$image" --exclude=./bin --exclude=./.git .
	size=$(wc -c <"$image")
	if [ "$size" -gt 67108864 ]; then
		echo "demo: the archive of this folder does not fit into the volume" >&2
		exit 1
	fi
	truncate -s 64M "$image"
fi
run esscli import volume 20313698 "$image"

say "What the first guest sees, and the priming from both guests"
run rsList2105s --sysroot testscripts/hosts/rich-w2k-os-1
run rsPrimeServer --sysroot testscripts/hosts/rich-w2k-os-1
run rsPrimeServer --sysroot testscripts/hosts/RICH-W2K-OS-2
run esscli list host

say "The task, saved under its name, naming host and device"
run esscli create task VMWare_W2K_FC --type establish --persist \
	--source rich-w2k-os-1:/dev/sdb --target RICH-W2K-OS-2:/dev/sdb
run esscli show task VMWare_W2K_FC

say "The guest's backup script runs it"
before=$(sum256 "$image")
run rsExecuteTask --wait VMWare_W2K_FC

say "The source goes on changing"
head -c 8388608 /dev/urandom >"$work/changed"
run esscli import volume 20313698 "$work/changed"

say "The target is still what the source was"
run esscli export volume 20413698 "$work/copy"
after=$(sum256 "$work/copy")
run esscli export volume 20313698 "$work/source"
changed=$(sum256 "$work/source")
printf 'source before the change  %s\nsource after the change   %s\ntarget                    %s\n' \
	"$before" "$changed" "$after"
if [ "$before" != "$after" ] || [ "$before" = "$changed" ]; then
	echo "demo: the target is not what the source was" >&2
	exit 1
fi

say "The relationship, and the runs"
run rsFlashCopyQuery
run rsQuery 20413698
run rsQueryComplete VMWare_W2K_FC
run esscli list run

if [ "${KEEP:-}" = 1 ]; then
	say "The server goes on running, as process $server, on $RSCLI_SERVER; its state is in $work"
	cat <<EOF
Reach it with:
  export PATH=$PWD/bin:\$PATH RSCLI_SERVER=$RSCLI_SERVER RSCLI_USER=superuser
  export RSCLI_PASSWORD_FILE=$RSCLI_PASSWORD_FILE RSCLI_CONFIG=$RSCLI_CONFIG
  esscli list volume
  nbdinfo nbd://$(field nbd_address)/20413698
End it with:
  kill $server && rm -r $work
EOF
	trap - EXIT INT TERM
	exit 0
fi

say "Cleaning up"
run esscli delete relationship 20313698:20413698
run esscli delete task VMWare_W2K_FC
run esscli delete volume 20313698 20413698 20513698 20613698
kill -TERM "$server"
wait "$server"
server=
run copyserver check --state "$work/state"
say "Done"
