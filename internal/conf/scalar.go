package conf

import (
	"encoding"
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var (
	durationType = reflect.TypeFor[time.Duration]()
	prefixType   = reflect.TypeFor[netip.Prefix]()
	textType     = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// readsText says whether values of t read themselves, as addresses and routes do.
func readsText(t reflect.Type) bool { return reflect.PointerTo(t).Implements(textType) }

// field is one key of a struct.
type field struct {
	index    int
	key, doc string
	secret   bool // its value may hold a secret and is never shown
}

func fieldsOf(t reflect.Type) []field {
	var fields []field
	for i := range t.NumField() {
		f := t.Field(i)
		fields = append(fields, field{
			index: i, key: f.Tag.Get("yaml"), doc: f.Tag.Get("doc"), secret: f.Tag.Get("conf") == "secret",
		})
	}
	return fields
}

// scalarType says whether values of t are written as one word.
func scalarType(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.String, reflect.Bool, reflect.Int, reflect.Int64, reflect.Float64:
		return true
	}
	return readsText(t)
}

func typeWord(t reflect.Type) string {
	switch {
	case t == durationType:
		return "a duration, as 15s, 4h or 14d"
	case t == prefixType:
		return "an address with prefix length, as 10.0.0.100/24"
	case t == reflect.TypeFor[Address]():
		return "an address with prefix length, as 10.0.0.100/24 dev eth1"
	case t == reflect.TypeFor[Route]():
		return "a route, as default via 10.0.0.1 dev eth0"
	case t == reflect.TypeFor[Rule]():
		return "a routing rule, as from 10.0.0.100 lookup 100"
	case readsText(t):
		return "an address, as 10.0.0.1"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.String:
		return "text"
	case t.Kind() == reflect.Float64:
		return "a number"
	}
	return "a whole number"
}

// setScalar sets v from the text of a file or of the environment. The error is "VALUE: want WHAT".
func setScalar(v reflect.Value, text string) error {
	ok := true
	switch t := v.Type(); {
	case t == durationType:
		var x time.Duration
		if x, ok = parseDuration(text); ok {
			v.SetInt(int64(x))
		}
	case readsText(t):
		if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text)); err != nil {
			if t == prefixType || t == reflect.TypeFor[netip.Addr]() {
				return fmt.Errorf("%.60q: want %s", text, typeWord(t))
			}
			return err
		}
	case t.Kind() == reflect.String:
		v.SetString(text)
	case t.Kind() == reflect.Bool:
		ok = text == "true" || text == "false"
		v.SetBool(text == "true")
	case t.Kind() == reflect.Float64:
		x, err := strconv.ParseFloat(text, 64)
		if ok = err == nil && !math.IsNaN(x) && !math.IsInf(x, 0); ok {
			v.SetFloat(x)
		}
	default:
		x, err := strconv.ParseInt(text, 10, t.Bits())
		if ok = err == nil; ok {
			v.SetInt(x)
		}
	}
	if !ok {
		return fmt.Errorf("%.60q: want %s", text, typeWord(v.Type()))
	}
	return nil
}

var days = regexp.MustCompile(`^([0-9]{1,5})d`)

// parseDuration is time.ParseDuration that also knows whole days in front, as 14d or 1d12h.
func parseDuration(text string) (time.Duration, bool) {
	var whole time.Duration
	if m := days.FindStringSubmatch(text); m != nil {
		n, _ := strconv.Atoi(m[1]) // at most five digits
		whole = time.Duration(n) * 24 * time.Hour
		if text = text[len(m[0]):]; text == "" {
			return whole, true
		}
		if text[0] == '-' || text[0] == '+' {
			return 0, false
		}
	}
	rest, err := time.ParseDuration(text)
	if err != nil || rest > 0 && whole+rest < whole {
		return 0, false
	}
	return whole + rest, true
}

// short writes a duration as people do: 4h, not 4h0m0s.
func short(d time.Duration) string {
	if d >= 48*time.Hour && d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

// itemDefault is a new list item with the defaults that a key left out of it has.
func itemDefault(t reflect.Type) reflect.Value {
	v := reflect.New(t).Elem()
	switch item := v.Addr().Interface().(type) {
	case *HAProxyProbe:
		item.Name = "haproxy"
	case *SNMPProbe:
		item.Version, item.Timeout, item.Retries = "2c", 2*time.Second, 1
	case *GmondReceive:
		item.AcceptFrom, item.Buffer = []string{"local"}, 8<<20
	case *GmondSend:
		item.TTL = 1
	case *GmondGroup:
		item.Every, item.Threshold = time.Minute, time.Hour
	case *GmondMetric:
		item.ValueThreshold = -1
	case *TCPCheck:
		item.Timeout, item.Vantage, item.Quorum = 2*time.Second, 1, 1
	case *GangliaSource:
		item.Interval, item.Store = 15*time.Second, true
	case *Instance:
		item.Version, item.Interval, item.Checksum = 3, time.Second, "keepalived"
		item.DownIntervals, item.Degraded, item.Accept, item.CheckAddresses = 3, "advertise", true, "each"
		item.Announce = Announce{Count: 5, Delay: time.Second, Refresh: time.Minute}
		item.Duplicates, item.Fence.Timeout = time.Second, 10*time.Second
	case *Track:
		item.AtLeast, item.Interval, item.Rise, item.Fall = 1, time.Second, 1, 1
	case *BFDSession:
		item.Interval, item.Multiplier = 50*time.Millisecond, 3
	case *Frontend:
		item.Mode = "http"
	case *Backend:
		item.Mode, item.Balance = "http", "roundrobin"
		item.Check = Check{Interval: 2 * time.Second, Rise: 2, Fall: 3}
	case *Server:
		item.Weight = 100
	}
	return v
}

// NewItem is a new item of a list, as an Instance, with the defaults that keys left out of it have.
func NewItem[T any]() T { return itemDefault(reflect.TypeFor[T]()).Interface().(T) }
