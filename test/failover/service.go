package main

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// roleVariable makes this program (or the test's) one of the programs that a rig needs beside the agents.
const roleVariable = "KEEPWATCH_FAILOVER_ROLE"

// role is run instead of the program when the variable asks for it.
func role(name string) error {
	switch name {
	case "a", "b":
		return serve(name[0])
	case "spin":
		spin()
	}
	return fmt.Errorf("%s=%s: want a, b or spin", roleVariable, name)
}

// port is the service's, on every address of the node.
const port = 7000

// serve is the service: each connection gets the node's letter and is closed. One thread, one connection at a time,
// so that it costs little and dies at once.
func serve(node byte) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("cannot make the service's socket: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return fmt.Errorf("cannot share the service's port: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Port: port}); err != nil {
		return fmt.Errorf("cannot bind the service's port: %w", err)
	}
	if err := unix.Listen(fd, 4096); err != nil {
		return fmt.Errorf("cannot listen on the service's port: %w", err)
	}
	line := []byte{node, '\n'}
	for {
		conn, _, err := unix.Accept4(fd, unix.SOCK_CLOEXEC)
		if err != nil {
			fmt.Fprintln(os.Stderr, "service: cannot accept:", err)
			continue
		}
		_, _ = unix.Write(conn, line) // the client may be gone
		_ = unix.Close(conn)
	}
}

// spin keeps one core busy until it is killed.
func spin() {
	for n := 0; ; n++ {
		if n < 0 {
			n = 0
		}
	}
}
