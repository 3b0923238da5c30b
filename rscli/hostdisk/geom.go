package hostdisk

import (
	"context"
	"slices"
	"strconv"
	"strings"
)

// listFreeBSD asks GEOM, which any user may. Only the serial of a volume that
// GEOM does not know is asked of the disk itself, which takes root.
func listFreeBSD(ctx context.Context, run runner, opts Options) (found, error) {
	out, err := run(ctx, "geom", "disk", "list")
	if err != nil {
		return found{}, err
	}
	var all found
	for _, g := range parseGeoms(out) {
		for _, p := range g.providers {
			if d := p.disk(); d.Name != "" {
				all.add(d, opts)
			}
		}
	}
	if err := all.fillFromInquiry(ctx, run); err != nil {
		return found{}, err
	}
	// The class is there only while its module is loaded.
	out, err = run(ctx, "geom", "multipath", "list")
	if err != nil && !isOptional(err) {
		return found{}, err
	}
	if err == nil {
		all.addGmultipath(parseGeoms(out))
	}
	return all, nil
}

// geom is one geom of "geom CLASS list", with what it provides and what it
// consumes.
type geom struct {
	name                 string
	providers, consumers []geomEnd
}

// geomEnd is a provider or consumer: its name and its properties.
type geomEnd map[string]string

// parseGeoms reads "geom CLASS list", which list_one_geom of geom(8) prints: lines
// of "key: value", under "Providers:" and "Consumers:" in numbered lists.
func parseGeoms(out []byte) []geom {
	var geoms []geom
	var ends *[]geomEnd
	for line := range strings.Lines(string(out)) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), ":")
		value = printable([]byte(value))
		if ok && key == "Geom name" {
			geoms = append(geoms, geom{name: value})
			ends = nil
		}
		if !ok || len(geoms) == 0 {
			continue
		}
		g := &geoms[len(geoms)-1]
		switch number, rest, numbered := strings.Cut(key, ". "); {
		case key == "Providers":
			ends = &g.providers
		case key == "Consumers":
			ends = &g.consumers
		case ends == nil:
		case numbered && isAll(number, decimal):
			*ends = append(*ends, geomEnd{rest: value})
		case len(*ends) > 0:
			(*ends)[len(*ends)-1][key] = value
		}
	}
	return geoms
}

// property returns a value, empty where GEOM has none.
func (e geomEnd) property(key string) string {
	if value := e[key]; value != "(null)" {
		return value
	}
	return ""
}

// device returns the path of the node, empty for what cannot have one.
func (e geomEnd) device() string {
	name := e.property("Name")
	if name == "" || strings.ContainsAny(name, " \\?") || strings.Contains(name, "..") {
		return ""
	}
	return "/dev/" + name
}

// disk returns the disk that a provider of the class DISK is. The driver writes
// vendor and product as one text, parted by a blank.
func (e geomEnd) disk() Disk {
	d := Disk{Name: e.device(), Serial: e.property("ident"), WWID: e.property("lunid")}
	var ok bool
	d.Vendor, d.Model, ok = strings.Cut(e.property("descr"), " ")
	if !ok {
		d.Vendor, d.Model = "", d.Vendor
	}
	d.Model = strings.TrimSpace(d.Model)
	size, _, _ := strings.Cut(e.property("Mediasize"), " ")
	if n, err := strconv.ParseInt(size, 10, 64); err == nil && n > 0 {
		d.Size = n
	}
	return d
}

// fillFromInquiry asks volumes without a serial for their page 0x80.
func (f *found) fillFromInquiry(ctx context.Context, run runner) error {
	for i := range f.disks {
		d := &f.disks[i]
		if !d.Counts || d.Serial != "" {
			continue
		}
		out, err := run(ctx, "camcontrol", "inquiry", strings.TrimPrefix(d.Name, "/dev/"), "-S")
		if err != nil && !isOptional(err) {
			return err
		}
		d.Serial = parseInquirySerial(out)
	}
	return nil
}

// parseInquirySerial reads "camcontrol inquiry DISK -S", which prints the serial
// and nothing else; empty for any other output.
func parseInquirySerial(out []byte) string {
	words := strings.Fields(string(out))
	if len(words) != 1 {
		return ""
	}
	return printable([]byte(words[0]))
}

// addGmultipath adds the multipath devices, whose providers are
// multipath/NAME and whose consumers are the paths.
func (f *found) addGmultipath(geoms []geom) {
	for _, g := range geoms {
		if len(g.providers) == 0 || g.providers[0].device() == "" {
			continue
		}
		m := mapper{name: g.providers[0].device()}
		for _, c := range g.consumers {
			if path := c.device(); path != "" {
				m.paths = append(m.paths, path)
			}
		}
		slices.SortFunc(m.paths, compareNames)
		f.mappers = append(f.mappers, m)
	}
}
