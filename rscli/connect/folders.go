package connect

import (
	"path/filepath"

	"copyservices/rscli/program"
)

// userDir is the user's folder of this suite, "" where the environment names
// no home, as under cron.
func userDir(e *program.Env) string {
	if e.GOOS == "windows" {
		return joinUnder(e.Getenv("APPDATA"), "rscli")
	}
	if xdg := e.Getenv("XDG_CONFIG_HOME"); filepath.IsAbs(xdg) {
		return filepath.Join(xdg, "rscli")
	}
	return joinUnder(e.Getenv("HOME"), ".config", "rscli")
}

// home is what "~" stands for.
func home(e *program.Env) string {
	if e.GOOS == "windows" {
		return e.Getenv("USERPROFILE")
	}
	return e.Getenv("HOME")
}

func systemConfig(e *program.Env) string {
	if e.GOOS == "windows" {
		return joinUnder(e.Getenv("ProgramData"), "rscli", "config.yaml")
	}
	return "/etc/rscli.yaml"
}

func joinUnder(base string, elem ...string) string {
	if base == "" {
		return ""
	}
	return filepath.Join(append([]string{base}, elem...)...)
}

// CacheDir is the user's folder for what can be lost, "" where the environment
// names none.
func CacheDir(e *program.Env) string {
	xdg := e.Getenv("XDG_CACHE_HOME")
	switch {
	case e.GOOS == "windows":
		return joinUnder(e.Getenv("LOCALAPPDATA"), "rscli", "cache")
	case filepath.IsAbs(xdg):
		return filepath.Join(xdg, "rscli")
	case e.GOOS == "darwin":
		return joinUnder(e.Getenv("HOME"), "Library", "Caches", "rscli")
	}
	return joinUnder(e.Getenv("HOME"), ".cache", "rscli")
}
