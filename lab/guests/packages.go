package main

import (
	"bytes"
	"context"
	"debug/elf"
	"fmt"
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// fetch downloads the packages into a folder and unpacks them into one below it,
// which it returns.
func fetch(ctx context.Context, work string) (root string, err error) {
	names, err := packagesToFetch(ctx)
	if err != nil {
		return "", err
	}
	// Without its sandbox, apt can write into a folder that only root may enter.
	download := append([]string{"download", "-q", "-o", "APT::Sandbox::User=root"}, names...)
	if _, err := output(ctx, work, "apt-get", download...); err != nil {
		return "", err
	}
	files, err := filepath.Glob(filepath.Join(work, "*.deb"))
	if err != nil {
		return "", err
	}
	for _, file := range files {
		if _, err := output(ctx, work, "dpkg-deb", "-x", filepath.Base(file), "root"); err != nil {
			return "", err
		}
	}
	return filepath.Join(work, "root"), nil
}

// packagesToFetch asks apt which packages of this system the guests are made of.
func packagesToFetch(ctx context.Context) ([]string, error) {
	if arch, err := output(ctx, ".", "dpkg", "--print-architecture"); err != nil {
		return nil, err
	} else if strings.TrimSpace(arch) != "amd64" {
		return nil, fmt.Errorf("the guests are made of Debian's packages for amd64, and apt "+
			"has those for %s here", strings.TrimSpace(arch))
	}
	const kernel = "linux-image-cloud-amd64" // depends on the one of the day
	kernels, err := dependencies(ctx, kernel)
	if err != nil {
		return nil, err
	}
	names := slices.DeleteFunc(kernels, func(name string) bool {
		return name == kernel || !strings.HasPrefix(name, "linux-image-")
	})
	if len(names) != 1 {
		return nil, fmt.Errorf("apt knows no kernel for the guests (package %s is Debian's): "+
			"try apt-get update", kernel)
	}
	needed, err := dependencies(ctx, append([]string{"--recurse"}, guestPackages...)...)
	for _, name := range needed {
		if slices.Contains(guestPackages, name) || isLibrary(name) {
			names = append(names, name)
		}
	}
	return names, err
}

func isLibrary(name string) bool {
	return strings.HasPrefix(name, "lib") || strings.HasPrefix(name, "zlib")
}

// dependencies returns the packages and what they depend on, in order of names.
func dependencies(ctx context.Context, args ...string) ([]string, error) {
	args = append([]string{"depends", "--no-recommends", "--no-suggests", "--no-conflicts",
		"--no-breaks", "--no-replaces", "--no-enhances"}, args...)
	text, err := output(ctx, ".", "apt-cache", args...)
	if err != nil {
		return nil, fmt.Errorf("%w\ntry apt-get update", err)
	}
	var names []string
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		// Virtual packages stand in angle brackets.
		if name := words[len(words)-1]; !strings.HasPrefix(name, "<") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// output runs a program in a folder; the error has what it said.
func output(ctx context.Context, folder, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = folder
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", program, args[0], err,
			strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}

// packageFiles are the files of unpacked packages by their base names, each where
// it lies, with links followed.
type packageFiles map[string]string

func findFiles(root string) (packageFiles, error) {
	files := packageFiles{}
	root, err := filepath.EvalSymlinks(root)
	if err != nil {
		return nil, err
	}
	err = filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && entry.Name() == "share":
			return fs.SkipDir // documentation and the like, under all sorts of names
		case entry.IsDir():
			return nil
		}
		// A link that leads out of the packages is of no use.
		target, err := filepath.EvalSymlinks(name)
		if err == nil && strings.HasPrefix(target, root+"/") {
			files[entry.Name()] = target
		}
		return nil
	})
	return files, err
}

// only returns the one file whose name begins with prefix.
func (files packageFiles) only(prefix string) (string, error) {
	var found []string
	for name, file := range files {
		if strings.HasPrefix(name, prefix) {
			found = append(found, file)
		}
	}
	if len(found) != 1 {
		return "", fmt.Errorf("the packages have %d files %s*", len(found), prefix)
	}
	return found[0], nil
}

// libraries returns what the programs are linked with, directly or not, the
// loader included.
func (files packageFiles) libraries(programs []string) ([]string, error) {
	var all []string
	for queue := slices.Clone(programs); len(queue) > 0; queue = queue[1:] {
		needed, err := neededBy(files[queue[0]])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", queue[0], err)
		}
		for _, name := range needed {
			if files[name] == "" {
				return nil, fmt.Errorf("%s needs %s, which no package brings", queue[0], name)
			}
			if !slices.Contains(all, name) {
				all = append(all, name)
				queue = append(queue, name)
			}
		}
	}
	return all, nil
}

// neededBy returns the libraries that a program or library names, and its loader.
func neededBy(file string) ([]string, error) {
	f, err := elf.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.ImportedLibraries()
	if err != nil {
		return nil, err
	}
	if interp := f.Section(".interp"); interp != nil {
		path, err := interp.Data()
		if err != nil {
			return nil, err
		}
		names = append(names, filepath.Base(string(bytes.TrimRight(path, "\x00"))))
	}
	return names, nil
}
