#!/usr/bin/env bash
# Builds the packages in two folders and compares them; installs, upgrades and
# removes them in a root of their own, and looks at what is there and what stays.
# Needs root, apt's archives, and the tools below.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\n-- %s (%ss)\n' "$*" "$SECONDS"; }
fail() {
	printf 'packaging/test.sh: error: %s\n' "$*" >&2
	exit 1
}

missing=()
[ "$(id -u)" = 0 ] || missing+=("root")
for tool in mmdebstrap rpm mandoc unzip systemd-analyze zsh fish; do
	command -v "$tool" >/dev/null || missing+=("$tool")
done
[ -e /usr/share/bash-completion/bash_completion ] || missing+=("bash-completion")
if [ ${#missing[@]} -gt 0 ]; then
	echo "packaging/test.sh: packages are not tested, this is missing: ${missing[*]}" >&2
	[ "${CI:-}" != true ] || exit 1
	exit 0
fi

work=$(mktemp -d)
root=$work/root
server=
finish() {
	status=$?
	trap - EXIT INT TERM
	[ -z "$server" ] || kill -KILL "$server" 2>/dev/null || true
	rm -rf --one-file-system "$work"
	exit $status
}
trap finish EXIT
trap 'exit 130' INT TERM

processor=$(go env GOARCH)
export SOURCE_DATE_EPOCH=1700000000
packages=("linux/$processor/deb" "linux/$processor/rpm")
# Of the other formats a few commands are enough to see how they are packed.
archives=(freebsd/amd64/tar.gz windows/amd64/zip)
few="rsExecuteTask esscli"

say "versions that package managers order as we do"
earlier=
for text in v1.2.0-rc1 v1.2.0 v1.2.0-5-gabcdef v1.2.0-5-gabcdef-dirty v1.2.0-12-g012345 v1.2.1; do
	later=$(VERSION=$text packaging/build.sh version)
	if [ -n "$earlier" ]; then
		dpkg --compare-versions "$earlier" lt "$later" || fail "dpkg: $earlier is not before $later"
		[ "$(rpm --eval "%{lua:print(rpm.vercmp('$earlier','$later'))}")" = -1 ] ||
			fail "rpm: $earlier is not before $later"
	fi
	earlier=$later
done
case $(VERSION=abcdef0 packaging/build.sh version) in
0.0.0+20231114221320.abcdef0) ;;
*) fail "a commit without a tag has the version $(VERSION=abcdef0 packaging/build.sh version)" ;;
esac
if packaging/build.sh linux/vax/deb 2>"$work/refused"; then fail "a package for a VAX was built"; fi
grep -q "there is no package linux/vax/deb" "$work/refused"

say "a root to install in, while the packages are built"
# shellcheck source=/dev/null
. /etc/os-release
mmdebstrap --quiet --mode=root --variant=essential --include=man-db,passwd \
	"$VERSION_CODENAME" "$root" 2>"$work/root.log" &
making=$!

# The second folder is elsewhere, has another umask and knows nothing of git.
say "the same bytes from two folders"
mkdir -p "$work/elsewhere/deeper"
git ls-files -z --cached --others --exclude-standard |
	tar --null --files-from=- --ignore-failed-read -cf - | tar -C "$work/elsewhere/deeper" -xf -
VERSION=0.0.1 DIST=$work/old packaging/build.sh "${packages[@]}" >"$work/build.log"
COMMANDS=$few VERSION=0.0.1 DIST=$work/old/few packaging/build.sh "${archives[@]}" >"$work/few.log"
VERSION=0.0.2 DIST=$work/new packaging/build.sh "${packages[@]}" >"$work/new.log" &
upgrading=$!
(
	umask 077
	cd "$work/elsewhere/deeper"
	export TZ=Asia/Tokyo VERSION=0.0.1
	DIST=$work/again packaging/build.sh "${packages[@]}" >"$work/again.log"
	COMMANDS=$few DIST=$work/again/few packaging/build.sh "${archives[@]}" >"$work/few.log"
)
wait "$upgrading" || fail "the next version cannot be built: $(cat "$work/new.log")"
(cd "$work/old" && sha256sum --quiet --check SHA256SUMS)
(cd "$work/old/few" && sha256sum --quiet --check SHA256SUMS)
diff -r "$work/old" "$work/again" || fail "the packages of two folders differ"
[ "$(cat "$work"/old/SHA256SUMS "$work"/old/few/SHA256SUMS | wc -l)" = 6 ] ||
	fail "not 6 packages: $(ls -R "$work/old")"
