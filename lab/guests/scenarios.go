package main

import (
	"strconv"
	"strings"
	"time"
)

// whitePaper is the procedure of the white paper, with a file system.
func (r *replay) whitePaper() {
	r.title("1. The white paper: a file system is copied while its guest works on")
	var list [2]string
	for i, g := range r.guests() {
		r.on(g, "rsTestConnection --trust")
		list[i] = r.on(g, "rsList2105s")
		r.on(g, "rsPrimeServer")
	}
	source, target := r.device(list[0], filesSource), r.device(list[1], filesTarget)
	r.admin("esscli", "create", "task", "VMWare_W2K_FC", "--type", "establish", "--record",
		"--source", "rich-w2k-os-1:"+source, "--target", "RICH-W2K-OS-2:"+target)

	r.on(r.first, "mkfs.ext4 -q -E lazy_itable_init=0 %s", source) // it would go on changing
	r.on(r.first, "mkdir -p /mnt/files && mount -t ext4 %s /mnt/files", source)
	r.on(r.first, "cd /mnt/files && mkdir mail users && cp /bin/rsList2105s /bin/rsQuery mail")
	r.on(r.first, "cd /mnt/files/users && for i in $(seq 12); do "+
		"head -c $((i * 10000)) /dev/urandom >user$i; done")
	r.on(r.first, "sync")
	before := r.sums(r.first, "/mnt/files")
	r.on(r.first, "rsExecuteTask --wait VMWare_W2K_FC")

	r.on(r.first, "rm /mnt/files/users/user1*; date >/mnt/files/users/user2; "+
		"cp /bin/sqlite3 /mnt/files/mail/rsQuery; touch /mnt/files/later; sync")
	after := r.sums(r.first, "/mnt/files")
	r.on(r.second, "mkdir -p /mnt/files && mount -t ext4 -o ro %s /mnt/files", target)
	copied := r.sums(r.second, "/mnt/files")
	r.require(copied == before, "the copy has not the files that were there at its instant")
	r.require(copied != after, "the source has not changed")
	r.on(r.second, "test ! -e /mnt/files/later && rsQuery %s", filesTarget)
}

// database copies a database under constant load.
func (r *replay) database() {
	r.title("2. A database: SQLite writes without a pause, its copy is whole")
	source := r.device(r.on(r.first, "rsList2105s"), databaseSource)
	target := r.device(r.on(r.second, "rsList2105s"), databaseTarget)
	r.admin("esscli", "create", "task", "DATABASE_FC", "--source", "rich-w2k-os-1:"+source,
		"--target", "RICH-W2K-OS-2:"+target)
	r.on(r.first, "mkfs.ext4 -q %s && mkdir -p /mnt/db && mount -t ext4 %[1]s /mnt/db", source)
	r.on(r.first, "dbload start /mnt/db/orders")
	r.copyDatabase(target, func() {})
}

// copyDatabase takes a copy of the database during its load, ends the load, and
// holds the copy against it: the rows are the first of those that were committed,
// with all of them that were before the copy.
func (r *replay) copyDatabase(target string, meanwhile func()) {
	begin := r.loadedRows()
	r.until("the load goes on", func() bool { return r.loadedRows() >= begin+100 })
	before := r.loadedRows()
	r.on(r.first, "rsExecuteTask DATABASE_FC")
	after := r.loadedRows()
	meanwhile()
	r.until("the load goes on", func() bool { return r.loadedRows() >= after+100 })
	r.on(r.first, "dbload stop")
	r.on(r.first, "rsQueryComplete --timeout 30s DATABASE_FC")
	r.on(r.second, "mkdir -p /mnt/db && mount -t ext4 %s /mnt/db", target)
	whole := r.on(r.second, "sqlite3 /mnt/db/orders 'PRAGMA integrity_check'")
	r.require(strings.TrimSpace(whole) == "ok", "the copy of the database is damaged")
	rows := r.number(r.second, "sqlite3 /mnt/db/orders 'SELECT count(*) FROM log'")
	// One transaction can be on its way to the disk, and be seen by readers later.
	r.require(rows >= before && rows <= after+1,
		"the copy has %d rows; %d were committed before it and %d after", rows, before, after)
	copied := r.on(r.second, "sqlite3 /mnt/db/orders 'SELECT * FROM log ORDER BY n' | sha256sum")
	committed := r.on(r.first, "sqlite3 /mnt/db/orders 'SELECT * FROM log WHERE n <= %d ORDER BY n' "+
		"| sha256sum", rows)
	r.require(copied == committed,
		"the rows of the copy are not the first that were committed")
	r.on(r.second, "umount /mnt/db")
}

// loadedRows returns the number of the last row that a reader sees during the load.
func (r *replay) loadedRows() int { return r.number(r.first, "dbload rows /mnt/db/orders") }

// number runs a command that prints one.
func (r *replay) number(g *guest, command string) int {
	text := r.on(g, "%s", command)
	if r.err != nil {
		return 0
	}
	n, err := strconv.Atoi(strings.TrimSpace(text))
	r.require(err == nil, "%s: %s: %v", g.name, command, err)
	return n
}

