package rscli

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
	"copyservices/rscli/connect"
	"copyservices/rscli/program"
	"copyservices/taskstore/result"
)

// testConnectionOptions are the flags of rsTestConnection.
type testConnectionOptions struct {
	connect.Flags
	trust bool
}

// TestConnectionMain is rsTestConnection.
func TestConnectionMain() int { return program.Main(NewTestConnection) }

// NewTestConnection builds rsTestConnection.
func NewTestConnection(e *program.Env) *program.Command {
	opts := &testConnectionOptions{}
	return &program.Command{
		Name:    "rsTestConnection",
		Summary: "Connect to the Copy Services server, authenticate and say who answered",
		Examples: []string{
			"rsTestConnection -s copyserver.example",
			"rsTestConnection -s copyserver.example --trust",
		},
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "trust", Destination: &opts.trust,
				Usage: "show the certificate, ask, and pin it"},
		},
		Shared: opts.Flags.Declare(),
		Run: func(ctx context.Context, e *program.Env, _ []string) error {
			return opts.run(ctx, e)
		},
	}
}

// connectionReport is what --json prints.
type connectionReport struct {
	Address     string            `json:"address"` // of the server that answered
	RoundTripMS float64           `json:"round_trip_ms"`
	Pinned      map[string]string `json:"pinned,omitempty"` // by --trust: address to fingerprint
	Server      api.Server        `json:"server"`
	// Other is the other of servers A and B, where both are given.
	Other *otherServer `json:"other,omitempty"`
}

// otherServer is the one that did not have to answer.
type otherServer struct {
	Address string `json:"address"`
	Answers bool   `json:"answers"`
	Note    string `json:"note"`
}

// run times the second of two requests: the first pays for connection, TLS and
// the check of the password, which later requests do not.
func (o *testConnectionOptions) run(ctx context.Context, e *program.Env) error {
	s, pinned, err := o.connectOrPin(ctx, e)
	if err != nil {
		return err
	}
	if _, err := s.Server(ctx); err != nil { // pays for connection and login
		return err
	}
	began := time.Now()
	server, err := s.Server(ctx)
	if err != nil {
		return err
	}
	trip := time.Since(began)
	connect.WarnOfDefaultPassword(e, server)
	report := connectionReport{
		s.Answered(), float64(trip.Microseconds()) / 1000, pinned, server, nil,
	}
	if report.Other, err = tryOther(ctx, s, report); err != nil {
		return err
	}
	return e.Result(report, report.print)
}

// connectOrPin connects, with --trust after pinning.
func (o *testConnectionOptions) connectOrPin(
	ctx context.Context, e *program.Env,
) (*connect.Session, map[string]string, error) {
	if o.trust {
		return o.PinAndConnect(ctx, e)
	}
	s, err := o.Connect(ctx, e)
	return s, nil, err
}

// tryOther asks the other of servers A and B who it is. Not to answer is as it
// should be for a B that waits for the state folder of A; to be another server
// is not, for its answers would be about other volumes.
func tryOther(ctx context.Context, s *connect.Session, r connectionReport) (*otherServer, error) {
	i := slices.IndexFunc(s.Servers, func(addr string) bool { return addr != r.Address })
	if i < 0 {
		return nil, nil
	}
	other := &otherServer{Address: s.Servers[i]}
	client := s.ClientOf(other.Address)
	defer client.Close()
	found, err := client.Server(ctx)
	switch {
	case ctx.Err() != nil:
		return nil, err
	case fault.KindOf(err) == fault.Connection:
		other.Note = err.Error()
		return other, nil
	case err == nil && found.ID == r.Server.ID:
		other.Answers, other.Note = true, "the same server"
		return other, nil
	case err == nil:
		err = fault.New(fault.Connection, "it has the id %s, not %s", found.ID, r.Server.ID)
	}
	return nil, fault.New(fault.Connection, "%s and %s are not one server: %w",
		r.Address, other.Address, err).WithHint("%s", api.BackupHint)
}

func (r connectionReport) print(w io.Writer) {
	fmt.Fprintf(w, "server      %s (%s)\n", result.OneLine(r.Server.Name), r.Address)
	fmt.Fprintf(w, "version     %s\n", result.OneLine(r.Server.Version))
	fmt.Fprintf(w, "arrays      %s\n", result.OneLine(strings.Join(r.Server.Arrays, ", ")))
	fmt.Fprintf(w, "user        %s (%s)\n", result.OneLine(r.Server.User), r.Server.Role)
	fmt.Fprintf(w, "round trip  %.1f ms\n", r.RoundTripMS)
	if r.Other != nil {
		fmt.Fprintf(w, "other       %s: %s\n", r.Other.Address, result.OneLine(r.Other.Note))
	}
	for _, addr := range slices.Sorted(maps.Keys(r.Pinned)) {
		fmt.Fprintf(w, "pinned      %s %s\n", addr, r.Pinned[addr])
	}
}
