package copyserver

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/copyserver/arrays"
	"copyservices/copyserver/arrays/remote"
	"copyservices/copyserver/secrets"
)

// drivers returns the drivers of registered arrays, by the word that registers one.
func drivers() map[string]arrays.Driver {
	return map[string]arrays.Driver{"copyserver": openCopyserver}
}

// copyserverPort is that of the REST API of a copyserver where an address names none.
const copyserverPort = "8452"

func openCopyserver(ctx context.Context, at arrays.Login) (arrayclient.Array, error) {
	config := remote.Config{User: at.User, Password: at.Password, Array: at.Array}
	for _, address := range at.Addresses {
		if _, _, err := net.SplitHostPort(address); err != nil {
			address = net.JoinHostPort(strings.Trim(address, "[]"), copyserverPort)
		}
		config.Servers = append(config.Servers, address)
	}
	if at.Fingerprint != "" {
		config.TLS = func(string) *tls.Config { return secrets.PinnedTo(at.Fingerprint) }
	}
	array, err := remote.Open(ctx, config)
	var unknown *tls.CertificateVerificationError
	if errors.As(err, &unknown) {
		return nil, fault.New(fault.KindOf(err), "%w", err).
			WithHint("compare its fingerprint with the one in the log of the server there, and give it")
	}
	return array, err
}
