package rest

import (
	"testing"

	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
)

// FuzzDecodeTask: whatever is sent, what is taken is valid and comes back.
func FuzzDecodeTask(f *testing.F) {
	f.Add(`{"name":"t","type":"withdraw","pairs":[{"source":"00013698","target":"h:d"}]}`)
	f.Add(`{"NAME":"t","options":{"nocopy":true}}`)
	f.Add(`{"name":"t","name":"u","options":{"nocopy":true,"nocopy":false}}`)
	f.Add(`[`)
	f.Fuzz(func(t *testing.T, text string) {
		var task api.Task
		err := decodeStrict([]byte(text), &task)
		if err == nil {
			err = task.Stored().Validate()
		}
		if err != nil {
			if fault.KindOf(err) != fault.Usage {
				t.Errorf("%q: %v of kind %s", text, err, fault.KindOf(err))
			}
			return
		}
		var again api.Task
		if err := decodeStrict(encode(task), &again); err != nil || again.Stored().Validate() != nil {
			t.Errorf("%+v does not come back: %v", task, err)
		}
	})
}