wait "$making" || fail "there is no root: $(cat "$work/root.log")"

inside() { chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root "$@"; }
# says PATTERN COMMAND...: it succeeds and prints what matches.
says() {
	local pattern=$1 output
	shift
	output=$("$@" 2>&1) || fail "$* ended with $?: $output"
	grep -q -e "$pattern" <<<"$output" || fail "$* does not say \"$pattern\": $output"
}
ends() { # CODE COMMAND...
	local want=$1 code=0
	shift
	"$@" >"$work/output" 2>&1 || code=$?
	[ "$code" = "$want" ] || fail "$* ended with $code, not $want: $(cat "$work/output")"
}
commands=(rsList2105s rsPrimeServer rsExecuteTask rsQuery rsQueryComplete rsFlashCopyQuery
	rsTestConnection setdevice setuser esscli)

# look holds what both packages install, of the version $1.
look() {
	local c
	for c in "${commands[@]}"; do
		says "$1" inside "$c" --version
		says "$1" inside "$c.sh" --version
		says "EXIT STATUS" inside man "$c"
		[ "$(readlink "$root/usr/bin/$c.sh")" = "$c" ] || fail "$c.sh is no link beside $c"
	done
	says "$1" inside copyserver --version
	says "named tasks" inside man copyserver
	says "known_servers" inside man rscli-config
	says "/usr/sbin/nologin" inside getent passwd copyserver
	ends 3 inside rsQuery -s 127.0.0.1:1 -u nobody -p none 20313698
}

# complete holds that the shells complete with what is installed under the prefix
# $1, and in the folder $2 for zsh, where they look by themselves.
# shellcheck disable=SC2016 # those shells are to expand it
complete_with() {
	local c path=$work/path:$PATH
	mkdir -p "$work/path"
	for c in "${commands[@]}" copyserver; do ln -sf "$1/bin/$c" "$work/path/$c"; done
	for c in "${commands[@]}" copyserver; do
		says '^--version' env PATH="$path" HOME="$work" XDG_DATA_DIRS="$1/share" \
			fish -c 'complete -C "$argv[1] --v"' "$c"
		says '^--version' env PATH="$path" HOME="$work" XDG_DATA_DIRS="$1/share" \
			bash --norc -c '. /usr/share/bash-completion/bash_completion
				_completion_loader "$1"
				COMP_LINE="$1 --vers" COMP_POINT=30; _copyservices; printf "%s\n" "${COMPREPLY[@]}"' \
			bash "$c"
	done
	says '^_copyservices _copyservices$' env HOME="$work" zsh -f -c 'fpath=($1 $fpath)
		autoload -Uz compinit; compinit -u -D
		print $_comps[rsExecuteTask.sh] $_comps[esscli]' zsh "$2"
}

# state_sum is one number for all that the state folder holds.
state_sum() {
	(cd "$root/var/lib/copyserver" && find . -type f -print0 | sort -z | xargs -0 sha256sum) | sha256sum
}

