package connect

import (
	"slices"
	"testing"

	"copyservices/rscli/rsclitest"
)

func TestModels(t *testing.T) {
	b := rsclitest.NewBench(t)
	for _, tt := range []struct {
		env, config string
		want        []string
	}{
		{"", "user: u\n", nil},
		{"", "models: 2107\n", []string{"2107"}},
		{"", "models: [2105, 2107]\n", []string{"2105", "2107"}},
		{"", "models: \"2105 2107\"\n", []string{"2105", "2107"}},
		{"", "models: []\n", nil},
		{"1750", "models: [2105, 2107]\n", []string{"1750"}},
		{"1750", "models: not read\n", []string{"1750"}},
	} {
		b.Vars["RSCLI_MODELS"] = tt.env
		b.Vars["RSCLI_CONFIG"] = b.Write("c.yaml", 0o600, tt.config)
		got, err := Models(b.Env)
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%q, %q: %q, %v; want %q", tt.env, tt.config, got, err, tt.want)
		}
	}
}
