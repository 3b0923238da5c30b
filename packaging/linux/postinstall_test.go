// Package linux_test runs the scripts of the Linux packages with stand-ins for the
// tools that manage accounts.
package linux_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// accounts are stand-ins for the tools that manage users and groups, which keep
// names in the files $ACCOUNTS/passwd and $ACCOUNTS/group. They refuse what the
// real ones of Debian and RPM systems refuse, with the same codes.
var accounts = map[string]string{
	"getent": `grep -qx "$2" "$ACCOUNTS/$1" && echo "$2" || exit 2`,
	"groupadd": `for name; do :; done
grep -qx "$name" "$ACCOUNTS/group" && exit 9
echo "$name" >>"$ACCOUNTS/group"`,
	"useradd": `group= gid=
for word; do
	case $word in
	--user-group) group=yes ;;
	--gid=*) gid=${word#--gid=} ;;
	esac
	[ "$before" != --gid ] || gid=$word
	before=$word name=$word
done
grep -qx "$name" "$ACCOUNTS/passwd" && exit 9
if [ -n "$group" ]; then
	grep -qx "$name" "$ACCOUNTS/group" && exit 9
	echo "$name" >>"$ACCOUNTS/group"
fi
[ -z "$gid" ] || grep -qx "$gid" "$ACCOUNTS/group" || exit 6
echo "$name" >>"$ACCOUNTS/passwd"`,
	"systemctl": `exit 1`,
}

// TestAccountOfTheServer: whatever there is of the user and the group before, both
// are there afterwards.
func TestAccountOfTheServer(t *testing.T) {
	for _, before := range []string{"", "passwd", "group", "passwd group"} {
		dir := t.TempDir()
		for name, body := range accounts {
			write(t, filepath.Join(dir, "bin", name), "#!/bin/sh\n"+body+"\n")
		}
		for _, file := range []string{"passwd", "group"} {
			text := "root\n"
			if strings.Contains(before, file) {
				text += "copyserver\n"
			}
			write(t, filepath.Join(dir, file), text)
		}
		for range 2 { // the second time is an upgrade
			cmd := exec.CommandContext(t.Context(), "sh", "server-postinstall.sh", "configure")
			cmd.Env = []string{"PATH=" + filepath.Join(dir, "bin") + ":/usr/bin:/bin", "ACCOUNTS=" + dir}
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("with %q there: %v: %s", before, err, out)
			}
		}
		for _, file := range []string{"passwd", "group"} {
			text, err := os.ReadFile(filepath.Join(dir, file))
			if err != nil || string(text) != "root\ncopyserver\n" {
				t.Errorf("with %q there, %s has %q, %v", before, file, text, err)
			}
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}
