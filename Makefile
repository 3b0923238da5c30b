# The commands of the suite, in the order of their man pages.
COMMANDS = rsList2105s rsPrimeServer rsExecuteTask rsQuery rsQueryComplete rsFlashCopyQuery \
	rsTestConnection setdevice setuser esscli
BINARIES = $(COMMANDS) copyserver

PREFIX  = /usr/local
VERSION = $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS = -s -w -X copyservices/rscli.Version=$(VERSION) -X copyservices/copyserver.Version=$(VERSION)

# Where the commands that run in guests must build, without cgo.
PLATFORMS = linux/amd64 linux/arm64 linux/ppc64le linux/s390x windows/amd64 windows/arm64 \
	aix/ppc64 darwin/arm64 freebsd/amd64 solaris/amd64

all: build

build:
	@mkdir -p bin
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ $(BINARIES:%=./cmd/%)

test:
	go vet ./...
	go test $(TESTFLAGS) ./...

# KEEP=1 leaves the server running and says how to reach it.
demo: build
	@KEEP=$(KEEP) ./demo/demo.sh

# The random tests of the array and of the server, for hours if need be.
torture:
	go test ./arrayclient/filearray -run TestModel -ops 2000000 -timeout 2h
	go test ./arrayclient/filearray -run TestCrash -crash-seeds 50 -timeout 2h
	go test ./testscripts -run TestKills -kills 2000 -timeout 2h

# Two guests in QEMU replay the white paper, on volumes of a server here.
guests: build
	go run ./guests

bench:
	go run ./bench -o BENCHMARKS.md

# Compiles the commands for every platform and links the largest of them: the
# others are the same packages behind another main. The results are thrown away.
platforms:
	@for p in $(PLATFORMS); do \
		echo "$$p"; \
		CGO_ENABLED=0 GOOS=$${p%/*} GOARCH=$${p#*/} go build ./rscli/... && \
		CGO_ENABLED=0 GOOS=$${p%/*} GOARCH=$${p#*/} go build -o /dev/null ./cmd/esscli || exit 1; \
	done

install: build
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1 \
		$(DESTDIR)$(PREFIX)/share/man/man5 $(DESTDIR)$(PREFIX)/share/man/man7 \
		$(DESTDIR)$(PREFIX)/share/man/man8
	install -m 755 $(BINARIES:%=bin/%) $(DESTDIR)$(PREFIX)/bin
	for s in 1 5 7 8; do \
		install -m 644 man/*.$$s $(DESTDIR)$(PREFIX)/share/man/man$$s || exit 1; \
	done

clean:
	rm -rf bin

.PHONY: all build test torture demo guests bench platforms install clean
