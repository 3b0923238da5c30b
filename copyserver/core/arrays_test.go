package core_test

import (
	"testing"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
)

func TestArrays(t *testing.T) {
	w := newWorld(t)
	w.volumes(2)
	all, err := w.ListArrays(w.Context(), monitor)
	must(t, err)
	for _, id := range []string{"2105.13698", ""} {
		one, err := w.Array(w.Context(), monitor, id)
		must(t, err)
		if len(all) != 1 || one.ID.String() != "2105.13698" || one.Volumes != 2 || all[0].ID != one.ID {
			t.Errorf("arrays %+v, array %q %+v", all, id, one)
		}
	}
}

func TestArraysThatAreNotThere(t *testing.T) {
	w := newWorld(t)
	rate := int64(1)
	for id, want := range map[string]struct {
		kind       fault.Kind
		text, hint string
	}{
		"2105.99999": {fault.NotFound, "no array 2105.99999 on this server", "there are 2105.13698"},
		"nonsense":   {fault.Usage, "nonsense", "2105.13698"},
	} {
		w.refused(want.kind, want.text, want.hint, func() error {
			return failed(w.Array(w.Context(), monitor, id))
		})
		w.refused(want.kind, want.text, want.hint, func() error {
			return failed(w.SetArrayCopyRate(w.Context(), admin, id, &rate))
		})
	}
}

func TestCopyRateOfAnArray(t *testing.T) {
	w := newWorld(t)
	for _, rate := range []int64{64 << 10, 0} {
		p, err := w.SetArrayCopyRate(w.Context(), admin, "2105.13698", &rate)
		if err != nil || p.CopyRate != rate {
			t.Errorf("rate %d, want %d, %v", p.CopyRate, rate, err)
		}
	}
	must(t, failed(w.SetArrayCopyRate(w.Context(), admin, "", to(int64(1<<20)))))
	w.refused(fault.Usage, "no copy_rate is given", "0 for no bound", func() error {
		return failed(w.SetArrayCopyRate(w.Context(), admin, "", nil))
	})
	w.refused(fault.Usage, "-1", "", func() error {
		return failed(w.SetArrayCopyRate(w.Context(), admin, "", to(int64(-1))))
	})
}

func TestCopyRateOfPairs(t *testing.T) {
	w := newWorld(t)
	v := w.volumes(3)
	w.establish(arrayclient.Options{NoCopy: true}, v[0], v[1])
	result, err := finish(w.SetCopyRate(admin, pairs(v[0], v[1]), to(int64(1<<20))))
	must(t, err)
	rel := w.relationship(v[0])
	if rel.CopyRate != 1<<20 || len(result.Pairs) != 1 || result.Warnings != nil {
		t.Errorf("relationship %+v, result %+v", rel, result)
	}
	for text, rate := range map[string]*int64{"no copy_rate is given": nil, "-1": to(int64(-1))} {
		w.refused(fault.Usage, text, "", func() error {
			return failed(finish(w.SetCopyRate(admin, pairs(v[0], v[1]), rate)))
		})
	}
	w.refused(fault.NotFound, string(v[2]), "", func() error {
		return failed(finish(w.SetCopyRate(admin, pairs(v[0], v[1], v[0], v[2]), to(int64(0)))))
	})
}

func TestCopyRatesOfABareArray(t *testing.T) {
	w := newWorldOf(t, func(a *brittle) arrayclient.Array { return bare{a} })
	v := w.volumes(2)
	w.establish(arrayclient.Options{NoCopy: true}, v...)
	const text, hint = "array 2105.13698 does not support copy rates", "esscli show array"
	w.refused(fault.Refused, text, hint, func() error {
		return failed(w.SetArrayCopyRate(w.Context(), admin, "", to(int64(1))))
	})
	w.refused(fault.Refused, text, hint, func() error {
		return failed(finish(w.SetCopyRate(admin, pairs(v...), to(int64(1)))))
	})
}
