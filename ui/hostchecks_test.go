package ui_test

import (
	"fmt"
	"strings"
	"testing"
)

// view stores one look of a vantage point at a check of the host vip.
func (s *server) view(check, vantage string, up, interval float64, ago int) {
	s.t.Helper()
	l := fmt.Sprintf(`{"check": %q, "target": "10.0.0.9:80", "vantage": %q}`, check, vantage)
	s.sample("default", "vip", "keepwatch_check_vantage_up", l, up, ago)
	s.sample("default", "vip", "keepwatch_check_vantage_interval_seconds", l, interval, ago)
	s.sample("default", "vip", "keepwatch_check_quorum", l, 2, ago)
	if up == 1 {
		s.sample("default", "vip", "keepwatch_check_vantage_seconds", l, 0.002, ago)
	}
}

func (s *server) checkUp(check string, up float64, ago int) {
	s.t.Helper()
	s.sample("default", "vip", "keepwatch_check_up", fmt.Sprintf(`{"check": %q, "target": "10.0.0.9:80"}`, check), up, ago)
}

func TestHostChecks(t *testing.T) {
	s := start(t)
	s.partition()
	s.view("web", "lb1", 1, 10, 1)
	s.view("web", "lb2", 0, 10, 2)
	s.view("web", "lb3", 1, 10, 100)  // stale
	s.view("web", "lb4", 1, 10, 1000) // gone for long
	s.view("web", "lb5", 1, 0, 1)     // took its word back
	s.checkUp("web", 1, 3)
	s.view("mail", "lb1", 0, 10, 1)
	s.checkUp("mail", 0, 3)
	s.view("slow", "lb1", 1, 3600, 3000)
	s.checkUp("slow", 1, 1000) // nobody has said so lately
	s.view("removed", "lb1", 1, 10, 5000)
	s.checkUp("removed", 1, 5000)
	var d struct {
		Checks []struct {
			Name, Target, State string
			Quorum              int
			Views               []struct {
				Vantage   string
				Up, Fresh bool
				Seconds   *float64
			}
		}
	}
	s.as("viewer").want(200, "GET", "/api/v1/hosts/default/vip", nil, &d)
	var got []string
	for _, c := range d.Checks {
		line := fmt.Sprintf("%s %s %s quorum %d:", c.Name, c.Target, c.State, c.Quorum)
		for _, v := range c.Views {
			took := "-"
			if v.Seconds != nil {
				took = fmt.Sprint(*v.Seconds)
			}
			line += fmt.Sprintf(" [%s up %v, fresh %v, %s]", v.Vantage, v.Up, v.Fresh, took)
		}
		got = append(got, line)
	}
	want := `mail 10.0.0.9:80 down quorum 2: [lb1 up false, fresh true, -]
slow 10.0.0.9:80 unknown quorum 2: [lb1 up true, fresh true, 0.002]
web 10.0.0.9:80 up quorum 2: [lb1 up true, fresh true, 0.002] [lb2 up false, fresh true, -] [lb3 up true, fresh false, 0.002]`
	if strings.Join(got, "\n") != want {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), want)
	}
}