// incremental copies what has changed since the first scenario, there and back.
func (r *replay) incremental() {
	r.title("3. Incremental: 1 %% changes and is copied; then the copy restores its source")
	source := r.device(r.on(r.first, "rsList2105s"), filesSource)
	target := r.device(r.on(r.second, "rsList2105s"), filesTarget)
	for _, kind := range []string{"resync", "reverse"} {
		r.admin("esscli", "create", "task", strings.ToUpper(kind), "--type", kind,
			"--source", "rich-w2k-os-1:"+source, "--target", "RICH-W2K-OS-2:"+target)
	}
	r.on(r.second, "umount /mnt/files")
	r.on(r.first, "rsExecuteTask --wait RESYNC")
	const track, onePercent = 64 << 10, 64 << 20 / 100
	left := r.relationship(filesSource, filesTarget).Changed
	r.require(left <= 4, "%d tracks have changed since the resync", left)

	r.on(r.first, "dd if=/dev/urandom of=/mnt/files/mail/rsList2105s conv=notrunc bs=%d count=1; sync",
		onePercent)
	now := r.sums(r.first, "/mnt/files")
	changed := r.relationship(filesSource, filesTarget).Changed
	r.require(changed >= onePercent/track && changed <= 3*onePercent/track,
		"1 %% are %d tracks; %d have changed", onePercent/track, changed)
	r.on(r.first, "rsExecuteTask --wait RESYNC")
	r.on(r.second, "mount -t ext4 %s /mnt/files", target)
	r.require(r.sums(r.second, "/mnt/files") == now, "the resync has not copied the change")

	r.on(r.second, "echo 'kept in the copy' >/mnt/files/restored; sync")
	good := r.sums(r.second, "/mnt/files")
	r.on(r.first, "rm -r /mnt/files/mail; umount /mnt/files")
	r.on(r.first, "dd if=/dev/urandom of=%s bs=1M count=4 conv=fsync", source)
	r.on(r.second, "umount /mnt/files")
	r.on(r.first, "rsExecuteTask --wait REVERSE")
	r.on(r.first, "rsFlashCopyQuery && mount -t ext4 %s /mnt/files", source)
	r.require(r.sums(r.first, "/mnt/files") == good, "the disk is not what its copy was")
}

// killedServer kills the server during a copy and the load of both guests.
func (r *replay) killedServer() {
	r.title("4. The server is killed and started again: the guests wait and go on")
	list := r.on(r.second, "rsList2105s")
	files, target := r.device(list, filesTarget), r.device(list, databaseTarget)
	database := r.device(r.on(r.first, "rsList2105s"), databaseSource)
	r.on(r.second, "mount -t ext4 %s /mnt/files", files)
	r.admin("esscli", "set", "array", "2105.13698", "--copy-rate", "64KiB")
	r.on(r.first, "dbload start /mnt/db/orders")
	r.copyDatabase(target, func() {
		copying := r.relationship(databaseSource, databaseTarget)
		r.require(copying.OutOfSync > 0, "the copy is complete before the server is killed")
		r.killServer()
		r.on(r.second, "(dd if=/dev/urandom of=/mnt/files/during bs=1M count=2 conv=fsync "+
			"&& echo 0 >/run/dd || echo 1 >/run/dd) >/run/dd.out 2>&1 &")
		r.seeStall(database)
		r.startServer()
		r.on(r.second, "until [ -s /run/dd ]; do sleep 0.1; done; cat /run/dd.out; exit $(cat /run/dd)")
		r.relationship(databaseSource, databaseTarget)
		r.admin("esscli", "set", "array", "2105.13698", "--copy-rate", "none")
	})
	r.on(r.first, "sqlite3 /mnt/db/orders 'PRAGMA integrity_check' | grep '^ok$'")
}

func (r *replay) killServer() {
	if r.err != nil {
		return
	}
	r.out.command("server", "kill -KILL", strconv.Itoa(r.server.cmd.Process.Pid))
	r.err = r.server.kill()
}

func (r *replay) startServer() {
	if r.err == nil {
		r.err = r.server.start(r.ctx)
	}
}

// seeStall requires that the first guest waits for its disk: the load ends no
// request any more, and not with an error either, which end would find.
func (r *replay) seeStall(device string) {
	name := strings.TrimPrefix(device, "/dev/")
	r.sleep(time.Second) // what was on its way
	stat := func() string { return doneRequests(r.on(r.first, "cat /sys/block/%s/stat", name)) }
	earlier := stat()
	r.sleep(2 * time.Second)
	r.require(earlier == stat(), "the guest's disk works on without the server")
}

// doneRequests picks out of a disk's statistics the numbers of reads, writes and
// flushes that were done, as Documentation/block/stat.rst counts the fields.
func doneRequests(stat string) string {
	fields := strings.Fields(stat)
	if len(fields) < 17 {
		return stat
	}
	return strings.Join([]string{fields[0], fields[4], fields[15]}, " ")
}
