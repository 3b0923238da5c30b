package arrays

import (
	"context"
	"time"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
)

// Login is how an array is reached that is registered.
type Login struct {
	// Addresses are HOST or HOST:PORT; the second, if there is one, is tried where the
	// first does not answer.
	Addresses []string
	User      string
	Password  string
	// Fingerprint of the certificate there, sha256:HEX; empty: one that an authority has
	// signed which this system trusts.
	Fingerprint string
	// Array is the one that is meant; zero: the only one there is, or the first.
	Array arrayclient.ArrayID
}

// Driver opens the array behind a login. The error is of kind Connection where nobody
// answers, and Denied for a user or a password that is wrong.
type Driver func(context.Context, Login) (arrayclient.Array, error)

// Identify returns what an array says of itself that is not in the Registry.
func Identify(
	ctx context.Context, open func(context.Context) (arrayclient.Array, error), limit time.Duration,
) (p arrayclient.Properties, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	array, err := open(ctx)
	if err == nil {
		p, err = array.Properties(ctx)
		if failed := array.Close(); err == nil {
			err = failed
		}
	}
	if ctx.Err() == context.DeadlineExceeded && err != nil && !isFault(err) {
		err = fault.New(fault.Connection, "no answer within %s", limit)
	}
	return p, err
}
