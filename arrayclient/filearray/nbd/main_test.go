package nbd

import (
	"fmt"
	"io"
	"os"
	"runtime/pprof"
	"testing"

	"copyservices/arrayclient"
)

// TestMain can also be a server of the file that NBD_TEST_FILE names, so that
// other programs load it from outside. It prints its address and serves until
// its standard input ends.
func TestMain(m *testing.M) {
	if path := os.Getenv("NBD_TEST_FILE"); path != "" {
		os.Exit(serveFile(path))
	}
	os.Exit(m.Run())
}

func serveFile(path string) int {
	dev, err := openFileDevice(path)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	exports := fixed{volumes: map[string]arrayclient.VolumeIO{"file": dev}}
	s, err := New(Options{Listen: "127.0.0.1:0"}, exports)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if p := os.Getenv("NBD_TEST_PROFILE"); p != "" {
		f, err := os.Create(p)
		if err != nil {
			return 1
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return 1
		}
		defer pprof.StopCPUProfile()
	}
	s.Start()
	fmt.Println(s.Addr())
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}
