// Package secrets keeps what must not be read: values that print masked, the
// box that seals passwords at rest, and the server's TLS key pair.
package secrets

import "log/slog"

// mask is what a secret shows of itself.
const mask = "***"

// Secret is a text that prints masked everywhere: by fmt, in logs, in JSON
// and in YAML. string(s) is the text.
type Secret string

func (Secret) String() string { return mask }

// GoString masks the verb %#v.
func (Secret) GoString() string { return mask }

// LogValue masks the secret in logs.
func (Secret) LogValue() slog.Value { return slog.StringValue(mask) }

// MarshalText masks the secret in what is encoded.
func (Secret) MarshalText() ([]byte, error) { return []byte(mask), nil }

// MarshalYAML masks the secret in YAML.
func (Secret) MarshalYAML() (any, error) { return mask, nil }