say "installing the .deb"
cp "$work"/old/*.deb "$work"/new/*.deb "$root/root/"
install_deb() { inside sh -c "dpkg -i /root/copyservices-*_$1_*.deb"; }
# The group may be there before, as after a restore of /etc/group alone.
inside groupadd --system copyserver
says "nothing was started" install_deb 0.0.1
look 0.0.1
says copyserver inside id -gn copyserver
[ ! -e "$root/var/lib/copyserver" ] || fail "the state folder is there before the server was started"
inside dpkg --verify copyservices-client copyservices-server
complete_with "$root/usr" "$root/usr/share/zsh/vendor-completions"

say "the unit"
unit=$root/usr/lib/systemd/system/copyserver.service
# The units that it needs are those of this machine, the program is the installed one.
sed "s,/usr/bin/copyserver,$root&," "$unit" >"$work/copyserver.service"
complaints=$(systemd-analyze verify --man=no "$work/copyserver.service" 2>&1) ||
	fail "systemd-analyze verify: $complaints"
[ -z "$complaints" ] || fail "systemd-analyze verify: $complaints"
systemd-analyze security --offline=true --root="$root" --threshold=20 copyserver.service |
	tail -n 1
grep -qx 'StateDirectory=copyserver' "$unit"
grep -qx 'User=copyserver' "$unit"

# serve starts the server as the unit does, as its user, and waits for it.
serve() {
	install -d -m 700 -o "$(inside id -u copyserver)" -g "$(inside id -g copyserver)" \
		"$root/var/lib/copyserver" "$root/run/copyserver"
	chroot --userspec=copyserver:copyserver "$root" /usr/bin/copyserver \
		--state /var/lib/copyserver --config /etc/copyserver.yaml --listen 127.0.0.1:0 \
		--nbd-listen none --ready-file /run/copyserver/ready 2>"$work/server.log" &
	server=$!
	for _ in $(seq 300); do
		[ ! -s "$root/run/copyserver/ready" ] || return 0
		kill -0 "$server" 2>/dev/null || break
		sleep 0.1
	done
	fail "the server did not start: $(cat "$work/server.log")"
}
stop() {
	kill -TERM "$server"
	wait "$server" || fail "the server ended with $?: $(cat "$work/server.log")"
	server=
}

say "a copy, with the installed commands and a configuration in /etc/rscli.yaml"
serve
address=$(sed -n 's/.*"address": *"\([^"]*\)".*/\1/p' "$root/run/copyserver/ready")
(umask 077 && echo passw0rd >"$root/etc/rscli.password")
printf 'server: %s\nuser: superuser\npassword_file: rscli.password\n' "$address" >"$root/etc/rscli.yaml"
cp "$root/etc/rscli.yaml" "$work/rscli.yaml"
inside esscli create volume --size 1MiB --count 2 >"$work/volumes"
head -c 1048576 /dev/urandom >"$root/root/image"
pair=$(paste -s -d : "$work/volumes")
inside esscli import volume "${pair%:*}" /root/image
inside esscli create task nightly --type establish --pair "$pair"
inside rsExecuteTask.sh --wait nightly
stop
before=$(state_sum)

say "upgrading"
inside sh -c 'echo "#a line of the administrator" >>/etc/copyserver.yaml'
install_deb 0.0.2
look 0.0.2
cmp "$root/etc/rscli.yaml" "$work/rscli.yaml" || fail "the upgrade changed /etc/rscli.yaml"
grep -q administrator "$root/etc/copyserver.yaml" || fail "the upgrade changed /etc/copyserver.yaml"
[ "$before" = "$(state_sum)" ] || fail "the upgrade changed the state folder"

say "removing and purging"
says "are kept" inside dpkg -r copyservices-client copyservices-server
for c in "${commands[@]}" copyserver; do
	[ ! -e "$root/usr/bin/$c" ] || fail "$c is still there"
	[ ! -L "$root/usr/bin/$c.sh" ] || fail "$c.sh is still there"
done
cmp "$root/etc/rscli.yaml" "$work/rscli.yaml" || fail "removing took /etc/rscli.yaml"
says "are kept" inside dpkg -P copyservices-client copyservices-server
[ ! -e "$root/etc/rscli.yaml" ] || fail "purging left /etc/rscli.yaml"
[ "$before" = "$(state_sum)" ] || fail "removing changed the state folder"
inside getent passwd copyserver >/dev/null || fail "the owner of the state folder is gone"

