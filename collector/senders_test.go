package collector

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"keepwatch/collector/frame"
)

// What is written of senders is read again as it was, and what an earlier version wrote is.
func TestSendersFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), sendersFile)
	want := []frame.Sender{
		{Cluster: "lab", Host: "web1", Boot: frame.Boot{Start: 5, Random: 1<<64 - 1}, Top: 1 << 60, Heard: 7, Ended: []frame.Ended{
			{Boot: frame.Boot{Start: 6, Random: 9}, Top: 3}, {Boot: frame.Boot{Start: 1, Random: 10}, Top: 4},
		}},
		{Cluster: "lab", Host: "web2", Boot: frame.Boot{Start: 1, Random: 2}, Top: 3, Heard: 4},
	}
	if err := writeSenders(file, want); err != nil {
		t.Fatal(err)
	}
	if got, err := readSenders(file); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	for text, ok := range map[string]bool{
		`[{"cluster":"lab","host":"web2","start":1,"random":"2","top":3,"heard":4}]`:                               true,
		`[{"cluster":"lab","host":"web2","start":1,"random":"no","top":3,"heard":4}]`:                              false,
		`[{"cluster":"lab","host":"web2","start":1,"random":"2","top":3,"heard":4,"ended":[{"start":1,"top":2}]}]`: false,
		`[{"cluster":"lab","host":"","start":1,"random":"2","top":3,"heard":4}]`:                                   false,
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := readSenders(file); (err == nil) != ok || ok && !reflect.DeepEqual(got, want[1:]) {
			t.Errorf("%s: got %+v, %v", text, got, err)
		}
	}
}
