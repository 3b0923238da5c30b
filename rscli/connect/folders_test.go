package connect

import (
	"path/filepath"
	"testing"

	"copyservices/rscli/program"
)

func TestCacheFolders(t *testing.T) {
	for _, tt := range []struct {
		goos string
		vars map[string]string
		want string
	}{
		{"linux", map[string]string{"HOME": "/h"}, "/h/.cache/rscli"},
		{"aix", map[string]string{"HOME": "/h", "XDG_CACHE_HOME": "/x"}, "/x/rscli"},
		{"darwin", map[string]string{"HOME": "/h"}, "/h/Library/Caches/rscli"},
		{"windows", map[string]string{"LOCALAPPDATA": `C:\L`, "HOME": "/h"}, filepath.Join(`C:\L`, "rscli", "cache")},
		{"linux", nil, ""},
	} {
		e := &program.Env{GOOS: tt.goos, Getenv: func(key string) string { return tt.vars[key] }}
		if got := CacheDir(e); got != tt.want {
			t.Errorf("%s %v: %q", tt.goos, tt.vars, got)
		}
	}
}
