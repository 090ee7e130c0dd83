package conf

import (
	"bytes"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestWriteLoads: what a file says is said by the file that Write makes of it.
func TestWriteLoads(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("got no files, %v", err)
	}
	for _, file := range files {
		c, err := Load(file, nil)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := Write(&b, c, nil); err != nil {
			t.Fatal(err)
		}
		again, err := Parse("written.yaml", b.Bytes(), nil)
		if err != nil || !reflect.DeepEqual(again, c) {
			t.Errorf("%s: %v, got %+v, want %+v\n%s", file, err, again, c, b.String())
		}
	}
}

// TestWriteForm: keys with their default are left out, comments stand above their keys, short lists take one line.
func TestWriteForm(t *testing.T) {
	c := Default()
	v := NewItem[Instance]()
	v.Name, v.Interface, v.VRID, v.Priority, v.Password = "yes", "eth0", 51, 100, "0x10"
	v.Addresses = []Address{{Prefix: netip.MustParsePrefix("10.0.0.1/24")}}
	v.Track = []TrackUse{{Name: "null", Weight: -5}, {Name: "~"}}
	v.Fence.Timeout = 90 * time.Second
	v.Accept = false
	c.HAAgent.Instances = []Instance{v}
	c.Collector.Gmond.Receive = nil
	c.Alerter.SMS.Headers = map[string]string{"X-B": "{{.ID}}", "X-A": ""}
	var b bytes.Buffer
	err := Write(&b, c, map[string]string{"haagent.instances[0]": "the first", "haagent.instances[0].priority": "why not", "haagent.instances[1]": "nobody"})
	want := `collector:
  gmond:
    receive: []
alerter:
  sms:
    headers:
      X-A: ''
      X-B: '{{.ID}}'
haagent:
  instances:
  # the first
  - name: yes
    interface: eth0
    vrid: 51
    # why not
    priority: 100
    password: '0x10'
    addresses: [10.0.0.1/24]
    accept: false
    track: [{name: 'null', weight: -5}, {name: '~'}]
    fence:
      timeout: 1m30s
`
	if err != nil || b.String() != want {
		t.Errorf("%v, got\n%s\nwant\n%s", err, b.String(), want)
	}
	b.Reset()
	if err := Write(&b, Default(), nil); err != nil || b.String() != "# every key has its default\n" {
		t.Errorf("the defaults: %v, got %s", err, b.String())
	}
}

// fails is a writer that takes nothing.
type fails struct{}

func (fails) Write([]byte) (int, error) { return 0, os.ErrClosed }

func TestWriteFails(t *testing.T) {
	c := Default()
	if err := Write(fails{}, c, nil); !errors.Is(err, os.ErrClosed) {
		t.Errorf("defaults: got %v", err)
	}
	c.Cluster = strings.Repeat("x", 1<<16)
	if err := Write(fails{}, c, nil); err == nil {
		t.Error("got no error of the writer")
	}
	c.Cluster = "\xff"
	if err := Write(&bytes.Buffer{}, c, nil); err == nil || err.Error() != "cannot write cluster: want UTF-8" {
		t.Errorf("no UTF-8: got %v", err)
	}
}

// samples are values of the types that read themselves.
var samples = map[reflect.Type][]string{
	reflect.TypeFor[netip.Addr](): {"10.0.0.1", "fd00::1", "fe80::1"},
	reflect.TypeFor[Address]():    {"10.0.0.1/24", "fd00::1/64 dev eth0", "10.0.0.2/32 dev eth1 scope link label eth1:1"},
	reflect.TypeFor[Route]():      {"default via 10.0.0.1", "::/0 dev eth0", "blackhole 10.0.0.0/8 metric 5", "fd00::/64 via fe80::1 dev eth0 onlink"},
	reflect.TypeFor[Rule]():       {"from 10.0.0.1 lookup 100", "inet6 iif eth0 fwmark 0x10 lookup 7 priority 5"},
}

// fill sets every field of v to anything, half of them to what is there.
func fill(t *rapid.T, v reflect.Value, path string) {
	if rapid.Bool().Draw(t, path+" stays") {
		return
	}
	if texts, ok := samples[v.Type()]; ok {
		if err := setScalar(v, rapid.SampledFrom(texts).Draw(t, path)); err != nil {
			t.Fatal(err)
		}
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "null", "~", "yes", "1e3", "0x1f", "a: b", "#", " x ", "-", "a\nb", "'", "1s", "<<"})).Draw(t, path))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, path))
	case reflect.Int:
		v.SetInt(rapid.Int64Range(-1<<31, 1<<31-1).Draw(t, path))
	case reflect.Int64:
		v.SetInt(rapid.Int64Range(0, int64(100*24*time.Hour)).Draw(t, path))
	case reflect.Struct:
		for _, f := range fieldsOf(v.Type()) {
			fill(t, v.Field(f.index), path+"."+f.key)
		}
	case reflect.Slice:
		n := rapid.IntRange(0, 3).Draw(t, path+" length")
		list := reflect.MakeSlice(v.Type(), 0, n)
		for range n {
			item := itemDefault(v.Type().Elem())
			fill(t, item, path+"[]")
			if !readsText(item.Type()) || !item.IsZero() {
				list = reflect.Append(list, item)
			}
		}
		v.Set(list)
	case reflect.Map:
		v.Set(reflect.ValueOf(rapid.MapOfN(rapid.StringMatching("[a-z]{1,5}"), rapid.String(), 0, 3).Draw(t, path)))
	}
}

// TestWriteEveryKey: whatever the keys hold, what is written is read the same, checks aside.
func TestWriteEveryKey(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := Default()
		fill(t, reflect.ValueOf(&c).Elem().FieldByName("HAAgent"), "haagent")
		fill(t, reflect.ValueOf(&c).Elem(), "")
		var b bytes.Buffer
		if err := Write(&b, c, nil); err != nil {
			t.Fatal(err)
		}
		got := Default()
		d := decoder{file: "written.yaml", at: make(map[string]place)}
		d.document(b.Bytes(), &got)
		if len(d.faults) > 0 || !same(reflect.ValueOf(got), reflect.ValueOf(c)) {
			t.Fatalf("%v, got %+v, want %+v\n%s", d.faults, got, c, b.String())
		}
	})
}
