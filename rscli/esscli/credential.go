package esscli

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
	"copyservices/rscli/connect"
	"copyservices/rscli/program"
	"copyservices/taskstore"
	"copyservices/taskstore/atomicfile"
)

// The files of a credential, under the names by which QEMU and libnbd look for
// them in a folder.
const (
	credentialCA   = "ca-cert.pem"
	credentialCert = "client-cert.pem"
	credentialKey  = "client-key.pem"
)

// credentialOptions are the flags of "create credential".
type credentialOptions struct {
	host, out string
}

func (x *essCLI) createCredential() *program.Command {
	return x.leaf(program.Command{
		Name: "credential", Summary: "Let a host attach volumes over NBD with TLS",
		Examples: []string{
			"esscli create credential --host rich-w2k-os-1",
			"esscli create credential --host vm1 --out /etc/pki/libnbd",
		},
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "host", Destination: &x.credential.host,
				Category: program.KindHost, Usage: "for this host `NAME`"},
			&cli.StringFlag{Name: "out", Category: program.KindFile, Destination: &x.credential.out,
				Usage: "write the files to it, else to NAME `DIR`"},
		},
		Run: func(ctx context.Context, e *program.Env, _ []string) error {
			return x.runCreateCredential(ctx, e)
		},
	})
}

// credentialDocument is what --json prints.
type credentialDocument struct {
	api.Credential
	Folder string   `json:"folder"`
	Files  []string `json:"files"`
}

// runCreateCredential makes the key here: it never leaves this machine. A key
// that is there already is never replaced.
func (x *essCLI) runCreateCredential(ctx context.Context, e *program.Env) error {
	o := x.credential
	if o.host == "" {
		return fault.New(fault.Usage, "--host is missing").
			WithHint("name the host that the credential is for")
	}
	if err := taskstore.ValidHostName(o.host); err != nil {
		return err
	}
	if o.out == "" {
		o.out = o.host
	}
	key, request, err := newRequest()
	if err != nil {
		return err
	}
	s, err := x.Connect(ctx, e)
	if err != nil {
		return err
	}
	if err := takeFolder(o.out); err != nil {
		return err
	}
	issued, err := s.CreateCredential(ctx, api.CredentialRequest{Host: o.host, Request: request})
	if err != nil {
		return err
	}
	files, err := writeCredential(o.out, key, issued)
	if err != nil {
		return fault.New(fault.KindOf(err), "%w", err).
			WithHint("revoke what is of no use now: esscli delete credential %s", issued.Serial)
	}
	return done(e, credentialDocument{issued.Credential, o.out, files},
		"credential %s of host %s is in folder %s", issued.Serial, issued.Host, o.out)
}

// newRequest returns a new key and a certificate request for it, in PEM.
func newRequest() (key []byte, request string, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, "", err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, "", err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, private)
	if err != nil {
		return nil, "", err
	}
	key = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	return key, string(pem.EncodeToMemory(
		&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})), nil
}

// takeFolder makes the folder, and refuses one that holds a credential.
func takeFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fault.New(fault.Failed, "cannot make the folder for the credential: %w", err)
	}
	for _, name := range []string{credentialKey, credentialCert} {
		path := filepath.Join(dir, name)
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			return fault.New(fault.Usage, "%s is there already", path).
				WithHint("move it away, or name another folder with --out")
		}
	}
	return nil
}

// writeCredential writes the key first: without it the rest is of no use.
func writeCredential(dir string, key []byte, issued api.CredentialIssued) ([]string, error) {
	var paths []string
	for _, f := range []struct {
		name string
		text []byte
		mode fs.FileMode
	}{
		{credentialKey, key, 0o600},
		{credentialCert, []byte(issued.Certificate), 0o644},
		{credentialCA, []byte(issued.Authority), 0o644},
	} {
		path := filepath.Join(dir, f.name)
		if err := atomicfile.Write(atomicfile.OS(), path, f.text, f.mode); err != nil {
			return nil, err
		}
		paths = append(paths, path)
	}
	return paths, nil
}

func (x *essCLI) listCredentials() *program.Command {
	return listing(x, program.Command{Name: "credential", Summary: "List the credentials of hosts"},
		"credentials",
		func(ctx context.Context, _ *program.Env, s *connect.Session, _ []string) ([]api.Credential, error) {
			return s.Credentials(ctx)
		},
		[]string{"serial", "host", "created", "expires", "revoked"},
		func(c api.Credential) []string {
			return []string{
				c.Serial, c.Host, program.FormatTime(c.Created), program.FormatTime(c.Expires), program.FormatTime(c.Revoked),
			}
		})
}

// assignedHosts is a flag's value: A,B:ro. Given and empty it is nobody.
type assignedHosts struct{ hosts *[]api.HostAccess }

// Set reads s, in which names have no comma.
func (a *assignedHosts) Set(s string) error {
	hosts := []api.HostAccess{}
	for _, name := range strings.Split(s, ",") {
		if s == "" {
			break
		}
		name, mode, _ := strings.Cut(strings.TrimSpace(name), ":")
		if mode != "" && mode != "ro" {
			return fault.New(fault.Usage, "%q is nothing that a host may do; :ro is", mode)
		}
		if err := taskstore.ValidHostName(name); err != nil {
			return err
		}
		hosts = append(hosts, api.HostAccess{Host: name, ReadOnly: mode == "ro"})
	}
	a.hosts = &hosts
	return nil
}

func (a *assignedHosts) String() string { return "" }

var _ program.BlankValue = (*assignedHosts)(nil)

// MayBeBlank says that an empty value has a meaning.
func (a *assignedHosts) MayBeBlank() {}

// formatAssigned writes hosts as --hosts takes them.
func formatAssigned(hosts []api.HostAccess) string {
	names := make([]string, len(hosts))
	for i, h := range hosts {
		names[i] = h.Host
		if h.ReadOnly {
			names[i] += ":ro"
		}
	}
	return strings.Join(names, ",")
}
