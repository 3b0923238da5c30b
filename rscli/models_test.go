package rscli

import (
	"slices"
	"testing"
)

func TestModels(t *testing.T) {
	b := newBench(t)
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
		b.vars["RSCLI_MODELS"] = tt.env
		b.vars["RSCLI_CONFIG"] = b.write("c.yaml", 0o600, tt.config)
		got, err := b.Env.models()
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%q, %q: %q, %v; want %q", tt.env, tt.config, got, err, tt.want)
		}
	}
}