say "the .rpm, in the same root, and the state folder is taken up again"
cp "$work"/old/*.rpm "$work"/new/*.rpm "$root/root/"
list=$(rpm -qpl "$work"/old/*.rpm)
for c in "${commands[@]}"; do
	for file in "/usr/bin/$c" "/usr/bin/$c.sh" "/usr/share/man/man1/$c.1.gz"; do
		grep -qx "$file" <<<"$list" || fail "$file is not in the .rpm"
	done
done
grep -qx /usr/share/zsh/site-functions/_copyservices <<<"$list" || fail "zsh: nothing in the .rpm"
[ "$(rpm -qpc "$work"/old/*.rpm | sort | xargs)" = "/etc/copyserver.yaml /etc/rscli.yaml" ] ||
	fail "other configuration files: $(rpm -qpc "$work"/old/*.rpm)"
# Its dependencies are packages of Debian here, which rpm does not know.
on_rpm() { rpm --root "$root" --nodeps "$@"; }
says "nothing was started" on_rpm -i "$work"/old/*.rpm
look 0.0.1
cp "$work/rscli.yaml" "$root/etc/rscli.yaml"
on_rpm -U "$work"/new/*.rpm
look 0.0.2
cmp "$root/etc/rscli.yaml" "$work/rscli.yaml" || fail "rpm -U changed /etc/rscli.yaml"
says "is in order" inside copyserver check --state /var/lib/copyserver
serve
inside esscli list task -s "$(sed -n 's/.*"address": *"\([^"]*\)".*/\1/p' "$root/run/copyserver/ready")" |
	grep nightly
stop
before=$(state_sum)
says "are kept" on_rpm -e copyservices-client copyservices-server
[ ! -e "$root/usr/bin/copyserver" ] || fail "rpm -e left copyserver"
cmp "$root/etc/rscli.yaml.rpmsave" "$work/rscli.yaml" || fail "rpm -e took the configuration"
[ "$before" = "$(state_sum)" ] || fail "rpm -e changed the state folder"

say "the archives for other systems"
tar -tzf "$work"/old/few/*.tar.gz >"$work/list"
grep -q '/bin/rsExecuteTask.sh$' "$work/list"
grep -q '/share/man/man1/rsExecuteTask.1$' "$work/list"
unzip -q "$work"/old/few/*.zip -d "$work/zip"
folder=$(echo "$work"/zip/*)
for c in $few; do
	[ -s "$folder/$c.exe" ] || fail "$c.exe is not in the .zip"
	printf '@"%%~dp0%s.exe" %%*\r\n' "$c" | cmp - "$folder/$c.bat"
	grep -q 'id="EXIT_STATUS"' "$folder/doc/$c.1.html" || fail "$c has no page in the .zip"
done
[ -s "$folder/copyserver.exe" ] || fail "copyserver.exe is not in the .zip"

say "make install"
installed() {
	make -s install BIN="$work/bin" PREFIX=/opt/cs DESTDIR="$work/tree" VERSION=0.0.1
}
installed
echo "server: mine" >"$work/tree/etc/rscli.yaml"
installed
grep -qx "server: mine" "$work/tree/etc/rscli.yaml" || fail "make install replaced /etc/rscli.yaml"
says 0.0.1 "$work/tree/opt/cs/bin/rsList2105s.sh" --version
grep -q '^ExecStart=/opt/cs/bin/copyserver ' "$work/tree/opt/cs/lib/systemd/system/copyserver.service"
for file in share/man/man1/esscli.1 share/man/man8/copyserver.8 share/man/man5/rscli-config.5 \
	share/man/man7/copyservices.7; do
	[ -s "$work/tree/opt/cs/$file" ] || fail "make install left out $file"
done
complete_with "$work/tree/opt/cs" "$work/tree/opt/cs/share/zsh/site-functions"
say "done"
