package service

import (
	"fmt"
	"net"
)

// Notify tells systemd the state, in the protocol of sd_notify(3). The socket is
// the value of the environment variable NOTIFY_SOCKET; an empty one means that
// nobody wants to know, and that is no error.
func Notify(socket string, s State) error {
	text := map[State]string{Running: "READY=1", Stopping: "STOPPING=1"}[s]
	if socket == "" || text == "" {
		return nil
	}
	// A name that begins with @ is one without a file, also to package net.
	conn, err := net.Dial("unixgram", socket)
	if err != nil {
		return fmt.Errorf("systemd cannot be told %s: %w", text, err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte(text)); err != nil {
		return fmt.Errorf("systemd cannot be told %s: %w", text, err)
	}
	return nil
}
