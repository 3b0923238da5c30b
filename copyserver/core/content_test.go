package core_test

import (
	"bytes"
	"errors"
	"testing"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/export"
)

// closed closes what was opened.
func closed(v arrayclient.VolumeIO, err error) error {
	if err != nil {
		return err
	}
	return v.Close()
}

// mayAttach reports whether a host may attach the volume now.
func (w *world) mayAttach(serial arrayclient.Serial) bool {
	w.Helper()
	detach, err := w.Attached.Attach(serial, export.Attachment{Address: "192.0.2.8"})
	if err != nil {
		wantFault(w.T, err, fault.Refused, "an image is being imported", "when the import has ended")
		return false
	}
	detach()
	return true
}

func TestContentIsReplaced(t *testing.T) {
	w := newWorld(t)
	serial := w.volumes(1)[0]
	v, err := w.ReplaceContent(w.Context(), admin, serial, false)
	must(t, err)
	want := []byte("some content")
	_, err = v.WriteAt(want, 4096)
	must(t, errors.Join(err, v.Close()))
	r, err := w.OpenContent(w.Context(), admin, serial)
	must(t, err)
	got := make([]byte, len(want))
	if _, err := r.ReadAt(got, 4096); err != nil || !bytes.Equal(got, want) {
		t.Errorf("read %q, %v", got, err)
	}
	must(t, r.Close())
}

func TestNoHostComesIntoAnImport(t *testing.T) {
	w := newWorld(t)
	serial := w.volumes(1)[0]
	first, err := w.ReplaceContent(w.Context(), admin, serial, false)
	must(t, err)
	second, err := w.ReplaceContent(w.Context(), admin, serial, false)
	must(t, err)
	must(t, first.Close())
	_ = first.Close() // gives nothing back that is the other's
	if w.mayAttach(serial) {
		t.Error("a host attached the volume while one of two imports goes on")
	}
	must(t, second.Close())
	if !w.mayAttach(serial) {
		t.Error("no host can attach the volume although no import goes on")
	}
}

func TestContentOfAnAttachedVolume(t *testing.T) {
	w := newWorld(t)
	serial := w.volumes(1)[0]
	detach := w.attach(serial)
	w.refused(fault.Refused, "attached to 192.0.2.7, read-write", "nothing was written; detach it there", func() error {
		return closed(w.ReplaceContent(w.Context(), admin, serial, false))
	})
	must(t, closed(w.OpenContent(w.Context(), admin, serial)))
	must(t, closed(w.ReplaceContent(w.Context(), admin, serial, true)))
	detach()
	must(t, closed(w.ReplaceContent(w.Context(), admin, serial, false)))
}

func TestContentOfATarget(t *testing.T) {
	w := newWorld(t)
	v := w.volumes(2)
	w.establish(arrayclient.Options{NoCopy: true}, v...)
	for _, force := range []bool{false, true} {
		w.refused(fault.Refused, "volume 00113698 is the target of 00013698", "withdraw the relationship", func() error {
			return closed(w.ReplaceContent(w.Context(), admin, v[1], force))
		})
	}
	if !w.mayAttach(v[1]) {
		t.Error("a refused import keeps hosts out")
	}
	must(t, closed(w.ReplaceContent(w.Context(), admin, v[0], false)))
	must(t, closed(w.OpenContent(w.Context(), admin, v[1])))
}

func TestContentThatCannotBeOpened(t *testing.T) {
	w := newWorld(t)
	serial := w.volumes(1)[0]
	for _, force := range []bool{false, true} {
		w.array.fail("OpenVolume", 1)
		err := closed(w.ReplaceContent(w.Context(), admin, serial, force))
		wantFault(t, err, fault.Failed, "the array is broken", "")
	}
	if !w.mayAttach(serial) {
		t.Error("an import that never began keeps hosts out")
	}
}

func TestContentOutOfReach(t *testing.T) {
	w := newWorldOf(t, func(a *brittle) arrayclient.Array { return bare{a} })
	serial := w.volumes(1)[0]
	const text = "the content of volumes of array 2105.13698 is not within reach"
	w.refused(fault.Refused, text, "", func() error {
		return closed(w.OpenContent(w.Context(), admin, serial))
	})
	w.refused(fault.Refused, text, "", func() error {
		return closed(w.ReplaceContent(w.Context(), admin, serial, false))
	})
	if !w.mayAttach(serial) {
		t.Error("an import that never began keeps hosts out")
	}
}
