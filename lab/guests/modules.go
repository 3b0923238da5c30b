package main

import (
	"bytes"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// module is a driver of the kernel.
type module struct {
	name    string // of its file: sd_mod.ko
	content []byte
}

// modules returns the named modules, each after those that it depends on. One that
// the packages do not have is part of the kernel itself.
func (files packageFiles) modules(names []string) ([]module, error) {
	var order []module
	known := map[string]bool{}
	var visit func(name string) error
	visit = func(name string) error {
		if known[name] {
			return nil
		}
		known[name] = true
		content, found, err := files.module(name)
		if err != nil || !found {
			return err
		}
		needed, err := moduleDependencies(content)
		if err != nil {
			return fmt.Errorf("module %s: %w", name, err)
		}
		for _, n := range needed {
			if err := visit(n); err != nil {
				return err
			}
		}
		order = append(order, module{name + ".ko", content})
		return nil
	}
	for _, name := range names {
		if err := visit(name); err != nil {
			return nil, err
		}
	}
	return order, nil
}

// module returns the content of a module, unpacked where the distribution packs it.
func (files packageFiles) module(name string) (content []byte, found bool, err error) {
	// The files have dashes or underscores; the kernel takes both for one.
	for _, file := range []string{name, strings.ReplaceAll(name, "_", "-")} {
		if path := files[file+".ko"]; path != "" {
			content, err = os.ReadFile(path)
			return content, true, err
		}
		if path := files[file+".ko.xz"]; path != "" {
			// This machine need not have xz: the guests' busybox has.
			content, err = exec.Command(files["busybox"], "xzcat", path).Output()
			if err != nil {
				err = fmt.Errorf("unpacking module %s: %w", name, err)
			}
			return content, true, err
		}
	}
	return nil, false, nil
}

// moduleDependencies reads the field "depends" that the kernel's build leaves in a
// module.
func moduleDependencies(content []byte) ([]string, error) {
	f, err := elf.NewFile(bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	section := f.Section(".modinfo")
	if section == nil {
		return nil, fmt.Errorf("it says nothing of itself")
	}
	info, err := section.Data()
	if err != nil {
		return nil, err
	}
	return parseDepends(info), nil
}

func parseDepends(info []byte) []string {
	for field := range bytes.SplitSeq(info, []byte{0}) {
		if list, ok := bytes.CutPrefix(field, []byte("depends=")); ok {
			return slices.DeleteFunc(strings.Split(string(list), ","),
				func(name string) bool { return name == "" })
		}
	}
	return nil
}
