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
)

// testConnectionOptions are the flags of rsTestConnection.
type testConnectionOptions struct {
	connection
	trust bool
}

// TestConnectionMain is rsTestConnection.
func TestConnectionMain() int { return mainOf(newTestConnection) }

func newTestConnection(e *Env) *command {
	opts := &testConnectionOptions{}
	return &command{
		name:    "rsTestConnection",
		summary: "Connect to the Copy Services server, authenticate and say who answered",
		examples: []string{
			"rsTestConnection -s copyserver.example",
			"rsTestConnection -s copyserver.example --trust",
		},
		flags: []cli.Flag{
			&cli.BoolFlag{Name: "trust", Destination: &opts.trust,
				Usage: "show the certificate, ask, and pin it"},
		},
		sets: [][]cli.Flag{opts.connection.flags()},
		run: func(ctx context.Context, e *Env, _ []string) error {
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
}

// run times the second of two requests: the first pays for connection, TLS and
// the check of the password, which later requests do not.
func (o *testConnectionOptions) run(ctx context.Context, e *Env) error {
	s, pinned, err := o.pinAndConnect(ctx, e)
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
	e.warnOfDefaultPassword(server)
	report := connectionReport{s.Answered(), float64(trip.Microseconds()) / 1000, pinned, server}
	return e.result(report, report.print)
}

// pinAndConnect pins first where --trust asks for it, so that connecting has
// nothing left to ask. A backup server that does not answer is only warned
// about: being down is what the other one is for.
func (o *testConnectionOptions) pinAndConnect(ctx context.Context, e *Env) (*session, map[string]string, error) {
	if !o.trust {
		s, err := o.connect(ctx, e)
		return s, nil, err
	}
	s, l, err := o.open(e)
	if err != nil {
		return nil, nil, err
	}
	pinned := map[string]string{}
	for _, addr := range s.servers {
		print, err := s.trust.repin(ctx, addr)
		switch {
		case err == nil:
			pinned[addr] = print
		case len(s.servers) == 1 || fault.KindOf(err) != fault.Connection:
			return nil, nil, err
		default:
			e.warn("%s", err)
		}
	}
	return s, pinned, s.authenticate(ctx, e, l)
}

func (r connectionReport) print(w io.Writer) {
	fmt.Fprintf(w, "server      %s (%s)\n", oneLine(r.Server.Name), r.Address)
	fmt.Fprintf(w, "version     %s\n", oneLine(r.Server.Version))
	fmt.Fprintf(w, "arrays      %s\n", oneLine(strings.Join(r.Server.Arrays, ", ")))
	fmt.Fprintf(w, "user        %s (%s)\n", oneLine(r.Server.User), r.Server.Role)
	fmt.Fprintf(w, "round trip  %.1f ms\n", r.RoundTripMS)
	for _, addr := range slices.Sorted(maps.Keys(r.Pinned)) {
		fmt.Fprintf(w, "pinned      %s %s\n", addr, r.Pinned[addr])
	}
}
