# The commands of the suite, in the order of their man pages.
COMMANDS = rsList2105s rsPrimeServer rsExecuteTask rsQuery rsQueryComplete rsFlashCopyQuery \
	rsTestConnection setdevice setuser esscli
# The server runs on Linux and Windows; elsewhere it is built for trying it out.
BINARIES = $(COMMANDS) $(if $(filter aix darwin freebsd solaris,$(GOOS)),,copyserver)

BIN     = bin
PREFIX  = /usr/local
ZSHDIR  = $(PREFIX)/share/zsh/site-functions
TO      = $(DESTDIR)$(PREFIX)
VERSION = $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS = -s -w -X copyservices/rscli/program.Version=$(VERSION) -X copyservices/copyserver.Version=$(VERSION)

# Where the commands that run in guests must build, without cgo.
PLATFORMS = linux/amd64 linux/arm64 linux/ppc64le linux/s390x windows/amd64 windows/arm64 \
	aix/ppc64 darwin/arm64 freebsd/amd64 solaris/amd64

all: build

# The version comes from here and not from the toolchain, which would add what
# the folder looked like: the same commit gives the same bytes everywhere.
build:
	@mkdir -p $(BIN)
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)' \
		-o $(BIN)/ $(BINARIES:%=./cmd/%)

# Those that take longest begin first, side by side.
LONGEST = ./testscripts ./arrayclient/filearray
test:
	@echo 'go vet, then the tests of every package, each named when it is done:'
	@echo 'about four minutes on two idle cores, longer beside other work.'
	go vet ./...
	go test $(TESTFLAGS) $(LONGEST) ./...

# KEEP=1 leaves the server running and says how to reach it.
demo: build
	@KEEP=$(KEEP) ./lab/demo/demo.sh

# The random tests of the array and of the server, and power loss, for hours if need be.
torture:
	go test ./arrayclient/filearray -run TestModel -ops 2000000 -timeout 2h
	go test ./arrayclient/filearray -run TestCrash -crash-seeds 50 -timeout 2h
	go test ./testscripts -run 'TestKills|TestRestarts' -kills 2000 -restarts 2000 -timeout 2h
	go test ./testscripts -run TestHostile -hostile 2m -timeout 2h
	go run ./lab/powerloss -seconds 30 -points 250 -rounds 4 -controls

# copyserver on real file systems whose disk loses its power. It needs root, loop
# devices and nbdfuse, and says loudly when it cannot run.
powerloss:
	go run ./lab/powerloss -seconds 8 -points 20 -controls

# Two guests in QEMU replay the white paper, on volumes of a server here.
guests: build
	go run ./lab/guests

# The Windows commands in batch files under Wine, which needs root for its folder.
wine:
	./lab/wine/setup.sh build/wine
	go test -count=1 ./lab/wine -wine "$(CURDIR)/build/wine"

# All of it takes up to 20 minutes, and wants root for some rows. To choose, and leave the
# file as it is: make bench BENCHFLAGS='-rounds 5 -only ^first/'
BENCHFLAGS = -o BENCHMARKS.md
bench:
	go run ./lab/bench $(BENCHFLAGS)

# Compiles the commands for every platform and links the largest of them: the
# others are the same packages behind another main. The server is compiled where
# there are packages of it. The results are thrown away.
platforms:
	@for p in $(PLATFORMS); do \
		echo "$$p"; \
		case $$p in linux/* | windows/*) server=./copyserver/... ;; *) server= ;; esac; \
		CGO_ENABLED=0 GOOS=$${p%/*} GOARCH=$${p#*/} go build -trimpath ./rscli/... $$server && \
		CGO_ENABLED=0 GOOS=$${p%/*} GOARCH=$${p#*/} go build -trimpath -buildvcs=false -o /dev/null ./cmd/esscli || exit 1; \
	done

# Completion scripts are printed by esscli, here always by one of this machine.
SHELLS  = bash zsh fish powershell
HOSTGO  = env -u GOOS -u GOARCH CGO_ENABLED=0 go
completions:
	@mkdir -p $(BIN)/completions
	@for s in $(SHELLS); do \
		$(HOSTGO) run ./cmd/esscli completion $$s >$(BIN)/completions/$$s || exit 1; \
	done

install: install-client install-server

# Old scripts call the commands by names with .sh. Bash and fish look for a file
# of completions by the name of the command.
install-client: build completions
	install -d $(TO)/bin $(TO)/share/man/man1 $(TO)/share/man/man5 $(TO)/share/man/man7 \
		$(TO)/share/bash-completion/completions $(TO)/share/fish/vendor_completions.d \
		$(DESTDIR)$(ZSHDIR) $(DESTDIR)/etc
	install -m 755 $(COMMANDS:%=$(BIN)/%) $(TO)/bin
	for s in 1 5 7; do install -m 644 man/*.$$s $(TO)/share/man/man$$s || exit 1; done
	install -m 644 $(BIN)/completions/zsh $(DESTDIR)$(ZSHDIR)/_copyservices
	install -m 644 $(BIN)/completions/bash \
		$(TO)/share/bash-completion/completions/copyservices
	install -m 644 $(BIN)/completions/fish $(TO)/share/fish/vendor_completions.d/copyservices.fish
	for c in $(COMMANDS); do ln -sf $$c $(TO)/bin/$$c.sh || exit 1; done
	for c in $(BINARIES) $(COMMANDS:%=%.sh); do \
		ln -sf copyservices $(TO)/share/bash-completion/completions/$$c && \
		ln -sf copyservices.fish $(TO)/share/fish/vendor_completions.d/$$c.fish || exit 1; \
	done
	test -e $(DESTDIR)/etc/rscli.yaml || \
		install -m 644 packaging/rscli.yaml $(DESTDIR)/etc/rscli.yaml

# The unit is for systemd, which only Linux has. Nothing is started.
install-server: build
	install -d $(TO)/bin $(TO)/share/man/man8
	install -m 755 $(BIN)/copyserver $(TO)/bin
	install -m 644 man/*.8 $(TO)/share/man/man8
	if [ "$$(go env GOOS)" = linux ]; then \
		install -d $(TO)/lib/systemd/system $(DESTDIR)/etc && \
		sed 's,@BINDIR@,$(PREFIX)/bin,' packaging/linux/copyserver.service \
			>$(TO)/lib/systemd/system/copyserver.service && \
		chmod 644 $(TO)/lib/systemd/system/copyserver.service && \
		{ test -e $(DESTDIR)/etc/copyserver.yaml || \
			install -m 644 packaging/linux/copyserver.yaml $(DESTDIR)/etc/copyserver.yaml; }; \
	fi

# Packages of all systems, as packaging/build.sh says, into the folder dist.
packages:
	VERSION='$(VERSION)' ./packaging/build.sh $(PACKAGES)

clean:
	rm -rf bin dist

.PHONY: all build test torture powerloss demo guests wine bench platforms completions install install-client \
	install-server packages clean
