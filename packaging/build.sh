#!/bin/sh
# Builds packages into the folder dist, with their checksums in SHA256SUMS.
#
#	packaging/build.sh [SYSTEM/PROCESSOR/FORMAT ...]
#	packaging/build.sh version      prints the version that the packages would have
#
# The formats are deb and rpm for Linux, zip for Windows, tar.gz for the others;
# without arguments all packages are built. From the environment:
#
#	VERSION            that of git, else "unknown"
#	SOURCE_DATE_EPOCH  the time of every file, in seconds; else that of the commit
#	DIST               the folder, else dist
#	COMMANDS           those that are packed, else all
#
# The same commit, version and Go toolchain give the same bytes in every folder.
set -eu
umask 022

# Later versions of nfpm need Go modules that not every proxy has.
NFPM=github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.0

cd "$(dirname "$0")/.."
VERSION=${VERSION:-$(git describe --tags --always --dirty 2>/dev/null || echo unknown)}
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 315532800)}
DIST=${DIST:-dist}
export VERSION SOURCE_DATE_EPOCH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

fail() {
	printf 'packaging: error: %s\n' "$1" >&2
	[ -z "${2:-}" ] || printf 'packaging: hint: %s\n' "$2" >&2
	exit 1
}

all() {
	for processor in amd64 arm64 ppc64le s390x; do
		echo "linux/$processor/deb linux/$processor/rpm"
	done
	echo windows/amd64/zip windows/arm64/zip
	echo aix/ppc64/tar.gz darwin/arm64/tar.gz freebsd/amd64/tar.gz solaris/amd64/tar.gz
}

# Package managers compare versions: 1.2.0~rc1 is before 1.2.0, and that before
# 1.2.0+5.gabcdef, five commits later. A commit without a tag before it is later
# than any earlier such commit.
package_version() {
	printf '%s\n' "${VERSION#v}" | sed -E \
		-e 's/^([0-9.]+)-dirty$/\1+0.dirty/' -e 's/-dirty$/+dirty/' \
		-e 's/-([0-9]+)-g([0-9a-f]+)/+\1.g\2/' \
		-e "/^[0-9]+(\.[0-9]+)+/!s/^/0.0.0+$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y%m%d%H%M%S)./" \
		-e 's/-/~/g' -e 's/(\+.*)\+/\1./'
}

# Folders and files get the one time, in which they would otherwise differ.
stamp() { find "$1" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +; }

# stage_linux puts what "make install" installs into a folder for each package.
stage_linux() {
	for part in client server; do
		make -s "install-$part" GOOS=linux GOARCH="$1" BIN="$work/bin-$1" PREFIX=/usr \
			ZSHDIR=/zsh DESTDIR="$work/linux-$1/$part" VERSION="$VERSION" \
			${COMMANDS:+"COMMANDS=$COMMANDS"}
		find "$work/linux-$1/$part/usr/share/man" -type f -exec gzip -9n {} +
	done
	stamp "$work/linux-$1"
}

# stage_unix makes a folder that can be unpacked into any prefix.
stage_unix() {
	folder=$work/$1-$2/copyservices-$version-$1-$2
	make -s install-client GOOS="$1" GOARCH="$2" BIN="$work/bin-$1" PREFIX= \
		DESTDIR="$folder" VERSION="$VERSION" ${COMMANDS:+"COMMANDS=$COMMANDS"}
	cp README.md CHANGELOG.md "$folder"
}

stage_windows() {
	folder=$work/windows-$1/copyservices-$version-windows-$1
	mkdir -p "$folder/doc"
	make -s build completions GOOS=windows GOARCH="$1" BIN="$folder" VERSION="$VERSION" \
		${COMMANDS:+"COMMANDS=$COMMANDS"}
	mv "$folder/completions/powershell" "$folder/completion.ps1"
	rm -r "$folder/completions"
	for program in "$folder"/*.exe; do
		name=$(basename "$program" .exe)
		[ "$name" = copyserver ] ||
			sed "s/@NAME@/$name/; s/\$/\r/" packaging/windows/wrapper.bat >"$folder/$name.bat"
	done
	sed 's/$/\r/' packaging/windows/README.txt >"$folder/README.txt"
	sed 's/$/\r/' packaging/rscli.yaml >"$folder/config.yaml"
	for page in man/*; do
		mandoc -T html -O man=%N.%S.html "$page" >"$folder/doc/$(basename "$page").html"
	done
}

make_linux() { # processor, format
	for part in client server; do
		hostgo STAGE="$work/linux-$1/$part" PROCESSOR="$1" PACKAGE_VERSION="$version" \
			go run "$NFPM" package --config "packaging/linux/$part.yaml" --packager "$2" \
			--target "$DIST/"
	done
}

# hostgo runs Go for this machine, whatever system the packages are for.
hostgo() { env -u GOOS -u GOARCH CGO_ENABLED=0 "$@"; }

make_package() { # system, processor, format
	[ -d "$work/$1-$2" ] || case $1 in
	linux) stage_linux "$2" ;;
	windows) stage_windows "$2" ;;
	*) stage_unix "$1" "$2" ;;
	esac
	case $3 in
	deb | rpm) make_linux "$2" "$3" ;;
	*) hostgo go run ./packaging/archive -time "$SOURCE_DATE_EPOCH" \
		"$DIST/$(basename "$work/$1-$2"/*).$3" "$work/$1-$2"/* ;;
	esac
}

# check_target refuses a package that is not one of all.
check_target() {
	for known in $(all); do
		[ "$1" != "$known" ] || return 0
	done
	fail "there is no package $1" "there are: $(all | tr '\n' ' ')"
}

version=$(package_version)
if [ "$*" = version ]; then
	echo "$version"
	exit
fi
# shellcheck disable=SC2046 # each word is a package
[ $# -gt 0 ] || set -- $(all)
for target; do
	check_target "$target"
	case $target in
	*/zip) command -v mandoc >/dev/null || fail "mandoc is missing" "apt-get install mandoc" ;;
	esac
done
rm -rf "$DIST"
mkdir -p "$DIST"
DIST=$(cd "$DIST" && pwd)
for target; do
	# shellcheck disable=SC2046 # each word is an argument
	make_package $(echo "$target" | tr / ' ')
done
(cd "$DIST" && sha256sum -- * >"$work/SHA256SUMS" && mv "$work/SHA256SUMS" .)
