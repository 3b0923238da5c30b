package copyserver

import (
	"context"
	"crypto/tls"
	"testing"

	"copyservices/arrayclient"
	"copyservices/copyserver/api"
	"copyservices/taskstore"
)

// BenchmarkRunTask is what a stored task costs in the server: a run by a user
// whose password is remembered, and the withdraw that lets it be run again.
func BenchmarkRunTask(b *testing.B) {
	opts := testOptions(b.TempDir())
	s, err := newServer(opts, testSeams)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Stop(context.Background())
	if err := s.Start(); err != nil {
		b.Fatal(err)
	}
	c := api.New(api.Options{
		Servers: []string{s.Addr()}, User: "superuser", Password: "passw0rd", TLS: func(string) *tls.Config { return &tls.Config{InsecureSkipVerify: true} },
	})
	v, err := c.CreateVolumes(b.Context(), api.VolumeCreate{Size: 64 << 20, Count: 2})
	if err != nil {
		b.Fatal(err)
	}
	pair := []api.TaskPair{{Source: string(v[0].Serial), Target: string(v[1].Serial)}}
	task := api.Task{Name: "t", Type: taskstore.TaskEstablish, Pairs: pair,
		Options: arrayclient.Options{NoCopy: true}}
	if _, err := c.PutTask(b.Context(), task); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		_, err := c.RunTask(b.Context(), "t", api.RunRequest{})
		b.StopTimer()
		if err != nil {
			b.Fatal(err)
		}
		if _, err := c.Withdraw(b.Context(), api.PairsRequest{Pairs: pair}); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}
