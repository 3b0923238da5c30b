package remote_test

import (
	"context"
	"testing"

	"copyservices/arrayclient"
	"copyservices/arrayclient/arraytest"
	"copyservices/arrayclient/fault"
	"copyservices/arrayclient/filearray"
)

// TestConformance restarts the other server for the rules that restart the array, and
// empties the array for each rule.
func TestConformance(t *testing.T) {
	t.Parallel()
	f := startFar(t, nil)
	arraytest.Run(t, arraytest.Harness{
		Open: func(t *testing.T) arraytest.Subject {
			a := open(t, f.config())
			t.Cleanup(func() { empty(t, a) })
			return arraytest.Subject{Array: a, Reopen: func() arrayclient.Array {
				f.stop()
				f.start()
				return a
			}}
		},
		MinSize: filearray.MinVolume, MaxSize: filearray.MaxVolume, Grain: 512,
		Skip: map[string]string{"Rehearse": "the REST API has no rehearsal of pairs without a task"},
	})
}

// empty deletes all that a rule has left.
func empty(t *testing.T, a arrayclient.Array) {
	t.Helper()
	ctx := context.Background()
	rels, err := a.Relationships(ctx)
	must(t, err)
	for _, r := range rels {
		_, err := a.Withdraw(ctx, []arrayclient.Pair{r.Pair})
		if fault.KindOf(err) != fault.NotFound { // or it has just ended
			must(t, err)
		}
	}
	volumes, err := a.Volumes(ctx)
	must(t, err)
	for _, v := range volumes {
		must(t, a.DeleteVolume(ctx, v.Serial))
	}
}
