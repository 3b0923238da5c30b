package taskstore

import (
	"strings"
	"testing"

	"copyservices/arrayclient/fault"
)

func TestFeasible(t *testing.T) {
	for _, c := range []struct {
		kind  TaskType
		pairs string // pairs apart by blanks, ends by >
		wrong string // in the error; empty for none
	}{
		{TaskEstablish, "20313698>20413698 20313698>20513698", ""},
		{TaskEstablish, "h:sda>h:sdb h:sda>g:sdb", ""},
		{TaskEstablish, "h:sda>h:SDA", ""},
		{TaskEstablish, "20313698>20313698", "20313698 cannot be copied onto itself"},
		{TaskEstablish, "20a13698>20A13698", "20a13698 cannot be copied onto itself"},
		{TaskWithdraw, "20313698>20413698 20413698>20413698", "onto itself"},
		{TaskEstablish, "Host:sda>hOST:sda", "Host:sda cannot be copied onto itself"},
		{TaskEstablish, "20313698>20413698 20513698>20413698", "20413698 is the target of two pairs"},
		{TaskEstablish, "20313698>20413698 20313698>20413698", "20413698 is the target of two pairs"},
		{TaskEstablish, "20313698>20413698 20413698>20513698", "20413698 is both"},
		{TaskEstablish, "20413698>20513698 20313698>20413698", "20413698 is both"},
		{TaskWithdraw, "20313698>20413698 20413698>20513698", ""},
		{TaskResync, "20313698>20413698 20313698>20413698", ""},
	} {
		task := Task{Name: "t", Type: c.kind}
		for pair := range strings.FieldsSeq(c.pairs) {
			source, target, _ := strings.Cut(pair, ">")
			task.Pairs = append(task.Pairs, TaskPair{Source: source, Target: target})
		}
		if err := task.Validate(); err != nil {
			t.Fatal(err)
		}
		err := task.Feasible()
		switch {
		case c.wrong == "" && err != nil:
			t.Errorf("%s %s: %v", c.kind, c.pairs, err)
		case c.wrong == "":
		case fault.KindOf(err) != fault.Usage || !strings.Contains(err.Error(), c.wrong) ||
			fault.HintOf(err) == "":
			t.Errorf("%s %s: %v", c.kind, c.pairs, err)
		}
	}
}
