package batch

import (
	"errors"
	"testing"

	"keepwatch/metric"

	"pgregory.net/rapid"
)

func TestScanSeesWhatDecodeDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := drawBatch(t)
		var hosts []string
		samples, events, err := Scan(new(Encoder).Append(nil, b), func(_, host, _ []byte) (bool, error) {
			hosts = append(hosts, string(host))
			return false, nil
		})
		if err != nil || samples != len(b.Samples) || events != len(b.Events) {
			t.Fatalf("got %d samples, %d events, %v; want %d, %d", samples, events, err, len(b.Samples), len(b.Events))
		}
		for i := range hosts {
			if hosts[i] != b.Samples[i].Series.Host {
				t.Fatalf("sample %d: host %q, want %q", i, hosts[i], b.Samples[i].Series.Host)
			}
		}
	})
}

func TestScanStopsWithWhatSeenSays(t *testing.T) {
	stop := errors.New("stop")
	raw := new(Encoder).Append(nil, sample("load"))
	if _, _, err := Scan(raw, func(_, _, _ []byte) (bool, error) { return false, stop }); !errors.Is(err, stop) {
		t.Errorf("got %v, want what seen returned", err)
	}
}

// Scan accepts exactly what Decode accepts.
func FuzzScan(f *testing.F) {
	f.Add(new(Encoder).Append(nil, sample("load")))
	f.Add(new(Encoder).Append(nil, &Batch{Events: []metric.Event{{ID: "1", Cluster: "c", Host: "h", Kind: "k", Text: "t"}}}))
	f.Fuzz(func(t *testing.T, src []byte) {
		var b Batch
		want := new(Decoder).Decode(src, &b)
		samples, events, err := Scan(src, func(_, _, _ []byte) (bool, error) { return false, nil })
		if err == nil && want == nil && (samples != len(b.Samples) || events != len(b.Events)) {
			t.Fatalf("got %d, %d; want %d, %d", samples, events, len(b.Samples), len(b.Events))
		}
		if (err == nil) != (want == nil) && len(b.Samples) > 0 {
			t.Fatalf("Scan says %v, Decode %v", err, want)
		}
	})
}
