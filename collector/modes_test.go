package collector

import (
	"fmt"
	"testing"

	"keepwatch/internal/netnstest"
)

// A deaf collector speaks and is heard, a mute one hears and says nothing of itself.
func TestDeafAndMute(t *testing.T) {
	nodes := hosts(t, 2)
	deaf, mute := testConf(t), testConf(t)
	deaf.Deaf, mute.Mute = true, true
	speaker, _ := start(t, nodes[0], "speaker", deaf)
	listener, _ := start(t, nodes[1], "listener", mute)
	if l := speaker.Listeners(); len(l.Native)+len(l.Gmond) != 0 || l.Serve.IsValid() {
		t.Errorf("a deaf collector listens: %+v", l)
	}
	netnstest.Await(t, "the mute one hears the deaf one", func() error { return knows(listener, "speaker") })
	if err := knows(listener, "listener"); err == nil {
		t.Error("a mute collector speaks of itself")
	}
	netnstest.Await(t, "the deaf one knows itself", func() error { return knows(speaker, "speaker") })
}

// knows says whether a collector's state has a host.
func knows(c *Collector, name string) error {
	for _, h := range c.Status().State.Hosts {
		if h.Name == name {
			return nil
		}
	}
	return fmt.Errorf("%q is not known: %+v", name, c.Status().State.Hosts)
}
