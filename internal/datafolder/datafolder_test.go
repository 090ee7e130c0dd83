package datafolder

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestOneProcessForARole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "data")
	d, err := Open(path, "ui", "alerter")
	if err != nil {
		t.Fatal(err)
	}
	if d.Path != path || d.File("x") != filepath.Join(path, "x") {
		t.Errorf("got %s, %s", d.Path, d.File("x"))
	}
	want := fmt.Sprintf("is in use by another keepwatch (process %d runs alerter)", os.Getpid())
	if _, err := Open(path, "collector", "alerter"); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v", err)
	}
	other, err := Open(path, "collector") // the lock that the one above had taken is free
	if err != nil {
		t.Fatal(err)
	}
	other.Close()
	d.Close()
	if d, err = Open(path, "ui", "alerter"); err != nil {
		t.Fatal(err)
	}
	d.Close()
}

func TestFolderThatIsRefused(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(file); err == nil || !strings.Contains(err.Error(), "cannot make the data folder") {
		t.Errorf("got %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "FORMAT"), []byte("2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), `has format "2" and this build reads 1: start the build that made it`) {
		t.Errorf("got %v", err)
	}
}

func TestFull(t *testing.T) {
	if err := Full(unix.ENOSPC); !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), "free some space") {
		t.Errorf("got %v", err)
	}
	if err := Full(unix.EIO); err != unix.EIO {
		t.Errorf("got %v", err)
	}
}

// A power failure just after the first start may leave the file without its text.
func TestFormatIsWrittenAgain(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "FORMAT")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	d.Close()
	if got, err := os.ReadFile(file); err != nil || string(got) != format+"\n" {
		t.Errorf("got %q, %v", got, err)
	}
}
