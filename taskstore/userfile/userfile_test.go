package userfile_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"copyservices/taskstore/userfile"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// inUTF16 encodes text with a byte order mark.
func inUTF16(order binary.AppendByteOrder, text string) []byte {
	var b []byte
	for _, unit := range utf16.Encode([]rune("\ufeff" + text)) {
		b = order.AppendUint16(b, unit)
	}
	return b
}

func TestTextIsTheSameHoweverItWasSaved(t *testing.T) {
	const text = "pässword 😀\r\nline 2"
	for name, raw := range map[string][]byte{
		"plain":         []byte(text),
		"with a mark":   []byte("\ufeff" + text),
		"UTF-16":        inUTF16(binary.LittleEndian, text),
		"UTF-16, other": inUTF16(binary.BigEndian, text),
	} {
		got, err := userfile.Read(bytes.NewReader(raw), 1<<10)
		if string(got) != text || err != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	// Beginnings of a mark are no mark.
	for _, text := range []string{"", "\xef", "\xef\xbb", "\xff", "\xfe", "\xef\xbbx"} {
		if got, err := userfile.Read(strings.NewReader(text), 1<<10); string(got) != text || err != nil {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}

func TestTextThatIsNone(t *testing.T) {
	for text, want := range map[string]string{
		"p\x00w\x00":                 "NUL bytes, as text in UTF-16 without a byte order mark",
		"\xff\xfep\x00w":             "begins as UTF-16 and is not",
		"\xff\xfe\x00\xd8p\x00":      "begins as UTF-16 and is not",
		strings.Repeat("x", 1<<10+1): "longer than 1 KiB",
	} {
		if got, err := userfile.Read(strings.NewReader(text), 1<<10); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %.20q, %v", text, got, err)
		}
	}
}

// A command that comes down a pipe is not held back until more comes.
func TestReaderDoesNotWaitForMore(t *testing.T) {
	in, out, err := os.Pipe()
	must(t, err)
	defer in.Close()
	defer out.Close()
	_, err = out.WriteString("?\n")
	must(t, err)
	lines := bufio.NewScanner(userfile.NewReader(in))
	if !lines.Scan() || lines.Text() != "?" {
		t.Errorf("read %q", lines.Text())
	}
}

func change(path, line string) error {
	return userfile.Change(path, 1<<20, func(old []byte) ([]byte, error) {
		return fmt.Appendf(old, "%s\n", line), nil
	})
}

func TestChangeWritesTheEndOfALink(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "kept", "real"), filepath.Join(dir, "link")
	must(t, os.Symlink("second", link))
	must(t, os.Symlink(file, filepath.Join(dir, "second")))
	must(t, change(link, "one"))
	must(t, os.Chmod(file, 0o640))
	must(t, change(link, "two"))
	text, err := os.ReadFile(file)
	must(t, err)
	if string(text) != "one\ntwo\n" {
		t.Errorf("the file has %q", text)
	}
	info, err := os.Stat(file)
	must(t, err)
	if info.Mode() != 0o640 {
		t.Errorf("its mode became %v", info.Mode())
	}
	if to, err := os.Readlink(link); to != "second" || err != nil {
		t.Errorf("the link is %q, %v", to, err)
	}
	left, err := os.ReadDir(filepath.Dir(file))
	must(t, err)
	if len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
	round := filepath.Join(dir, "round")
	must(t, os.Symlink(round, round))
	if err := change(round, "x"); err == nil {
		t.Error("a link to itself was changed")
	}
}

func TestChangeThatIsNone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	must(t, change(path, "kept"))
	failure := errors.New("no")
	err := userfile.Change(path, 1<<20, func([]byte) ([]byte, error) { return []byte("x"), failure })
	if !errors.Is(err, failure) {
		t.Errorf("error %v", err)
	}
	if err := userfile.Change(path, 4, func([]byte) ([]byte, error) { return nil, nil }); err == nil {
		t.Error("a file over the limit was changed")
	}
	if text, _ := os.ReadFile(path); string(text) != "kept\n" {
		t.Errorf("the file has %q", text)
	}
	must(t, userfile.Change(path, 1<<20, func([]byte) ([]byte, error) { return nil, nil }))
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file is still there: %v", err)
	}
}

const changeLines = 20

// TestMain changes a file where TestChangesOfManyProcesses asks for it.
func TestMain(m *testing.M) {
	if path := os.Getenv("CHANGE_FILE"); path != "" {
		for i := range changeLines {
			if err := change(path, fmt.Sprint(os.Getpid(), " ", i)); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestChangesOfManyProcesses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	var running []*exec.Cmd
	const processes = 4
	for range processes {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), "CHANGE_FILE="+path)
		cmd.Stderr = &bytes.Buffer{}
		must(t, cmd.Start())
		running = append(running, cmd)
	}
	for _, cmd := range running {
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %s", err, cmd.Stderr)
		}
	}
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	text, err := io.ReadAll(f)
	must(t, err)
	seen := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		seen[line] = true
	}
	if len(seen) != processes*changeLines {
		t.Errorf("%d of %d lines are there", len(seen), processes*changeLines)
	}
}
